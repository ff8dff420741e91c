"""Reading a live source as a stream of chunks: threads read, the consumer takes the frames that are ready."""

import math
import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from save_avs.errors import MediaError
from save_avs.types import VideoChunk
from save_avs.video.audio_blocks import AudioAssembler
from save_avs.video.audio_reader import mix_frame
from save_avs.video.container import (
    TIMED_OUT,
    Switch,
    Warn,
    check_read_options,
    decode,
    ignore_warning,
    pick_audio,
    pick_video,
)
from save_avs.video.frame_decoder import TimedFrame, deinterlace_frames
from save_avs.video.live_buffer import LiveBuffer
from save_avs.video.open_live_source import is_blocking, open_live
from save_avs.video.rgb import UprightConverter, orientation_of

_WALL_CLOCK = 1e9  # seconds: timestamps beyond it count from 1970


def read_live_chunks(
    source: str | os.PathLike[str],
    *,
    audio_source: str | None = None,
    fps: float | None = None,
    chunk: int = 8,
    sample_rate: int = 16000,
    audio_margin: float = 0.5,
    drop: bool | None = None,
    timeout: float = 5.0,
    tone_map: Switch = "auto",
    deinterlace: Switch = "auto",
    on_warning: Warn | None = None,
) -> Generator[VideoChunk, None, None]:
    """Read a camera, a network stream or a pipe as a stream of chunks, as it arrives.

    Times are seconds since reading began. A chunk holds frames whose audio has arrived, so it is at least
    ``audio_margin`` seconds late. Where the caller is slower than the source, the oldest waiting frames are
    dropped (their indices are skipped), so that the caller is never more than a chunk behind; senders that
    block, such as pipes, are made to wait instead.

    Where ``stream`` has the options too, they are the same; ``chunk`` is also how many frames wait at most,
    ``audio_margin`` seconds of audio on each side of a chunk's frames, ``sample_rate`` that of the audio.
    ``on_warning`` is called with one line for each thing worth knowing: no audio, dropped frames, a timeout.

    Raises:
        UsageError: no such device, or an option out of range.
        MediaError: a source cannot be opened or has no video. Both are raised by the call itself; a source
            that fails later raises a MediaError after its last frame.
    """
    check_read_options(fps, tone_map, deinterlace)
    session = _Session(str(source), audio_source and str(audio_source), timeout, deinterlace == "auto")
    buffer = LiveBuffer(
        readers=len(session.inputs),
        has_audio=session.has_audio,
        chunk=chunk,
        sample_rate=sample_rate,
        audio_margin=audio_margin,
        frame_interval=None if fps is None else 1 / fps,
        drop=not is_blocking(source) if drop is None else drop,
    )
    return _chunks(session, buffer, sample_rate, tone_map, on_warning or ignore_warning)


class _Session:
    """The containers of a live source, and the threads that read them."""

    def __init__(self, name: str, audio_source: str | None, timeout: float, deinterlace: bool) -> None:
        self.name = name  # for messages
        self.inputs: list[tuple[InputContainer, list[Any]]] = []  # each with the streams to decode
        self.failure: str | None = None  # why the source failed, None while it has not
        self.timed_out = False  # the source ended because nothing was received in time
        self.timeout = timeout
        self._deinterlace = deinterlace
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._started = 0.0
        with ExitStack() as stack:
            self._open(audio_source, stack)
            self._stack = stack.pop_all()

    def _open(self, audio_source: str | None, stack: ExitStack) -> None:
        container = stack.enter_context(open_live(self.name, timeout=self.timeout, stop=self._stop))
        video = pick_video(container)
        if video is None:
            raise MediaError(f"{self.name}: no video in it")
        audio = pick_audio(container) if audio_source is None else None
        self.inputs.append((container, [video] if audio is None else [video, audio]))
        if audio_source is not None:
            container = stack.enter_context(open_live(audio_source, timeout=self.timeout, stop=self._stop))
            audio = pick_audio(container)
            if audio is None:
                raise MediaError(f"{audio_source}: no audio in it")
            self.inputs.append((container, [audio]))

    @property
    def has_audio(self) -> bool:
        """Whether any stream is audio."""
        return any(stream.type == "audio" for _, streams in self.inputs for stream in streams)

    def start(self, buffer: LiveBuffer, sample_rate: int) -> None:
        """Read each container into the buffer, in a thread of its own."""
        self._started = time.time()
        for container, streams in self.inputs:
            arguments = (container, streams, buffer, sample_rate)
            thread = threading.Thread(target=self._read, args=arguments, name="save-avs-live", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Stop reading; blocks until the next packet, or until the timeout when none arrives."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._stack.close()

    def _read(
        self, container: InputContainer, streams: list[Any], buffer: LiveBuffer, sample_rate: int
    ) -> None:
        assembler = AudioAssembler(sample_rate, "mono")
        try:
            frames = self._with_times(container, streams)
            for timed in deinterlace_frames(frames) if self._deinterlace else frames:
                frame = timed.decoded
                if isinstance(frame, av.VideoFrame):
                    buffer.add_frame(timed.time, frame)
                else:
                    for block in assembler.feed(timed.time, frame.sample_rate, mix_frame(frame, "mono")):
                        buffer.add_audio(block)
                if self._stop.is_set():
                    break
        except Exception as error:  # raised by the consumer's thread
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            buffer.end()

    def _with_times(self, container: InputContainer, streams: list[Any]) -> Iterator[TimedFrame]:
        """Give each frame, of images and of sound, its time since reading began.

        Timestamps on the wall clock, as devices give them, are exact. Others count from the arrival of the
        container's first frame; frames without a timestamp get their time of arrival.
        """
        offset = math.nan
        for frame in decode(container, *streams, on_damage=self._on_damage):
            moment = time.time()
            if frame.time is not None:
                if math.isnan(offset):
                    offset = 0.0 if frame.time > _WALL_CLOCK else moment - frame.time
                moment = frame.time + offset
            yield TimedFrame(0, moment - self._started, 0.0, frame)

    def _on_damage(self, reason: str, fatal: bool) -> None:
        if fatal and reason == TIMED_OUT:
            self.timed_out = True
        elif fatal:
            self.failure = reason


def _chunks(
    session: _Session, buffer: LiveBuffer, sample_rate: int, tone_map: Switch, on_warning: Warn
) -> Generator[VideoChunk, None, None]:
    if not session.has_audio:
        on_warning(f"{session.name}: has no sound")
    index, warned = 0, False
    rgb: UprightConverter | None = None
    session.start(buffer, sample_rate)
    try:
        while (taken := buffer.take()) is not None:
            if taken.dropped and not warned:
                warned = True
                on_warning(f"{session.name}: frames arrive faster than they are processed: some are dropped")
            frames = [frame for _, frame in taken.frames]
            if rgb is None:
                size = orientation_of(frames[0]).size(frames[0].width, frames[0].height)
                rgb = UprightConverter(*size, tone_map)
            index += taken.dropped
            yield VideoChunk(
                frames=np.stack([rgb(frame) for frame in frames]),
                times=np.array([moment for moment, _ in taken.frames], dtype=np.float64),
                waveform=taken.waveform,
                waveform_start=taken.start / sample_rate,
                sample_rate=sample_rate,
                first_index=index,
            )
            index += len(frames)
        if session.timed_out:
            on_warning(
                f"{session.name}: nothing was received for {session.timeout:g} s: the source has ended"
            )
        if session.failure is not None:
            raise MediaError(f"{session.name}: failed while it was read ({session.failure})")
    finally:
        buffer.stop()
        session.close()

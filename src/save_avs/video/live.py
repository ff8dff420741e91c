"""A live source as a stream of clips that keeps up with it: threads read, the caller takes what is ripe."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from save_avs.errors import MediaError, UsageError
from save_avs.types import VideoChunk
from save_avs.video.audio_blocks import AudioAssembler
from save_avs.video.audio_reader import mixed
from save_avs.video.container import TIMED_OUT, Warn, decode, pick_audio, pick_video
from save_avs.video.live_buffer import LiveBuffer
from save_avs.video.live_source import open_live, waits
from save_avs.video.rotation import UprightConverter, orientation_of

_WALL = 1e9  # seconds: a timestamp beyond it is one of the wall clock, since 1970


def read_live_chunks(
    source: str | os.PathLike[str],
    *,
    audio_source: str | None = None,
    fps: float | None = None,
    chunk: int = 8,
    sample_rate: int = 16000,
    margin: float = 0.5,
    drop: bool | None = None,
    timeout: float = 5.0,
    on_warning: Warn | None = None,
) -> Iterator[VideoChunk]:
    """Read a camera, a network stream or a pipe as a stream of clips, as it comes.

    Times are seconds since reading began. A clip holds the frames whose sound has come, so
    it is ``margin`` seconds late at least. Where the caller is slower than the source, the oldest waiting
    frames are left out (their indices are skipped), so that what comes next is never more than a
    chunk behind; senders that wait, such as pipes, are made to wait instead.

    Args:
        source: a URL (rtsp, udp, http, ...), a device (``/dev/video0``, ``v4l2:/dev/video0``), a named pipe.
        audio_source: where the sound comes from when not from ``source`` itself, such as ``alsa:default``.
        fps: frames a second to hand out at most; None for all.
        chunk: frames a clip at most, and frames that wait at most.
        sample_rate: samples of the sound a second.
        margin: seconds of sound before a clip's first frame and after its last.
        drop: leave frames out where the caller is slower; None: unless the sender waits.
        timeout: seconds without anything from the source after which it has ended.
        on_warning: takes one line for each thing worth knowing: no sound, damage, frames left out.

    Raises:
        UsageError: no such device, or an option out of range.
        MediaError: a source cannot be opened or has no video. Both are raised by the call itself; a source
            that breaks off raises a MediaError after its last frame.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"fps must be a positive number, not {fps}")
    session = _Session(timeout, on_warning or _ignore)
    try:
        session.open(str(source), None if audio_source is None else str(audio_source))
    except BaseException:
        session.close()
        raise
    waiting = LiveBuffer(
        readers=len(session.tracks),
        sounds=session.sounds,
        chunk=chunk,
        sample_rate=sample_rate,
        margin=margin,
        step=None if fps is None else 1 / fps,
        drop=not waits(source) if drop is None else drop,
    )
    return _clips(session, waiting, sample_rate)


def _ignore(text: str) -> None:
    """Take a warning nobody asked for."""


class _Session:
    """The containers of a live source, and the threads that read them."""

    def __init__(self, timeout: float, warn: Warn) -> None:
        self.name = ""
        self.warn = warn
        self.tracks: list[tuple[InputContainer, list[Any]]] = []
        self.failure: str | None = None
        self.note = ""  # how it ended, when that is worth knowing
        self._timeout = timeout
        self._stop = threading.Event()
        self._stack = ExitStack()
        self._threads: list[threading.Thread] = []
        self._started = 0.0

    def open(self, source: str, audio_source: str | None) -> None:
        """Open the source, and the microphone where it is another."""
        self.name = source
        container = self._enter(source)
        video = pick_video(container)
        if video is None:
            raise MediaError(f"{source}: no video in it")
        own = pick_audio(container) if audio_source is None else None
        self.tracks.append((container, [video] if own is None else [video, own]))
        if audio_source is not None:
            microphone = self._enter(audio_source)
            other = pick_audio(microphone)
            if other is None:
                raise MediaError(f"{audio_source}: no sound in it")
            self.tracks.append((microphone, [other]))

    @property
    def sounds(self) -> bool:
        """There is sound to wait for."""
        return any(stream.type == "audio" for _, streams in self.tracks for stream in streams)

    def start(self, waiting: LiveBuffer, sample_rate: int) -> None:
        """Read each container in a thread of its own."""
        self._started = time.time()
        for container, streams in self.tracks:
            thread = threading.Thread(
                target=self._read,
                args=(container, streams, waiting, sample_rate),
                name="save-avs-live",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Stop reading; takes until the next packet, or the time-out where none comes."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._stack.close()

    def _enter(self, source: str) -> InputContainer:
        return self._stack.enter_context(open_live(source, timeout=self._timeout, stop=self._stop))

    def _read(
        self, container: InputContainer, streams: list[Any], waiting: LiveBuffer, sample_rate: int
    ) -> None:
        assembly = AudioAssembler(sample_rate, "mono")
        try:
            for moment, frame in self._timed(container, streams):
                if isinstance(frame, av.VideoFrame):
                    waiting.add_frame(moment, frame)
                else:
                    for block in assembly.feed(moment, frame.sample_rate, mixed(frame, "mono")):
                        waiting.add_audio(block)
                if self._stop.is_set():
                    break
        except Exception as error:  # told by the thread that takes
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            waiting.end()

    def _timed(self, container: InputContainer, streams: list[Any]) -> Iterator[tuple[float, Any]]:
        """Pair each frame with its time: on the wall clock where it carries that, as devices' do.

        Other clocks are set by the moment the container's first frame came; without one, that moment counts.
        """
        offset = math.nan
        for frame in decode(container, *streams, on_damage=self._damaged):
            came = time.time()
            if frame.time is None:
                yield came - self._started, frame
                continue
            if math.isnan(offset):
                offset = 0.0 if frame.time > _WALL else came - frame.time
            yield frame.time + offset - self._started, frame

    def _damaged(self, why: str, fatal: bool) -> None:
        if fatal and why == TIMED_OUT:
            self.note = f"nothing came for {self._timeout:g} s, which is taken for its end"
        elif fatal:
            self.failure = why


def _clips(session: _Session, waiting: LiveBuffer, sample_rate: int) -> Iterator[VideoChunk]:
    if not session.sounds:
        session.warn(f"{session.name}: has no sound")
    index, said = 0, False
    rgb: UprightConverter | None = None
    session.start(waiting, sample_rate)
    try:
        while (taken := waiting.take()) is not None:
            if taken.left_out and not said:
                said = True
                session.warn(f"{session.name}: comes faster than it is taken; frames are left out")
            times = np.array([moment for moment, _ in taken.pictures], dtype=np.float64)
            frames = [frame for _, frame in taken.pictures]
            rgb = rgb or UprightConverter(*orientation_of(frames[0]).size(frames[0].width, frames[0].height))
            index += taken.left_out
            yield VideoChunk(
                frames=np.stack([rgb(frame) for frame in frames]),
                times=times,
                waveform=taken.waveform,
                waveform_start=taken.start / sample_rate,
                sample_rate=sample_rate,
                first_index=index,
            )
            index += len(times)
        if session.note:
            session.warn(f"{session.name}: {session.note}")
        if session.failure is not None:
            raise MediaError(f"{session.name}: broke off ({session.failure})")
    finally:
        waiting.stop()
        session.close()

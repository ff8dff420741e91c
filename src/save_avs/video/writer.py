"""Writing a video file frame by frame; by default H.264 and AAC in mp4, which any browser plays."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Self

import av
import numpy as np
import soxr
from av.video.reformatter import Colorspace, VideoReformatter

from save_avs._files import atomic_path
from save_avs.audio.channel_mixing import AAC_LAYOUTS, aac_layout
from save_avs.errors import MediaError
from save_avs.types import F32, U8
from save_avs.video.audio_blocks import AudioBlock, AudioWindowReader
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.codecs import H264, VideoEncoding
from save_avs.video.probe import AudioTrack, choose_audio, probe

_CLOCK = 90_000  # ticks per second: represents 24, 25, 30, 30000/1001 and 60 fps exactly
_MAX_FRAME_TICKS = 2**31 - 1  # longest duration of a frame in mp4
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_FRAME = 1024
_BT709 = 1  # code of BT.709 in H.264 and FFmpeg, for matrix, primaries and transfer alike
_LIMITED_RANGE = 1
# An mp4 or mkv that grows is written in pieces of a second: whatever ends the program, earlier pieces play.
_GROWING = {
    "mp4": {"movflags": "+frag_keyframe+delay_moov+default_base_moof", "frag_duration": "1000000"},
    "matroska": {"cluster_time_limit": "1000"},
}


class Sound(NamedTuple):
    """Audio to write as it comes: blocks on the clock of the frames, 0.1 s ahead of them."""

    blocks: Iterator[AudioBlock]
    sample_rate: int  # one that AAC has
    layout: str  # of ``channels.AAC_LAYOUTS``


@dataclass(kw_only=True, eq=False)
class VideoWriter:
    """Writes frames, each at its own time, and audio.

    The file appears under its name when the block ends without an error; otherwise nothing of it remains.
    Odd sizes are padded by one pixel where the encoding needs it. Audio is always re-encoded, and silence
    is written where it starts late or has gaps, so that every player keeps it in sync. Memory does not grow
    with the video, except for the index at the front of an mp4.

    Raises:
        MediaError: hours pass between two frames.
        ValueError: ``audio_from`` and ``audio`` are both given, or times do not increase.
    """

    path: str | os.PathLike[str] = field(kw_only=False)
    width: int  # of the frames
    height: int
    fps: float  # expected; guides the rate control, and the last frame is shown for 1/fps seconds
    # a video whose complete audio is copied, on the clock of ``read_video_chunks``; or one of its tracks
    audio_from: str | os.PathLike[str] | AudioTrack | None = None
    # or from memory: (f32 [S] or [C,S] with C of 1 or 2, in -1..1; its sample rate); or as it comes
    audio: tuple[F32, int] | Sound | None = None
    start: float = 0.0  # time at which the video begins: subtracted from the times of frames and audio
    end: float | None = None  # time at which its audio ends, if that is longer
    sample_aspect_ratio: Fraction = Fraction(1)  # width of a pixel over its height
    encoding: VideoEncoding = H264
    # the file is there from the start, can be played while it grows, and is completed when the block ends,
    # by an error as well
    growing: bool = False

    def __post_init__(self) -> None:
        """Check the audio; nothing is opened."""
        if self.audio_from is not None and self.audio is not None:
            raise ValueError("audio_from and audio cannot both be given")
        self._duration = math.inf if self.end is None else self.end - self.start
        self._to_yuv = VideoReformatter()
        self._last: int | None = None  # time of the last frame, in ticks

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._container = stack.enter_context(self._open(stack))
            self._video = self._add_video()
            codec, sound = self.encoding.audio_codec, self._sound()
            self._audio_writer = sound and _AudioWriter(self._container, codec, sound, self._duration)
            self._stack = stack.pop_all()
        return self

    def write(self, image: U8, time: float) -> None:
        """Add a frame, u8 [H,W,C], shown from ``time`` seconds on; times must increase."""
        encoding = self.encoding
        if image.shape != (self.height, self.width, len(encoding.frame_format.removesuffix("24"))):
            raise ValueError(f"frame of shape {image.shape} in a video of {self.width} x {self.height}")
        time -= self.start
        pts = round(time * _CLOCK)
        if self._last is not None and pts <= self._last:
            raise ValueError(f"times must increase: {time} s after {self._last / _CLOCK} s")
        if self._last is not None and pts - self._last > _MAX_FRAME_TICKS:
            pause = (pts - self._last) / _CLOCK
            raise MediaError(
                f"{Path(self.path).name}: {pause:.0f} s between two frames, more than a video file can hold: "
                "choose a part before with --end, or outputs without video, such as --save masks"
            )
        self._last = pts
        image = _pad_to_even(image) if encoding.even_size else np.ascontiguousarray(image)
        frame = av.VideoFrame.from_numpy_buffer(image, format=encoding.frame_format)
        frame = self._to_yuv.reformat(frame, format=encoding.pix_fmt, dst_colorspace=Colorspace.ITU709)
        frame.pts, frame.time_base = pts, Fraction(1, _CLOCK)
        self._container.mux(self._video.encode(frame))
        if self._audio_writer is not None:
            self._audio_writer.write_until(time)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is not None and not self.growing:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            if self._last is None:
                raise ValueError("a video needs at least one frame")
            self._container.mux(self._video.encode(None))
            if self._audio_writer is not None:
                self._audio_writer.finish()

    def _open(self, stack: ExitStack) -> Any:
        container = self.encoding.container
        if self.growing:
            path, options = Path(self.path), _GROWING[container] | {"flush_packets": "1"}
        else:
            path, options = stack.enter_context(atomic_path(self.path)), {"movflags": "+faststart"}
        return av.open(f"file:{path}", "w", format=container, options=options)

    def _add_video(self) -> Any:
        encoding = self.encoding
        stream: Any = self._container.add_stream(
            encoding.video_codec,
            rate=Fraction(min(max(self.fps, 1.0), 240.0)).limit_denominator(1001),
            options=dict(encoding.options),
        )
        even, size = encoding.even_size, (self.width, self.height)
        stream.width, stream.height = (n + n % 2 if even else n for n in size)
        stream.pix_fmt = encoding.pix_fmt
        stream.time_base = Fraction(1, _CLOCK)
        context = stream.codec_context
        context.time_base = Fraction(1, _CLOCK)
        context.sample_aspect_ratio = self.sample_aspect_ratio
        # A keyframe every two seconds makes seeking fast.
        context.gop_size = round(min(max(2 * self.fps, 1), 250))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        return stream

    def _sound(self) -> Sound | None:
        track = self.audio_from
        if self.audio is not None:
            return self.audio if isinstance(self.audio, Sound) else _sound_of_array(*self.audio, self.start)
        if track is not None and not isinstance(track, AudioTrack):
            track = choose_audio(probe(track))
        if track is None:
            return None
        sample_rate, layout = _aac_rate(track.sample_rate), aac_layout(track.layout)
        track = replace(track, origin=track.origin + self.start)
        options = {"sample_rate": sample_rate, "layout": layout}
        return Sound(read_audio_blocks(track, **options, start=0.0, end=self._duration), **options)


def _sound_of_array(waveform: F32, source_rate: int, start: float) -> Sound:
    samples = np.atleast_2d(waveform).T.astype(np.float32)  # [S,C]
    sample_rate = _aac_rate(source_rate)
    if sample_rate != source_rate:
        samples = soxr.resample(samples, source_rate, sample_rate)
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    return Sound(iter([AudioBlock(-round(start * sample_rate), samples)]), sample_rate, layout)


class _AudioWriter:
    """The audio of a file being written: gapless from time zero to its own end, or the given one."""

    def __init__(self, container: Any, codec: str, sound: Sound, duration: float) -> None:
        channels, self._sample_rate = len(AAC_LAYOUTS[sound.layout]), sound.sample_rate
        self._container = container
        self._num_samples = duration * sound.sample_rate
        self._layout = sound.layout
        self._reader = AudioWindowReader(sound.blocks, channels)
        self._position = 0
        self._stream = container.add_stream(codec, rate=sound.sample_rate, layout=sound.layout)
        self._stream.bit_rate = min(96_000, 6 * sound.sample_rate) * channels  # ignored for PCM

    def write_until(self, time: float) -> None:
        """Encode the audio up to a time in seconds, or to its end."""
        while self._position < time * self._sample_rate and self._write_frame():
            pass

    def finish(self) -> None:
        """Encode the rest."""
        while self._write_frame():
            pass
        self._container.mux(self._stream.encode(None))

    def _write_frame(self) -> bool:
        samples = self._reader.read(self._position, self._position + _AAC_FRAME)
        if self._reader.end is not None:
            samples = samples[: max(0, self._reader.end - self._position)]
        if self._position + len(samples) > self._num_samples:
            samples = samples[: max(0, round(self._num_samples) - self._position)]
        if not len(samples):
            return False
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", self._layout)
        frame.sample_rate = self._sample_rate
        frame.pts, frame.time_base = self._position, Fraction(1, self._sample_rate)
        self._container.mux(self._stream.encode(frame))
        self._position += len(samples)
        return True


def _aac_rate(sample_rate: int) -> int:
    """Choose the sample rate to write: the next higher one that browsers play, 48 kHz at most."""
    return next((r for r in _AAC_RATES if r >= sample_rate), _AAC_RATES[-1])


def _pad_to_even(image: U8) -> U8:
    """Repeat the last column and row of odd sizes."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)

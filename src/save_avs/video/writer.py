"""A video file, written while frames arrive; unless told, one any browser plays: H.264 and AAC in mp4."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
import soxr
from av.video.reformatter import Colorspace, VideoReformatter

from save_avs._files import atomic_path
from save_avs.audio.channels import AAC_LAYOUTS, aac_layout
from save_avs.errors import MediaError
from save_avs.types import F32, U8
from save_avs.video.audio_blocks import AudioBlock, AudioWindowReader
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.codecs import H264, VideoEncoding
from save_avs.video.probe import probe

_CLOCK = 90_000  # ticks a second: holds 24, 25, 30, 30000/1001 and 60 fps exactly
_LONGEST = 2**31 - 1  # ticks that a frame of an mp4 can last
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_FRAME = 1024
_BT709 = 1  # the code that H.264 and FFmpeg give BT.709's matrix, primaries and transfer alike
_LIMITED_RANGE = 1


class VideoWriter:
    """Writes frames, each at its own time, and sound beside them.

    The file is written aside and appears under its name when the block ends well; otherwise nothing
    of it stays. Odd sizes are padded by a pixel where the film's color planes need it. Sound is always
    re-encoded, and silence is written where it starts late or has gaps, so that every player keeps it
    in sync. Memory does not grow with the video, but for the index that mp4 keeps at its front.

    Args:
        path: the file to write.
        width: of the frames.
        height: of the frames.
        fps: what to expect, above 0; guides the rate control, and the last frame is shown for 1/fps seconds.
        audio_from: a video whose whole sound is taken over, on the clock that ``read_video_chunks`` gives it.
        audio: or sound from memory: (f32 [S] or [C,S] with C of 1 or 2, in -1..1; its rate).
        sample_aspect_ratio: width of a pixel over its height.
        encoding: how it is coded.

    Raises:
        MediaError: hours pass between two frames.
        ValueError: ``audio_from`` and ``audio`` both given, or times that do not increase.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        width: int,
        height: int,
        fps: float,
        audio_from: str | os.PathLike[str] | None = None,
        audio: tuple[F32, int] | None = None,
        sample_aspect_ratio: Fraction = Fraction(1),
        encoding: VideoEncoding = H264,
    ) -> None:
        if audio_from is not None and audio is not None:
            raise ValueError("give audio_from or audio, not both")
        self._path = Path(path)
        self._size = (width, height)
        self._fps = fps
        self._audio_from = audio_from
        self._audio = audio
        self._pixel_aspect = sample_aspect_ratio
        self._film = encoding
        self._stack = ExitStack()
        self._to_yuv = VideoReformatter()
        self._last: int | None = None  # time of the last frame, in ticks

    def __enter__(self) -> Self:
        part = self._stack.enter_context(atomic_path(self._path))
        try:
            self._container = self._stack.enter_context(
                av.open(f"file:{part}", "w", format=self._film.container, options={"movflags": "+faststart"})
            )
            self._video = self._add_video()
            self._sound = self._add_sound()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def write(self, image: U8, time: float) -> None:
        """Add a frame, u8 [H,W,C] as the film has it, shown from ``time`` seconds on; times must increase."""
        encoding = self._film
        if image.shape != (self._size[1], self._size[0], encoding.channels):
            raise ValueError(f"frame of shape {image.shape} in a video of {self._size[0]} x {self._size[1]}")
        pts = round(time * _CLOCK)
        if self._last is not None and pts <= self._last:
            raise ValueError(f"times must increase: {time} s after {self._last / _CLOCK} s")
        if self._last is not None and pts - self._last > _LONGEST:
            raise MediaError(
                f"{self._path}: {(pts - self._last) / _CLOCK:.0f} s pass between two frames: too many"
            )
        self._last = pts
        image = _even(image) if encoding.even else np.ascontiguousarray(image)
        frame = av.VideoFrame.from_numpy_buffer(image, format=encoding.picture)
        frame = self._to_yuv.reformat(frame, format=encoding.coded, dst_colorspace=Colorspace.ITU709)
        frame.pts, frame.time_base = pts, Fraction(1, _CLOCK)
        self._container.mux(self._video.encode(frame))
        if self._sound is not None:
            self._sound.write_until(time)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self._finish()

    def _add_video(self) -> Any:
        stream: Any = self._container.add_stream(
            self._film.codec,
            rate=Fraction(min(max(self._fps, 1.0), 240.0)).limit_denominator(1001),
            options=dict(self._film.options),
        )
        stream.width, stream.height = (n + n % 2 if self._film.even else n for n in self._size)
        stream.pix_fmt = self._film.coded
        stream.time_base = Fraction(1, _CLOCK)
        context = stream.codec_context
        context.time_base = Fraction(1, _CLOCK)
        context.sample_aspect_ratio = self._pixel_aspect
        # A keyframe every two seconds makes seeking quick.
        context.gop_size = round(min(max(2 * self._fps, 1), 250))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        return stream

    def _add_sound(self) -> _SoundTrack | None:
        if self._audio is not None:
            return _SoundTrack.from_array(self._container, *self._audio, codec=self._film.sound)
        if self._audio_from is not None:
            return _SoundTrack.from_file(self._container, Path(self._audio_from), codec=self._film.sound)
        return None

    def _finish(self) -> None:
        if self._last is None:
            raise ValueError("a video needs at least one frame")
        self._container.mux(self._video.encode(None))
        if self._sound is not None:
            self._sound.finish()


class _SoundTrack:
    """The sound of a file being written: gapless from time zero to its own end."""

    def __init__(
        self, container: Any, blocks: Iterator[AudioBlock], *, rate: int, layout: str, codec: str
    ) -> None:
        channels = len(AAC_LAYOUTS[layout])
        self._container = container
        self._rate = rate
        self._layout = layout
        self._window = AudioWindowReader(blocks, channels)
        self._position = 0
        self._stream = container.add_stream(codec, rate=rate, layout=layout)
        self._stream.bit_rate = min(96_000, 6 * rate) * channels  # of no effect on PCM

    @classmethod
    def from_file(cls, container: Any, path: Path, *, codec: str) -> _SoundTrack | None:
        info = probe(path)
        if not info.has_audio:
            return None
        rate, layout = _aac_rate(info.sample_rate), aac_layout(info.audio_layout)
        return cls(
            container,
            read_audio_blocks(path, sample_rate=rate, layout=layout, origin=info.origin),
            rate=rate,
            layout=layout,
            codec=codec,
        )

    @classmethod
    def from_array(cls, container: Any, waveform: F32, source_rate: int, *, codec: str) -> _SoundTrack:
        samples = np.atleast_2d(waveform).T.astype(np.float32)  # [S,C]
        rate = _aac_rate(source_rate)
        if rate != source_rate:
            samples = soxr.resample(samples, source_rate, rate)
        layout = "mono" if samples.shape[1] == 1 else "stereo"
        return cls(container, iter([AudioBlock(0, samples)]), rate=rate, layout=layout, codec=codec)

    def write_until(self, time: float) -> None:
        """Encode the sound up to a time in seconds, or to its end."""
        while self._position < time * self._rate and self._write_frame():
            pass

    def finish(self) -> None:
        """Encode what is left."""
        while self._write_frame():
            pass
        self._container.mux(self._stream.encode(None))

    def _write_frame(self) -> bool:
        samples = self._window.read(self._position, self._position + _AAC_FRAME)
        if self._window.end is not None:
            samples = samples[: max(0, self._window.end - self._position)]
        if not len(samples):
            return False
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._position, Fraction(1, self._rate)
        self._container.mux(self._stream.encode(frame))
        self._position += len(samples)
        return True


def _aac_rate(rate: int) -> int:
    """Choose the rate to write: the next one up that browsers play, 48 kHz at most."""
    return next((r for r in _AAC_RATES if r >= rate), _AAC_RATES[-1])


def _even(image: U8) -> U8:
    """Repeat the last column and row of odd sizes."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)

"""Videos to segment, which can be read more than once: a file, or arrays in memory."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from save_avs._text import resolved_path_text
from save_avs.errors import MediaError
from save_avs.inference.arrays import LOUD
from save_avs.inference.frame_folder import is_frame_folder, read_frame_folder
from save_avs.inference.settings import SegmentationSettings
from save_avs.inference.spooled_input import VideoInput, input_fingerprint
from save_avs.types import VideoChunk
from save_avs.video import VideoInfo, probe, read_video_chunks
from save_avs.video.audio_blocks import AudioBlock, AudioBuffer, sample_range
from save_avs.video.audio_level import LevelMeter, quiet_sound_advice
from save_avs.video.container import Warn, ignore_warning
from save_avs.video.frame_decoder import ReadReport
from save_avs.video.probe import choose_audio

_AUDIO_MARGIN = 0.5  # seconds of sound before and after a chunk
_MAX_SPAN = 60.0  # seconds of a chunk of arrays: its sound is in memory, silence included


@dataclass(frozen=True)
class VideoSource:
    """Frames and their sound, on one clock."""

    video: VideoInfo  # size, frame rate, duration and audio of the video
    name: str  # identifies the video in written files: the absolute path of a file, or the URL
    label: str  # names the video in messages: the path as it was given, or the URL
    audio: Mapping[str, Any]  # its sound, as keyword arguments of ``VideoWriter``
    # reads the video from the start; takes the options of ``read_video_chunks``
    read_chunks: Callable[..., Iterator[VideoChunk]]
    # of the content as it was opened; empty for arrays
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    current_fingerprint: Callable[[], Mapping[str, Any]] = dict  # of the content as it is now

    def check_unchanged(self) -> None:
        """Raise a MediaError where the content has changed since it was opened."""
        if self.current_fingerprint() != self.fingerprint:
            raise MediaError(f"{self.label}: changed while it was segmented: run again")


def open_source(given: VideoInput, settings: SegmentationSettings) -> VideoSource:
    """Open a video file, a folder of images with their sound, or what has to be copied first.

    Raises:
        UsageError: no such file.
        MediaError: it cannot be read as video, or has no such audio track.
    """
    if isinstance(given, Path):
        source = _file_source(given, settings)
    else:
        with given.naming():
            copied = _file_source(given.local, settings)

        def read_chunks(*, on_warning: Warn | None = None, **options: Any) -> Iterator[VideoChunk]:
            with given.naming() as rename:
                warn = on_warning and (lambda text: on_warning(rename(text)))
                yield from copied.read_chunks(on_warning=warn, **options)

        source = replace(copied, name=given.label, label=given.label, read_chunks=read_chunks)
    current = partial(input_fingerprint, given, settings)
    return replace(source, fingerprint=current(), current_fingerprint=current)


def _file_source(path: Path, settings: SegmentationSettings) -> VideoSource:
    """Open a video file, which is read through FFmpeg, or a folder of images with their sound."""
    if is_frame_folder(path, settings.audio):
        frames = read_frame_folder(path, settings.audio, settings.audio_track)
        return replace(array_source(frames, str(path)), name=resolved_path_text(path))
    video = probe(path)
    track = choose_audio(video, settings.audio_track, settings.audio)
    audio = {} if track is None else {"audio_from": track}
    chunks = partial(read_video_chunks, path)
    return VideoSource(video, resolved_path_text(path), str(path), audio, chunks)


def array_source(arrays: VideoChunk, name: str) -> VideoSource:
    """Wrap arrays in memory: at least one frame, and sound that begins at time 0.

    Chunks have the sound at its own sample rate.
    """
    _, height, width, _ = arrays.frames.shape
    steps = np.diff(arrays.times)
    step = float(np.median(steps)) if len(steps) else 1.0
    has_audio = len(arrays.waveform) > 0
    video = VideoInfo(
        path=Path(name),
        width=width,
        height=height,
        fps=1 / step,
        duration=float(arrays.times[-1]) + step,
        has_audio=has_audio,
        sample_rate=arrays.sample_rate if has_audio else 0,
        audio_layout="mono" if has_audio else "",
        sample_aspect_ratio=Fraction(1),
        origin=0.0,
    )

    def read_chunks(
        *,
        fps: float | None = None,
        chunk: int = 16,
        start: float = 0.0,
        end: float | None = None,
        normalize_audio: bool = False,
        report: ReadReport | None = None,
        on_warning: Warn | None = None,
        **_: Any,
    ) -> Iterator[VideoChunk]:
        picked = np.flatnonzero((arrays.times >= start) & (arrays.times < (math.inf if end is None else end)))
        if report is not None:
            report.frames_decoded = len(picked)
        warn = on_warning or ignore_warning
        if not has_audio:
            warn(f"{name}: has no sound")
        if (peak := float(np.abs(arrays.waveform).max(initial=0))) > LOUD:
            warn(f"{name}: the waveform reaches {peak:.3g}: floats should be in -1..1")
        meter = LevelMeter(arrays.sample_rate)
        meter.add(arrays.waveform)
        gain = meter.gain if normalize_audio else 1.0
        if has_audio and gain == 1 and (advice := quiet_sound_advice(meter.level)):
            warn(f"{name}: {advice}")
        buffer = AudioBuffer()
        sound = arrays.waveform if gain == 1 else np.clip(arrays.waveform * np.float32(gain), -1, 1)
        buffer.add(AudioBlock(0, sound[:, None]))
        if fps is not None:
            picked = picked[np.unique(np.floor(arrays.times[picked] * fps + 1e-6), return_index=True)[1]]
        first = 0
        while first < len(picked):
            part = picked[first : first + chunk]
            part = part[arrays.times[part] <= arrays.times[part[0]] + _MAX_SPAN]
            low, high = sample_range(arrays.times[part], _AUDIO_MARGIN, arrays.sample_rate)
            yield replace(
                arrays,
                frames=arrays.frames[part],
                times=arrays.times[part],
                waveform=buffer.window(low, high)[:, 0] if has_audio else arrays.waveform,
                waveform_start=low / arrays.sample_rate,
                first_index=first,
                source_indices=arrays.source_indices[part],
            )
            first += len(part)

    audio = {"audio": (arrays.waveform, arrays.sample_rate)} if has_audio else {}
    return VideoSource(video, name, name, audio, read_chunks)

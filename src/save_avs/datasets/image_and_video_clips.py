"""Clips stored as images or as videos, and one split of a data set as a list of them.

Clips open their files only when they are read. Every reader raises DataError if a file is missing or broken;
the message names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel_at
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import (
    ClipPaths,
    ReadAnnotation,
    log_mel_per_second,
    read_frame,
    read_mask,
    read_waveform,
)
from save_avs.datasets.stored_files import ShardMember, StoredFile, local_copy, open_image
from save_avs.errors import DataError, MediaError, UsageError
from save_avs.types import F32, U8, AVSample, Bool
from save_avs.video.audio_blocks import AudioWindowReader
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.probe import AudioTrack, choose_audio, probe
from save_avs.video.reader import read_video_chunks

MASKS = ".masks"  # folder of a video's masks, in place of its suffix
INTERVAL_S = 1.0  # at most one annotated frame of a video is read in each

Result = TypeVar("Result")


class ClipFile(NamedTuple):
    """A file of a clip, and what reads it."""

    kind: Literal["frame", "annotation", "audio", "video"]
    path: StoredFile
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class ImageSequenceClip:
    """A clip stored as images, annotations of some of them, and audio."""

    metadata: ClipMetadata  # of the benchmark's table
    paths: ClipPaths[StoredFile]  # its files
    read_annotation: ReadAnnotation = read_mask  # reads an annotation, u8 [H,W], 0 for the background
    # VGGish patch of the first frame. Frame k belongs to the patch k later; other front-ends take the audio
    # around the same time.
    first_log_mel_patch: int = 0
    # for frames cut from a video, their times in seconds; each frame's patch is centered there
    times: tuple[float, ...] | None = None
    # short audio repeats its last patch for the remaining frames; else they get zeros
    repeat_last_patch: bool = True

    def files(self) -> Iterator[ClipFile]:
        """List its files."""
        for path in self.paths.frames:
            yield ClipFile("frame", path, read_frame)
        for path in self.paths.annotations:
            if path is not None:
                yield ClipFile("annotation", path, self.read_annotation)
        yield ClipFile("audio", self.paths.audio, read_waveform)

    def annotation_names(self, folder: PurePath) -> list[str | None]:
        """Return each annotation's path in the data set's folder, in a shard its name; None without."""
        return [
            path.record.name
            if isinstance(path, ShardMember)
            else path and path.relative_to(folder).as_posix()
            for path in self.paths.annotations
        ]

    def frame_size(self) -> tuple[int, int]:
        """Return the height and width of its frames; only the head of the first one is read."""
        with open_image(self.paths.frames[0]) as image:
            return image.height, image.width

    def waveform(self, sample_rate: int = SAMPLE_RATE) -> F32:
        """Read its audio, mono, f32 [S]."""
        return read_waveform(self.paths.audio, sample_rate)

    def log_mel(self, frontend: Frontend = VGGISH) -> F32:
        """Compute the log-mel patch of each frame, f32 [T,frames,bands]."""
        return self._log_mel_of(self.waveform(frontend.sample_rate), frontend)

    def _log_mel_of(self, waveform: F32, frontend: Frontend) -> F32:
        """Take the patch of each frame."""
        if self.times is not None:
            return log_mel_at(waveform, frontend.sample_rate, self.times, frontend=frontend)
        patches = log_mel_per_second(waveform, frontend)
        frames = np.arange(self.first_log_mel_patch, self.first_log_mel_patch + len(self.paths.frames))
        chosen = patches[np.minimum(frames, len(patches) - 1)]
        if not self.repeat_last_patch:
            chosen[frames >= len(patches)] = 0
        return chosen

    def read(self, *, labeled: bool, waveform: F32 | None = None, frontend: Frontend = VGGISH) -> AVSample:
        """Read everything at the frames' own size."""
        images = [read_frame(path) for path in self.paths.frames]
        for path, image in zip(self.paths.frames, images, strict=True):
            if image.shape != images[0].shape:
                (h, w), (first_h, first_w) = image.shape[:2], images[0].shape[:2]
                raise DataError(f"{path}: is {w} x {h}, the clip's first frame {first_w} x {first_h}")
        frames = np.stack(images)
        annotations = np.zeros(frames.shape[:3], np.uint8)
        for k, path in enumerate(self.paths.annotations):
            if path is not None:
                annotations[k] = _resize_annotation(self.read_annotation(path), frames.shape[1:3], path)
        return AVSample(
            name=self.metadata.name,
            frames=frames,
            log_mel=self.log_mel(frontend) if waveform is None else self._log_mel_of(waveform, frontend),
            masks=annotations > 0,
            has_mask=np.array([path is not None for path in self.paths.annotations]),
            valid=np.ones(len(frames), bool),
            labels=annotations if labeled else None,
        )


def _resize_annotation(annotation: U8, size: tuple[int, int], path: StoredFile) -> U8:
    """Bring an annotation that was stored at another scale to its frame's size, by nearest neighbor."""
    if annotation.shape == size:
        return annotation
    (h, w), (frame_h, frame_w) = annotation.shape, size
    if abs(h - w * frame_h / frame_w) > 1:
        raise DataError(f"{path}: is {w} x {h}, its frame {frame_w} x {frame_h}: not the same image")
    return np.asarray(Image.fromarray(annotation).resize((frame_w, frame_h), Image.Resampling.NEAREST))


class AnnotatedFrame(NamedTuple):
    """A frame of a video, u8 [H,W,3], its time in seconds and the file of its mask."""

    frame: U8
    time: float
    mask: PurePath


@dataclass(frozen=True)
class VideoFileClip:
    """A video, and masks of some of its frames."""

    metadata: ClipMetadata
    path: PurePath
    masks: dict[int, PurePath]  # by the frame's index in the video

    def files(self) -> Iterator[ClipFile]:
        """List the video and its masks."""
        yield ClipFile("video", self.path, partial(_as_data_error, _find_audio))
        for path in self.masks.values():
            yield ClipFile("annotation", path, read_mask)

    def waveform(self, sample_rate: int = SAMPLE_RATE) -> F32:
        """Read all of its audio, mono, f32 [S]; the first sample is at time 0 of the frames."""
        return _as_data_error(partial(_read_all_audio, sample_rate=sample_rate), self.path)

    def log_mel(self, frontend: Frontend = VGGISH) -> F32:
        """Compute the patches of the annotated frames, f32 [T,frames,bands]; their times need the video."""
        return self.read(labeled=False, frontend=frontend).log_mel

    def read(self, *, labeled: bool, waveform: F32 | None = None, frontend: Frontend = VGGISH) -> AVSample:
        """Read the annotated frames, at most one per second, each with the audio around its own time."""
        shots = self.annotated_frames()
        audio = self.waveform(frontend.sample_rate) if waveform is None else waveform
        times = [shot.time for shot in shots]
        return AVSample(
            name=self.metadata.name,
            frames=np.stack([shot.frame for shot in shots]),
            log_mel=log_mel_at(audio, frontend.sample_rate, times, frontend=frontend),
            masks=np.stack([_read_mask_of(shot) for shot in shots]),
            has_mask=np.ones(len(shots), bool),
            valid=np.ones(len(shots), bool),
        )

    def annotated_frames(self) -> list[AnnotatedFrame]:
        """Decode the annotated frames, at most one per second; there must be one."""
        frames = _as_data_error(lambda path: list(_annotated_frames(path, self.masks)), self.path)
        if not frames:
            raise DataError(f"{self.path}: none of its frames has a mask in {self.path.stem}{MASKS}")
        return frames


def _annotated_frames(path: Path, masks: Mapping[int, PurePath]) -> Iterator[AnnotatedFrame]:
    last = previous = -1
    for chunk in read_video_chunks(path):
        for k, time in enumerate(chunk.times):
            index = int(chunk.source_indices[k])
            mask = None if index == previous else masks.get(index)  # a held frame is read more than once
            previous = index
            second = math.floor(time / INTERVAL_S + 1e-6)
            if mask is not None and second != last:
                last = second
                yield AnnotatedFrame(chunk.frames[k], float(time), mask)


def _read_mask_of(shot: AnnotatedFrame) -> Bool:
    mask = read_mask(shot.mask) > 0
    if mask.shape != shot.frame.shape[:2]:
        (h, w), (frame_h, frame_w) = mask.shape, shot.frame.shape[:2]
        raise DataError(f"{shot.mask}: is {w} x {h}, its frame {frame_w} x {frame_h}")
    return mask


def _find_audio(path: Path) -> AudioTrack:
    track = choose_audio(probe(path))
    if track is None:
        raise MediaError(f"{path}: has no audio")
    return track


def _read_all_audio(path: Path, *, sample_rate: int) -> F32:
    blocks = list(read_audio_blocks(_find_audio(path), sample_rate=sample_rate, layout="mono"))
    if not blocks:
        raise MediaError(f"{path}: its audio cannot be decoded")
    return AudioWindowReader(iter(blocks)).read(0, blocks[-1].end)[:, 0]


def _as_data_error(read: Callable[[Path], Result], path: PurePath) -> Result:
    """Read a video; whatever is wrong with it is an error of the data set."""
    copy = local_copy(path)
    try:
        return read(copy)
    except (MediaError, UsageError) as error:
        raise DataError(str(error).replace(str(copy), str(path))) from error


ClipEntry = ImageSequenceClip | VideoFileClip


@dataclass(frozen=True)
class ClipDataset:
    """One split of a data set, whose waveforms can be changed and put back, or given to another front-end.

    Name, split and classes are those of ``AVDataset``.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    entries: Sequence[ClipEntry]  # the clips, in the order of the benchmark's own table
    frontend: Frontend = VGGISH  # of the log-mel of its samples
    folder: PurePath = Path()  # that holds its files
    # length to which the benchmark's public code pads clips, in frames; it scores the padding as background
    # that is found. 0 where it pads none. Samples are not padded.
    padded_to: int = 0

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, i: int) -> AVSample:
        return self.read(i)

    def read(self, i: int, *, waveform: F32 | None = None) -> AVSample:
        """Read a clip; its log-mel is computed from ``waveform`` if one is given."""
        return self.entries[i].read(labeled=bool(self.classes), waveform=waveform, frontend=self.frontend)

    @property
    def sample_rate(self) -> int:
        """Sample rate of ``waveform``, in Hz."""
        return self.frontend.sample_rate

    def waveform(self, i: int) -> F32:
        """Read the audio of a clip, mono, f32 [S]."""
        return self.entries[i].waveform(self.sample_rate)

    def with_frontend(self, frontend: Frontend) -> ClipDataset:
        """Return the same clips with the log-mel of another front-end."""
        return replace(self, frontend=frontend)

    def metadata(self, i: int) -> ClipMetadata:
        """Describe a clip without opening its files."""
        return self.entries[i].metadata

    def num_annotated(self, i: int) -> int | None:
        """Count the annotated frames of a clip; None for a video, which is decoded to know them."""
        entry = self.entries[i]
        if isinstance(entry, VideoFileClip):
            return None
        return sum(path is not None for path in entry.paths.annotations)

    def padding(self, i: int) -> int:
        """Return how many frames of padding the public code appends to a clip."""
        entry = self.entries[i]
        frames = len(entry.paths.frames) if isinstance(entry, ImageSequenceClip) else self.padded_to
        return max(0, self.padded_to - frames)

    def log_mel(self, i: int) -> F32:
        """Compute the log-mel patches of a clip, f32 [T,frames,bands], without decoding its images."""
        return self.entries[i].log_mel(self.frontend)

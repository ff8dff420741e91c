"""Any folder of videos with masks.

On disk, each of these in the folder itself, or in its folders ``train``, ``val`` and ``test``::

    NAME.mp4                  any video that FFmpeg reads, with audio
    NAME.masks/000000.png     the mask of frame 0, in the video's own frame order; of some frames or of all
    scenes.json               optional: what sounds, as `save-avs data compose` writes it

A folder without split folders is all ``test``. Audio is paired with frames by their times. Of masks closer
than the benchmarks' pace, one per second is used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from save_avs._files import read_regular
from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel_at
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import read_mask
from save_avs.datasets.clips import ClipEntry, ClipFile
from save_avs.datasets.spec import SPLITS, DatasetSpec
from save_avs.errors import DataError, MediaError, UsageError
from save_avs.types import F32, U8, AVSample, Bool
from save_avs.video.audio_blocks import AudioWindowReader
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.discovery import VIDEO_SUFFIXES
from save_avs.video.probe import VideoInfo, probe
from save_avs.video.reader import read_video_chunks

MASKS = ".masks"
SCENES = "scenes.json"
INTERVAL_S = 1.0

Result = TypeVar("Result")


class AnnotatedFrame(NamedTuple):
    """A frame of a video, u8 [H,W,3], its time in seconds and the file of its mask."""

    frame: U8
    time: float
    mask: Path


@dataclass(frozen=True)
class VideoFileClip:
    """A video, and masks of some of its frames.

    Attributes:
        metadata: what is known of it.
        path: the video.
        masks: the mask of each annotated frame, by the frame's index in the video.
    """

    metadata: ClipMetadata
    path: Path
    masks: dict[int, Path]

    def files(self) -> Iterator[ClipFile]:
        """List the video and its masks."""
        yield ClipFile("video", self.path, partial(_as_data_error, _probe_with_audio))
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
        """Decode the annotated frames, at most one per second.

        Raises:
            DataError: the video is broken, or none of its frames is annotated.
        """
        frames = _as_data_error(lambda path: list(_annotated_frames(path, self.masks)), self.path)
        if not frames:
            raise DataError(f"{self.path}: none of its frames has a mask in {self.path.stem}{MASKS}")
        return frames


def _annotated_frames(path: Path, masks: Mapping[int, Path]) -> Iterator[AnnotatedFrame]:
    last = -1
    for chunk in read_video_chunks(path):
        for k, time in enumerate(chunk.times):
            mask = masks.get(chunk.first_index + k)
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


def _probe_with_audio(path: Path) -> VideoInfo:
    info = probe(path)
    if not info.has_audio:
        raise MediaError(f"{path}: has no audio")
    return info


def _read_all_audio(path: Path, *, sample_rate: int) -> F32:
    info = _probe_with_audio(path)
    blocks = list(read_audio_blocks(path, sample_rate=sample_rate, layout="mono", origin=info.origin))
    if not blocks:
        raise MediaError(f"{path}: its audio cannot be decoded")
    return AudioWindowReader(iter(blocks)).read(0, blocks[-1].end)[:, 0]


def _as_data_error(read: Callable[[Path], Result], path: Path) -> Result:
    """Read a video; whatever is wrong with it is an error of the data set."""
    try:
        return read(path)
    except (MediaError, UsageError) as error:
        raise DataError(str(error)) from error


def _videos_in(folder: Path) -> list[Path]:
    """Return the videos of a folder that have masks next to them, sorted."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in VIDEO_SUFFIXES and path.with_suffix(MASKS).is_dir()
    )


def _entries(folder: Path, split: str, _: int) -> list[ClipEntry]:
    if any((folder / name).is_dir() for name in SPLITS):
        folder = folder / split
    elif split != "test":
        raise UsageError(
            f"{folder} has no folders train, val and test, so all of it is 'test', not '{split}'"
        )
    categories = _read_categories(folder / SCENES)
    return [
        VideoFileClip(
            ClipMetadata(path.stem, path.stem, categories.get(path.name, ())),
            path,
            {int(mask.stem): mask for mask in path.with_suffix(MASKS).glob("*.png") if mask.stem.isdigit()},
        )
        for path in _videos_in(folder)
    ]


def _read_categories(path: Path) -> dict[str, tuple[str, ...]]:
    """Read what sounds in each video, by its file name, from ``scenes.json``."""
    if not path.exists():
        return {}
    try:
        return {
            scene["file"]: tuple(sorted({s["class"] for s in scene["audio_sources"] if s["in_view"]}))
            for scene in json.loads(read_regular(path))
        }
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{path}: not as `save-avs data compose` writes it ({error!r})") from error


@dataclass(frozen=True)
class _VideoFolderSpec(DatasetSpec):
    """Found by its videos instead of a table."""

    def find(self, root: Path) -> Path | None:
        """Return the root itself if it or one of its split folders has a video with masks."""
        folders = (root, *(root / split for split in SPLITS))
        return root if any(_videos_in(folder) for folder in folders) else None

    def expected_files(self) -> str:
        """Describe the files that mark the folder."""
        return f"NAME.mp4 next to NAME{MASKS}/000000.png"


VIDEO_FOLDER = _VideoFolderSpec(
    name="folder",
    title="videos with masks",
    folders=(),
    tables=(),
    official_counts={},
    entries=_entries,
)

"""Any folder of films with masks.

On disk, each of these in the folder itself, or in its folders ``train``, ``val`` and ``test``::

    NAME.mp4                  any film that FFmpeg reads, with its sound
    NAME.masks/000000.png     the mask of frame 0, counted in the film's own order; of some frames or of all
    scenes.json               optional: what sounds, as `save-avs data compose` writes it

A folder without split folders is all ``test``. Sound is paired with frames by their times. Of masks that
lie closer than the benchmarks' pace, one a second is taken.
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
EVERY_S = 1.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class VideoFileClip:
    """A film, and masks of some of its frames.

    Attributes:
        metadata: what is known of it.
        path: the film.
        masks: the mask of each annotated frame, by the frame's number in the film.
    """

    metadata: ClipMetadata
    path: Path
    masks: dict[int, Path]

    def parts(self) -> Iterator[ClipFile]:
        """The film and its masks."""
        yield ClipFile("film", self.path, _probe)
        for path in self.masks.values():
            yield ClipFile("truth", path, read_mask)

    def waveform(self, sample_rate: int = SAMPLE_RATE) -> F32:
        """The whole sound, mono, f32 [S]; its first sample stands at time 0 of the frames.

        Raises:
            DataError: when the film is broken or has no sound.
        """
        return _film(self.path, partial(_whole_sound, sample_rate=sample_rate))

    def hear(self, frontend: Frontend = VGGISH) -> F32:
        """The patches of the annotated frames, f32 [T,frames,bands]; the film alone knows their times.

        Raises:
            DataError: when the film or a mask is broken.
        """
        return self.read(labeled=False, frontend=frontend).log_mel

    def read(self, *, labeled: bool, waveform: F32 | None = None, frontend: Frontend = VGGISH) -> AVSample:
        """Read the annotated frames, one in each second at most, each with the sound around its own time.

        ``waveform`` stands in for the film's own sound.

        Raises:
            DataError: when the film or a mask is broken, or the film has no sound or no annotated frame.
        """
        shots = self.shots()
        sound = self.waveform(frontend.sample_rate) if waveform is None else waveform
        times = [shot.time for shot in shots]
        every = np.ones(len(shots), bool)
        return AVSample(
            name=self.metadata.name,
            frames=np.stack([shot.frame for shot in shots]),
            log_mel=log_mel_at(sound, frontend.sample_rate, times, frontend=frontend),
            masks=np.stack([_mask(shot.mask, shot.frame) for shot in shots]),
            has_mask=every,
            valid=every.copy(),
        )

    def shots(self) -> list[AnnotatedFrame]:
        """The annotated frames, one in each second at most.

        Raises:
            DataError: when the film is broken, or none of its frames is annotated.
        """
        shots = _film(self.path, lambda path: list(_annotated(path, self.masks)))
        if not shots:
            raise DataError(f"{self.path}: none of its frames has a mask in {self.path.stem}{MASKS}")
        return shots


class AnnotatedFrame(NamedTuple):
    """A frame of a film, u8 [H,W,3], its time in seconds and the file of its mask."""

    frame: U8
    time: float
    mask: Path


def _annotated(path: Path, masks: Mapping[int, Path]) -> Iterator[AnnotatedFrame]:
    last = -1
    for clip in read_video_chunks(path):
        for k, time in enumerate(clip.times):
            mask = masks.get(clip.first_index + k)
            second = math.floor(time / EVERY_S + 1e-6)
            if mask is not None and second != last:
                last = second
                yield AnnotatedFrame(clip.frames[k], float(time), mask)


def _audible(path: Path) -> VideoInfo:
    info = probe(path)
    if not info.has_audio:
        raise MediaError(f"{path}: has no sound")
    return info


def _whole_sound(path: Path, *, sample_rate: int) -> F32:
    info = _audible(path)
    blocks = list(read_audio_blocks(path, sample_rate=sample_rate, layout="mono", origin=info.origin))
    if not blocks:
        raise MediaError(f"{path}: its sound cannot be decoded")
    return AudioWindowReader(iter(blocks)).read(0, blocks[-1].end)[:, 0]


def _film(path: Path, read: Callable[[Path], Result]) -> Result:
    """What is read of a film; all that goes wrong with it is an error of the data.

    Raises:
        DataError: when it is missing or broken.
    """
    try:
        return read(path)
    except (MediaError, UsageError) as error:
        raise DataError(str(error)) from error


def _probe(path: Path) -> VideoInfo:
    return _film(path, _audible)


def _mask(path: Path, frame: U8) -> Bool:
    mask = read_mask(path) > 0
    if mask.shape != frame.shape[:2]:
        (h, w), (frame_h, frame_w) = mask.shape, frame.shape[:2]
        raise DataError(f"{path}: is {w} x {h}, its frame {frame_w} x {frame_h}")
    return mask


def films_in(folder: Path) -> list[Path]:
    """The films of a folder that have masks beside them, sorted."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in VIDEO_SUFFIXES and path.with_suffix(MASKS).is_dir()
    )


def _place(home: Path, split: str) -> Path:
    """The folder of a split; without split folders the whole is ``test``.

    Raises:
        UsageError: when there is nothing for the split.
    """
    if any((home / name).is_dir() for name in SPLITS):
        return home / split
    if split != "test":
        raise UsageError(f"{home} has no folders train, val and test, so all of it is 'test', not '{split}'")
    return home


def _entries(home: Path, split: str, _: int) -> list[ClipEntry]:
    place = _place(home, split)
    categories = _categories(place / SCENES)
    return [
        VideoFileClip(
            ClipMetadata(path.stem, path.stem, categories.get(path.name, ())),
            path,
            {int(mask.stem): mask for mask in path.with_suffix(MASKS).glob("*.png") if mask.stem.isdigit()},
        )
        for path in films_in(place)
    ]


def _categories(path: Path) -> dict[str, tuple[str, ...]]:
    """What sounds in each film, by its file, as ``scenes.json`` says."""
    if not path.exists():
        return {}
    try:
        scenes = json.loads(read_regular(path))
        return {
            scene["file"]: tuple(sorted({v["class"] for v in scene["voices"] if v["in_view"]}))
            for scene in scenes
        }
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{path}: not as `save-avs data compose` writes it ({error!r})") from error


@dataclass(frozen=True)
class _FolderSpec(DatasetSpec):
    """Found by its films in place of a table."""

    def find(self, root: Path) -> Path | None:
        """The root itself, when it or one of its split folders has a film with masks."""
        folders = (root, *(root / split for split in SPLITS))
        return root if any(films_in(folder) for folder in folders) else None

    def home(self, root: Path) -> Path:
        """The root itself.

        Raises:
            UsageError: when there is no film with masks in it.
        """
        if self.find(root) is None:
            raise UsageError(f"{root} holds no film with masks: NAME.mp4 beside NAME{MASKS}/000000.png")
        return root


SPEC = _FolderSpec(
    name="folder",
    title="films with masks",
    homes=(),
    tables=(),
    counts={},
    entries=_entries,
)

"""Data types shared by all packages: frozen dataclasses, validated when they are created."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from save_avs._rle import decode_rle, encode_rle, rle_area, rle_bounding_box

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
MaskRow = tuple[int, int, float, float, bytes]  # index, source index, time, score, run lengths


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class VideoChunk:
    """Consecutive frames of a video, and the audio around them.

    Attributes:
        frames: RGB, u8 [T,H,W,3], upright (rotation flags applied).
        times: presentation time of each frame in seconds from the video's start, f64 [T], increasing.
        waveform: mono audio, f32 [S] in -1..1; empty when the video has none.
        waveform_start: time of ``waveform[0]`` in seconds, on the same clock as ``times``.
        sample_rate: samples of ``waveform`` per second.
        first_index: index of ``frames[0]`` among all frames read from this video.
        source_indices: index of each frame among all frames that the source has, in the order in which they
            are shown, i64 [T]; repeated where a frame was read more than once. If empty: from
            ``first_index``.

    Raises:
        ValueError: a shape, a type or the order of times is wrong.

    Examples:
        >>> import numpy as np, save_avs
        >>> frames, waveform = np.zeros((2, 4, 6, 3), np.uint8), np.zeros(16000, np.float32)
        >>> times = np.array([0.0, 0.5])
        >>> len(save_avs.VideoChunk(frames, times, waveform, waveform_start=0.0, sample_rate=16000))
        2
    """

    frames: U8
    times: F64
    waveform: F32
    waveform_start: float
    sample_rate: int
    first_index: int = 0
    source_indices: I64 = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        """Check shapes, types and the order of times."""
        _require(self.frames.ndim == 4 and self.frames.shape[-1] == 3, "frames must be [T,H,W,3]")
        _require(self.frames.dtype == np.uint8, "frames must be uint8")
        _require(self.times.shape == (len(self.frames),), "times must be [T], one per frame")
        _require(bool(np.all(np.diff(self.times) > 0)), "times must increase")
        _require(
            self.waveform.ndim == 1 and self.waveform.dtype == np.float32, "waveform must be float32 [S]"
        )
        _require(self.sample_rate > 0, "sample_rate must be positive")
        if not len(self.source_indices):
            object.__setattr__(self, "source_indices", self.first_index + np.arange(len(self.frames)))
        _require(len(self.source_indices) == len(self.frames), "source_indices must be [T], one per frame")

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class AVSample:
    """One clip of a dataset: its frames, the log-mel patch of each, and the known masks.

    Attributes:
        name: unique within its dataset; used in error messages and reports.
        frames: RGB, u8 [T,H,W,3].
        log_mel: patch of each frame, by the front-end of the audio backbone, f32 [T,frames,bands].
        masks: pixels of sounding objects, bool [T,H,W]; False where ``has_mask`` is False.
        has_mask: annotated frames, bool [T] (S4 annotates one training frame in five).
        valid: frames that exist, bool [T] (False in the padding at the end of a clip).
        labels: class of each pixel, 0 for the background, u8 [T,H,W]; None when only masks are known.
        features: embeddings of the patches by the audio backbone, f32 [T,D], when computed in advance.

    Raises:
        ValueError: a shape or a type is wrong.
    """

    name: str
    frames: U8
    log_mel: F32
    masks: Bool
    has_mask: Bool
    valid: Bool
    labels: U8 | None = None
    features: F32 | None = None

    def __post_init__(self) -> None:
        """Check shapes and types."""
        frames, labels, features = self.frames, self.labels, self.features
        t, h, w = frames.shape[:3]
        for fits, message in (
            (frames.shape == (t, h, w, 3) and frames.dtype == np.uint8, "frames must be uint8 [T,H,W,3]"),
            (self.log_mel.ndim == 3 and len(self.log_mel) == t, "log_mel must be [T,frames,bands]"),
            (self.masks.shape == (t, h, w) and self.masks.dtype == np.bool_, "masks must be bool [T,H,W]"),
            (self.has_mask.shape == self.valid.shape == (t,), "has_mask and valid must be [T]"),
            (labels is None or labels.shape == (t, h, w), "labels must be [T,H,W]"),
            (features is None or (features.ndim == 2 and len(features) == t), "features must be [T,D]"),
        ):
            _require(fits, f"{self.name}: {message}")


@dataclass(frozen=True)
class AVBatch:
    """Frames of several clips, flattened, each with the log-mel patch around it.

    Fields are of the type Any: importing torch would slow down `save-avs --help`.
    """

    images: Any  # u8 [B,3,S,S], RGB 0..255; the model normalizes
    log_mel: Any  # f32 [B,1,frames,bands]
    masks: Any  # f32 [B,1,M,M], 1 in sounding objects
    has_mask: Any  # bool [B]; losses and metrics use only these frames
    names: tuple[str, ...]  # B names of clips, for messages
    labels: Any = (
        None  # int64 [B,M,M], class of each cell, 0 for the background; None when only masks are known
    )
    features: Any = None  # f32 [B,D], embeddings by the audio backbone, if all clips have them

    def __post_init__(self) -> None:
        """Check that all lengths are equal."""
        b = len(self.images)
        _require(
            len(self.log_mel) == len(self.masks) == len(self.has_mask) == len(self.names) == b,
            "images, log_mel, masks, has_mask and names must have the same length",
        )


@dataclass(frozen=True, slots=True)
class MaskObject:
    """One connected part of a frame's mask; its pixels are run-length coded and decoded on access.

    Attributes:
        size: (H, W) of the frame.
        counts: compressed COCO run lengths of its pixels.
        score: mean probability inside it.
        id: the same in every frame that shows the object, from 1 on; None where objects are not tracked.
    """

    size: tuple[int, int]
    counts: bytes
    score: float
    id: int | None = None

    @property
    def mask(self) -> Bool:
        """Its pixels, bool [H,W]."""
        return decode_rle(self.counts, self.size)

    @property
    def area(self) -> int:
        """Number of its pixels."""
        return rle_area(self.counts)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of its bounding box in pixels."""
        rows, columns = rle_bounding_box(self.counts, self.size)
        return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


FrameObjects = tuple[MaskObject, ...]


@dataclass(frozen=True)
class FrameMask:
    """The mask of one frame.

    Attributes:
        index: number of the frame among all frames read from the video.
        source_index: number of the frame among all frames that the video has, read or not.
        time: its presentation time in seconds.
        score: mean probability inside the mask, 0 when it is empty.
        mask: pixels of sounding objects, bool [H,W].
        objects: the connected parts of the mask, the largest first; None where they were not separated.
    """

    index: int
    source_index: int
    time: float
    score: float
    mask: Bool = field(repr=False)
    objects: FrameObjects | None = field(default=None, kw_only=True)


@dataclass(frozen=True, repr=False)
class VideoMasks:
    """The masks of a video: one COCO run-length code per processed frame, decoded on access.

    ``masks[i]`` is a `FrameMask`, ``masks[i:j]`` another ``VideoMasks``; iteration yields every `FrameMask`.

    Attributes:
        size: (H, W) of every mask, the video's own.
        indices: index of each processed frame among the processed ones, ascending.
        source_indices: index of each among all frames of the video, in the order in which they are shown.
        times: presentation time of each in seconds.
        scores: mean probability inside each mask, 0 when it is empty.
        counts: compressed COCO run lengths of each mask.
        objects: the connected parts of each mask, the largest first; None where they were not separated.

    Raises:
        ValueError: the columns differ in length.

    Examples:
        >>> import save_avs
        >>> masks = save_avs.segment("clip.mp4", fps=2).video_masks
        >>> masks, masks[3].mask.shape, bool(masks.areas()[3] > 0.01)
        (VideoMasks(16 frames of 640x360), (360, 640), True)
    """

    size: tuple[int, int]
    indices: tuple[int, ...]
    source_indices: tuple[int, ...]
    times: tuple[float, ...]
    scores: tuple[float, ...]
    counts: tuple[bytes, ...]
    objects: tuple[FrameObjects, ...] | None = None

    def __post_init__(self) -> None:
        """Check that every column has one entry per frame."""
        columns = (self.source_indices, self.times, self.scores, self.counts, self.objects)
        _require(
            all(column is None or len(column) == len(self.indices) for column in columns),
            "indices, source_indices, times, scores, counts and objects must have the same length",
        )

    @classmethod
    def from_rows(
        cls, size: tuple[int, int], rows: Sequence[MaskRow], objects: Sequence[FrameObjects] | None = None
    ) -> Self:
        """Collect (index, source index, time, score, COCO run lengths) of each frame, and its objects."""
        columns = zip(*rows, strict=True) if rows else ((),) * 5
        return cls(size, *columns, objects=None if objects is None else tuple(objects))

    def __repr__(self) -> str:
        return f"VideoMasks({len(self)} frame{'s' * (len(self) != 1)} of {self.size[1]}x{self.size[0]})"

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[FrameMask]:
        return map(self.__getitem__, range(len(self)))

    @overload
    def __getitem__(self, key: int) -> FrameMask: ...
    @overload
    def __getitem__(self, key: slice) -> VideoMasks: ...
    def __getitem__(self, key: int | slice) -> FrameMask | VideoMasks:
        objects = self.objects
        if isinstance(key, slice):
            names = ("indices", "source_indices", "times", "scores", "counts")
            columns = (getattr(self, name)[key] for name in names)
            return VideoMasks(self.size, *columns, objects=None if objects is None else objects[key])
        numbers = (self.indices[key], self.source_indices[key], self.times[key], self.scores[key])
        return FrameMask(*numbers, self.mask(key), objects=None if objects is None else objects[key])

    def mask(self, i: int) -> Bool:
        """Decode the mask of the i-th processed frame, bool [H,W]."""
        return decode_rle(self.counts[i], self.size)

    def areas(self) -> F64:
        """Return the marked share of each processed frame, 0..1, f64 [T]."""
        pixels = [rle_area(code) for code in self.counts]
        return np.array(pixels, np.float64) / (self.size[0] * self.size[1])


class VideoMasksBuilder:
    """Collects masks frame by frame into a `VideoMasks`; holds only their codes.

    Args:
        size: (H, W) of every mask.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._rows: list[MaskRow] = []
        self._objects: list[FrameObjects] = []

    def add(self, frame: FrameMask) -> None:
        """Add the mask of a frame, and its objects, in all frames or in none.

        Raises:
            ValueError: the mask has another size.
        """
        if frame.mask.shape != self._size:
            raise ValueError(f"mask of shape {frame.mask.shape}, expected {self._size}")
        numbers = int(frame.index), int(frame.source_index), float(frame.time), float(frame.score)
        self._rows.append((*numbers, encode_rle(frame.mask)))
        if frame.objects is not None:
            self._objects.append(frame.objects)

    def build(self) -> VideoMasks:
        """Return the masks added so far."""
        return VideoMasks.from_rows(self._size, self._rows, self._objects or None)

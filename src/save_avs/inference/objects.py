"""Objects of a mask: its connected parts, and ids for them that persist over time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from save_avs._rle import encode_marked_runs, find_component_runs
from save_avs.types import F32, F64, Bool, FrameObjects, MaskObject

MIN_VISIBLE_AREA = 0.001  # share of the frame below which a part of a mask is a stray speck
MAX_OBJECTS = 64  # of a frame: the largest ones
KEEP_SECONDS = 1.0  # for which an object that vanished keeps its id
MIN_IOU = 0.1  # of the boxes of one object in consecutive frames, which may be a second apart
_VELOCITY_SECONDS = 0.2  # time constant of the smoothed velocity: boxes of masks jitter


def find_objects(
    mask: Bool, probability: F32, *, corner: tuple[int, int], size: tuple[int, int]
) -> FrameObjects:
    """Separate a mask into its 8-connected parts, the largest first.

    Parts smaller than ``MIN_VISIBLE_AREA`` of the frame are left out, and so are all beyond ``MAX_OBJECTS``.
    ``mask``, bool [h,w], and ``probability``, f32 [h,w], are those of a part of the frame of ``size`` (H, W),
    whose top and left are ``corner``.
    """
    if not mask.size:
        return ()
    starts, ends, component = find_component_runs(mask)
    bounds = np.stack([starts, ends], axis=1).reshape(-1)
    in_runs = np.add.reduceat(np.append(probability.T, np.float32(0)), bounds)[::2]  # and between them
    pixels = np.bincount(component, weights=ends - starts)
    sums = np.bincount(component, weights=in_runs)
    visible = np.flatnonzero(pixels >= MIN_VISIBLE_AREA * size[0] * size[1])
    largest = visible[np.argsort(-pixels[visible], kind="stable")][:MAX_OBJECTS]

    def in_frame(positions: NDArray[np.int64]) -> NDArray[np.int64]:
        column, row = np.divmod(positions, mask.shape[0])
        return (corner[1] + column) * size[0] + corner[0] + row

    found: list[MaskObject] = []
    for number in largest:
        own = component == number
        last = in_frame(ends[own] - 1)  # an end may be the start of the next column
        code = encode_marked_runs(in_frame(starts[own]), last + 1, size[0] * size[1])
        found.append(MaskObject(size, code, float(sums[number] / pixels[number])))
    return tuple(found)


@dataclass
class _Track:
    """An object seen before: its last box (left, top, right, bottom), f64 [4], and velocity, pixels/s [2]."""

    id: int
    box: F64
    velocity: F64
    time: float

    def predict(self, time: float) -> F64:
        """Return where the box will be, f64 [4]."""
        return self.box + np.tile(self.velocity, 2) * (time - self.time)

    def move(self, box: F64, time: float) -> None:
        """Take the next box."""
        step = time - self.time
        measured = (box - self.box).reshape(2, 2).mean(axis=0) / step
        self.velocity = self.velocity + (1 - np.exp(-step / _VELOCITY_SECONDS)) * (measured - self.velocity)
        self.box, self.time = box, time


class ObjectTracker:
    """Gives the objects of one video ids that persist, by the IoU of their bounding boxes.

    Each known box moves on at its velocity and takes the object whose box it overlaps most, in descending
    order of IoU; objects that none takes are new. An object that is not seen for ``KEEP_SECONDS`` is
    forgotten. Times are in seconds, so that ids do not depend on the frame rate.

    Source: Bochinski et al., "High-speed tracking-by-detection without using image information" (2017), with
    the constant velocity of SORT (Bewley et al. 2016).
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._before = -np.inf
        self._ids = 0

    def __call__(self, objects: FrameObjects, time: float) -> FrameObjects:
        """Return the objects of the next frame with their ids."""
        self._tracks = [
            track
            for track in self._tracks
            if track.time == self._before or time - track.time <= KEEP_SECONDS + 1e-6
        ]
        self._before = time
        boxes = np.array([_corners(each) for each in objects], dtype=np.float64).reshape(-1, 4)
        taken = self._match(boxes, time)
        for i, box in enumerate(boxes):
            if i in taken:
                taken[i].move(box, time)
            else:
                self._ids += 1
                taken[i] = _Track(self._ids, box, np.zeros(2), time)
                self._tracks.append(taken[i])
        return tuple(replace(each, id=taken[i].id) for i, each in enumerate(objects))

    def _match(self, boxes: F64, time: float) -> dict[int, _Track]:
        """Return the track of each object that is known, by the object's position."""
        free = dict(enumerate(self._tracks))
        matched: dict[int, _Track] = {}
        predicted = np.array([track.predict(time) for track in self._tracks]).reshape(-1, 4)
        ious = _box_ious(predicted, boxes)
        candidates = np.argwhere(ious >= MIN_IOU)
        order = np.argsort(-ious[tuple(candidates.T)], kind="stable")
        for number, position in candidates[order].tolist():
            if number in free and position not in matched:
                matched[position] = free.pop(number)
        return matched


def _corners(found: MaskObject) -> Sequence[float]:
    left, top, width, height = found.box
    return left, top, left + width, top + height


def _box_ious(first: F64, second: F64) -> F64:
    """Return the IoU of each pair of boxes, f64 [M,4] and [N,4] to [M,N]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = (high - low).clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return common / (areas[0][:, None] + areas[1][None] - common)

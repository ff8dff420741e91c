"""FiftyOne: masks of the sounding objects as labels of a video's frames, and a model for ``apply_model``."""

from typing import Any

import fiftyone as fo
from eta.core.frameutils import parse_frame_ranges
from fiftyone.core.models import Model

import save_avs

LABEL = "sounding object"


def to_fiftyone(result: save_avs.SegmentationResult) -> dict[int, fo.Detections]:
    """Return the detections of each frame by FiftyOne's frame number, which counts from 1.

    Each object is a detection with its mask, its id the ``index``; without objects the mask is one. For
    ``sample.add_labels(to_fiftyone(result), "sounding")``, or ``sample.frames.merge``.
    """
    return {frame.source_index + 1: _detections(frame) for frame in result}


def _detections(frame: save_avs.FrameMask) -> fo.Detections:
    found = [(each.mask, each.score, each.id) for each in frame.objects or ()]
    if frame.objects is None and frame.mask.any():
        found = [(frame.mask, frame.score, None)]
    labels = []
    for mask, score, index in found:
        label = fo.Detection.from_mask(mask, label=LABEL, confidence=score)
        label.index = index
        labels.append(label)
    return fo.Detections(detections=labels)


class SoundingObjects(Model):
    """A video model: ``dataset.apply_model(SoundingObjects(), "sounding")``.

    Args:
        model: from `save_avs.load_model`, or its name or folder.
        options: of `save_avs.segment`, such as ``fps`` or ``smooth``.
    """

    media_type = "video"
    ragged_batches = True
    transforms = None
    preprocess = False

    def __init__(self, model: Any = "save-small", **options: Any) -> None:
        self._model = save_avs.load_model(model) if isinstance(model, str) else model
        self._options = {"track": True} | options

    def predict(self, arg: Any) -> dict[int, fo.Detections]:
        """Segment the video that FiftyOne's reader has opened, and return its frames' detections."""
        labels = to_fiftyone(save_avs.segment(arg.inpath, model=self._model, **self._options))
        wanted = {*parse_frame_ranges(arg.frames)}  # of a clip, some
        return {number: label for number, label in labels.items() if number in wanted}

"""CVAT auto-annotation function: the sounding objects of a task's frames, as masks.

CVAT hands over single images, without their sound. The function therefore reads the video that the task was
made from, and finds each image among its frames.
"""

from pathlib import Path
from typing import Any

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import PIL.Image
from cvat_sdk.masks import encode_mask

import save_avs

LABEL = "sounding object"
SIDE = 32  # of the thumbnails that are compared
ALIKE = 0.5  # mean difference per value, of 255, below which frames look the same
OTHER = 12.0  # and above which an image is no frame of the video


def thumbnail(image: PIL.Image.Image) -> np.ndarray:
    """Shrink an image to f32 [S,S,3]."""
    small = image.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


class SoundingObjects:
    """A CVAT detection function for the frames of one video."""

    spec = cvataa.DetectionFunctionSpec(labels=[cvataa.label_spec(LABEL, 0, type="mask")])

    def __init__(self, video: str, model: Any, fps: float | None) -> None:
        frames = save_avs.stream(Path(video).expanduser(), model=model, fps=fps, track=True)
        rows = [(thumbnail(PIL.Image.fromarray(each.image)), each.objects or ()) for each in frames]
        self._thumbnails = np.stack([row[0] for row in rows])  # f32 [T,S,S,3]
        self._objects = [row[1] for row in rows]
        self._last = -1

    def detect(self, context: cvataa.DetectionFunctionContext, image: PIL.Image.Image) -> list[Any]:
        """Return the masks of a frame; those of one tracked object have its id as their group."""
        if context.conv_mask_to_poly:
            raise cvataa.BadFunctionError("masks cannot become polygons: leave out the conversion")
        least = context.conf_threshold or 0.0
        objects = self._objects[self._index(context.frame_name, image)]
        return [
            cvataa.mask(0, encode_mask(found.mask), group=found.id)
            for found in objects
            if found.score >= least
        ]

    def _index(self, name: str, image: PIL.Image.Image) -> int:
        """Find the frame that looks like the image; of several that do, the one after the last found."""
        differences = np.abs(self._thumbnails - thumbnail(image)).mean(axis=(1, 2, 3))
        if (closest := differences.min()) > OTHER:
            raise cvataa.BadFunctionError(
                f"{name} is not in the video: name the video that the task was made from"
            )
        alike = np.flatnonzero(differences <= closest + ALIKE).tolist()
        self._last = next((i for i in alike if i > self._last), alike[0])
        return self._last


def create(video: str, model: str = "save-small", fps: float | None = None) -> SoundingObjects:
    """Segment the video that the task was made from; fps as in `save_avs.segment`."""
    return SoundingObjects(video, save_avs.load_model(model), fps)

"""What every format is written from: the masks of a video, and how the video and the model are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from save_avs.formats.masks_json import load_masks_json
from save_avs.types import VideoMasks

LABEL = "sounding object"


@dataclass(frozen=True)
class MaskDocument:
    """The masks of a video.

    Attributes:
        video_masks: one mask for each processed frame.
        video: path, width, height, fps, duration, as masks.json has them.
        model: whatever names the model.
        images: what stands before a frame's file name where a format names pictures: a folder, a URL.
    """

    video_masks: VideoMasks
    video: Mapping[str, Any]
    model: Mapping[str, Any]
    images: str = ""

    @classmethod
    def read(cls, path: str | Path, *, images: str = "") -> Self:
        """Read a masks.json.

        Raises:
            UsageError: no such file, or not a masks.json of this version.
        """
        video_masks, meta = load_masks_json(path)
        return cls(video_masks, meta["video"], meta["model"], images)

    def picture(self, i: int) -> str:
        """The file name of the i-th processed frame, as the PNGs of masks are named."""
        return f"{self.images}{self.video_masks.indices[i]:06d}.png"

    def frame_numbers(self) -> list[int]:
        """Which of the video's own frames each processed frame is, counted from 0.

        Where every frame was processed that is its index; where fewer or more were, its time tells.
        """
        times, fps = np.array(self.video_masks.times), float(self.video["fps"])
        every = len(times) < 2 or 0.75 < float(np.diff(times).mean()) * fps < 1.25
        numbers = np.array(self.video_masks.indices) if every else np.rint((times - times[0]) * fps)
        return numbers.astype(int).tolist()

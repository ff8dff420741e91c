"""The results of a job as files, and its masks one by one."""

from __future__ import annotations

import io
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.inference.folders import MASKS, OVERLAY, SUMMARY, TIMELINE
from save_avs.render import load_masks_json
from save_avs.serving.job import Job, State
from save_avs.serving.shelf import ARCHIVE, RESULT, Shelf
from save_avs.types import MaskTrack


class ResultFile(StrEnum):
    """The files that a job may have; nothing else of its folder is handed out."""

    OVERLAY = OVERLAY
    MASKS = MASKS
    TIMELINE = TIMELINE
    SUMMARY = SUMMARY
    ARCHIVE = ARCHIVE


def result_path(shelf: Shelf, job: Job, name: ResultFile) -> Path | None:
    """Where a result lies; None when the job is not done or did not ask for it."""
    path = shelf.folder(job) / RESULT / name
    return path if job.state is State.DONE and path.is_file() else None


def results(shelf: Shelf, job: Job) -> dict[str, str]:
    """The results that are there: the name of each, and its address."""
    return {
        str(name): f"/v1/jobs/{job.id}/result/{name}"
        for name in ResultFile
        if result_path(shelf, job, name) is not None
    }


@lru_cache(maxsize=4)
def read_track(path: Path) -> MaskTrack:
    """The masks of a masks.json, still coded; those last asked for are kept in memory."""
    return load_masks_json(path)[0]


def mask_png(track: MaskTrack, index: int) -> bytes | None:
    """The mask of a frame of the video as a PNG, white where marked; None for one that was not processed."""
    try:
        position = track.indices.index(index)
    except ValueError:
        return None
    coded = io.BytesIO()
    Image.fromarray(track.mask(position).astype(np.uint8) * 255).save(coded, "png", compress_level=1)
    return coded.getvalue()

"""The results of a job as files, and its masks one by one."""

from __future__ import annotations

import io
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.formats import load_masks_json
from save_avs.inference.settings import MASKS_FILE, OVERLAY_FILE, SUMMARY_FILE, TIMELINE_FILE
from save_avs.serving.job import Job, JobState
from save_avs.serving.job_store import ARCHIVE, RESULT, JobStore
from save_avs.types import VideoMasks


class ResultFile(StrEnum):
    """The files that a job may have; nothing else of its folder is handed out."""

    OVERLAY = OVERLAY_FILE
    MASKS = MASKS_FILE
    TIMELINE = TIMELINE_FILE
    SUMMARY = SUMMARY_FILE
    ARCHIVE = ARCHIVE


def result_path(store: JobStore, job: Job, name: ResultFile) -> Path | None:
    """Where a result lies; None when the job is not done or did not ask for it."""
    path = store.folder(job) / RESULT / name
    return path if job.state is JobState.DONE and path.is_file() else None


def results(store: JobStore, job: Job) -> dict[str, str]:
    """The results that are there: the name of each, and its address."""
    return {
        str(name): f"/v1/jobs/{job.id}/result/{name}"
        for name in ResultFile
        if result_path(store, job, name) is not None
    }


@lru_cache(maxsize=4)
def read_track(path: Path) -> VideoMasks:
    """The masks of a masks.json, still coded; those last asked for are kept in memory."""
    return load_masks_json(path).video_masks


def mask_png(video_masks: VideoMasks, index: int) -> bytes | None:
    """The mask of a frame of the video as a PNG, white where marked; None for one that was not processed."""
    try:
        position = video_masks.indices.index(index)
    except ValueError:
        return None
    coded = io.BytesIO()
    Image.fromarray(video_masks.mask(position).astype(np.uint8) * 255).save(coded, "png", compress_level=1)
    return coded.getvalue()

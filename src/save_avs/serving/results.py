"""The result files of a job, and its masks one by one."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.formats import MASK_FORMATS, load_masks_json
from save_avs.inference.settings import MASKS_FILE, MATTE_FILE, OVERLAY_FILE, SUMMARY_FILE, TIMELINE_FILE
from save_avs.serving.job import Job, JobState
from save_avs.serving.job_store import RESULT, JobStore
from save_avs.types import VideoMasks

ARCHIVE, WAVEFORM = "masks.zip", "waveform.json"  # the folder of PNG masks, packed; the outline of the sound
_FORMAT_FILES = [mask_format.file for name, mask_format in MASK_FORMATS.items() if name != "png"]
# Nothing else of a job's folder is served.
RESULT_FILES = (
    OVERLAY_FILE,
    MATTE_FILE,
    MASKS_FILE,
    *_FORMAT_FILES,
    ARCHIVE,
    TIMELINE_FILE,
    WAVEFORM,
    SUMMARY_FILE,
)


def result_path(store: JobStore, job: Job, name: str) -> Path | None:
    """Return the path of a result file; None when the job is not done or did not ask for it."""
    path = store.folder(job) / RESULT / name
    return path if job.state is JobState.DONE and name in RESULT_FILES and path.is_file() else None


def result_urls(store: JobStore, job: Job) -> dict[str, str]:
    """Return the URL of each result file that exists."""
    present = (name for name in RESULT_FILES if result_path(store, job, name) is not None)
    return {name: f"/v1/jobs/{job.id}/result/{name}" for name in present}


@lru_cache(maxsize=4)
def read_masks(path: Path) -> VideoMasks:
    """Read a masks.json; those last used are kept in memory, run-length encoded."""
    return load_masks_json(path).video_masks


def mask_png(masks: VideoMasks, index: int) -> bytes | None:
    """Return the mask of a frame as PNG, 255 where marked; None for a frame that was not processed."""
    try:
        position = masks.indices.index(index)
    except ValueError:
        return None
    buffer = io.BytesIO()
    Image.fromarray(masks.mask(position).astype(np.uint8) * 255).save(buffer, "png", compress_level=1)
    return buffer.getvalue()

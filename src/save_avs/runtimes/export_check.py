"""Whether an exported folder, run by its own runner, finds what PyTorch finds on a real clip."""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from save_avs.audio import is_silent, log_mel_at
from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.errors import SaveAvsError, UsageError
from save_avs.metrics.frame_scores import MIN_MASK_AGREEMENT, mask_agreement
from save_avs.models.preprocess import postprocess_logits, preprocess_frames
from save_avs.models.save import SAVE
from save_avs.types import F32, VideoChunk
from save_avs.video import probe, read_video_chunks

FRAMES, SECONDS = 16, 60.0  # of a clip, spread over at most so long


@dataclass(frozen=True, kw_only=True)
class ExportCheck:
    """What comparing an export with PyTorch's float32 found.

    Attributes:
        clip: file name of the video.
        frames: compared.
        marked: of these, frames in which PyTorch marks anything.
        largest_difference: between probabilities, over all pixels.
        mask_iou: mean over frames; two empty masks agree.
    """

    clip: str
    frames: int
    marked: int
    largest_difference: float
    mask_iou: float


def read_check_chunk(path: Path, sample_rate: int) -> VideoChunk:
    """Up to 16 frames of a video's first minute, with their sound at a rate.

    Raises:
        UsageError: when there is no such file, or nothing can be heard beside the frames.
        MediaError: when it cannot be read.
    """
    info = probe(path)
    span = min(info.duration or SECONDS, SECONDS)
    clip = next(
        read_video_chunks(path, fps=min(info.fps, FRAMES / span), chunk=FRAMES, sample_rate=sample_rate)
    )
    if is_silent(_patches(clip, VGGISH)).all():
        raise UsageError(f"{path}: silent, which checks nothing; name a video with sound: --check CLIP")
    return clip


@torch.inference_mode()
def expected(model: SAVE, clip: VideoChunk) -> F32:
    """What a float32 model finds, as ``Predictor`` computes it: probabilities f32 [T,H,W], 0 in silence."""
    height, width = clip.frames.shape[1:3]
    log_mel = _patches(clip, model.frontend)
    images = preprocess_frames(clip.frames, model.image_size, model.resize)
    logits = model(images, torch.from_numpy(log_mel)[:, None])[:, 0]
    large = torch.stack([postprocess_logits(frame, height, width, model.resize) for frame in logits])
    return large.sigmoid().numpy() * ~is_silent(_patches(clip, VGGISH))[:, None, None]


def run_check(folder: Path, clip: VideoChunk, wanted: F32, *, name: str, threshold: float) -> ExportCheck:
    """Run an exported folder's own runner over a clip and compare.

    Args:
        folder: with run.py, model.json and the graph.
        clip: from ``read_check_chunk``.
        wanted: of ``expected``.
        name: of the clip.
        threshold: above which a pixel is marked.

    Raises:
        SaveAvsError: when the masks are not the same, by the measure of ``save-avs bench``.
    """
    mark = runpy.run_path(str(folder / "run.py"))["mark"]
    found = mark(clip.frames, clip.times - clip.waveform_start, clip.waveform)
    check = ExportCheck(
        clip=name,
        frames=len(clip),
        marked=int((wanted > threshold).any(axis=(1, 2)).sum()),
        largest_difference=float(np.abs(found - wanted).max()),
        mask_iou=mask_agreement(*(torch.from_numpy(p - np.float32(threshold)) for p in (found, wanted))),
    )
    if not check.mask_iou >= MIN_MASK_AGREEMENT:
        raise SaveAvsError(
            f"the export disagrees with PyTorch on {name}: mean IoU of the masks {check.mask_iou:.4f}, under "
            f"{MIN_MASK_AGREEMENT}, probabilities up to {check.largest_difference:.2g} apart; nothing was written"
        )
    return check


def _patches(clip: VideoChunk, frontend: Frontend) -> F32:
    return log_mel_at(clip.waveform, clip.sample_rate, clip.times, clip.waveform_start, frontend)

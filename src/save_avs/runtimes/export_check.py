"""Check that an exported folder, run by its own runner, finds what PyTorch finds on a video."""

import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from save_avs.audio import is_silent, log_mel_at
from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.errors import SaveAvsError, UsageError
from save_avs.metrics.frame_scores import MIN_MASK_AGREEMENT, mask_agreement
from save_avs.models.preprocess import MASK_THRESHOLD, postprocess_logits, preprocess_frames
from save_avs.models.save import SAVE
from save_avs.types import F32, VideoChunk
from save_avs.video import probe, read_video_chunks

FRAMES, SECONDS = 16, 60.0  # at most so many frames, spread over at most so long


@dataclass(frozen=True, kw_only=True)
class ExportCheck:
    """Comparison of an export with PyTorch's float32."""

    clip: str  # file name of the video
    frames: int  # number compared
    marked: int  # of these, frames with a non-empty mask in PyTorch
    largest_difference: float  # between probabilities, over all pixels
    mask_iou: float  # mean over frames; two empty masks agree


def read_check_chunk(path: Path, sample_rate: int) -> VideoChunk:
    """Read up to 16 frames of a video's first minute, with their sound at a sample rate.

    Raises:
        UsageError: when there is no such file, or the sound of the frames is silence.
        MediaError: when it cannot be read.
    """
    info = probe(path)
    span = min(info.duration or SECONDS, SECONDS)
    fps = min(info.fps, FRAMES / span)
    chunk = next(read_video_chunks(path, fps=fps, chunk=FRAMES, sample_rate=sample_rate))
    if is_silent(_log_mel(chunk, VGGISH)).all():
        raise UsageError(f"{path} is silent, so it cannot check an export: name a video with sound (--check)")
    return chunk


@torch.inference_mode()
def reference_probabilities(model: SAVE, chunk: VideoChunk) -> F32:
    """Probabilities f32 [T,H,W] of a float32 model, as ``Predictor`` computes them; 0 in silence."""
    height, width = chunk.frames.shape[1:3]
    log_mel = torch.from_numpy(_log_mel(chunk, model.frontend))[:, None]
    images = preprocess_frames(chunk.frames, model.image_size, model.resize)
    logits = model(images, log_mel)[:, 0]
    upscaled = torch.stack([postprocess_logits(frame, height, width, model.resize) for frame in logits])
    return upscaled.sigmoid().numpy() * ~is_silent(_log_mel(chunk, VGGISH))[:, None, None]


def run_check(folder: Path, chunk: VideoChunk, reference: F32, *, name: str) -> ExportCheck:
    """Run an exported folder's own runner on a chunk of video and compare.

    Raises:
        SaveAvsError: when the masks are not the same, by the measure of ``save-avs bench``.
    """
    segment = runpy.run_path(str(folder / "run.py"))["segment"]
    found = segment(chunk.frames, chunk.times - chunk.waveform_start, chunk.waveform)
    threshold = np.float32(MASK_THRESHOLD)
    masks = (torch.from_numpy(probabilities - threshold) for probabilities in (found, reference))
    check = ExportCheck(
        clip=name,
        frames=len(chunk),
        marked=int((reference > threshold).any(axis=(1, 2)).sum()),
        largest_difference=float(np.abs(found - reference).max()),
        mask_iou=mask_agreement(*masks),
    )
    if not check.mask_iou >= MIN_MASK_AGREEMENT:
        raise SaveAvsError(
            f"the export disagrees with PyTorch on {name}: mean IoU of the masks {check.mask_iou:.4f} "
            f"(at least {MIN_MASK_AGREEMENT} is required), probabilities differ by up to "
            f"{check.largest_difference:.2g}; nothing was written"
        )
    return check


def _log_mel(chunk: VideoChunk, frontend: Frontend) -> F32:
    return log_mel_at(chunk.waveform, chunk.sample_rate, chunk.times, chunk.waveform_start, frontend)

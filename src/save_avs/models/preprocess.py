"""Frames to the square input of a model, and its logits back to the frame."""

import torch
import torch.nn.functional as F
from torch import Tensor

from save_avs.models.save import Resize
from save_avs.types import U8

PAD_COLOR = (124, 116, 104)  # SAM's pixel mean: close to zero once the model has normalized it
MASK_THRESHOLD = 0.5  # default probability above which a pixel belongs to the mask


def preprocess_frames(frames: U8, side: int, resize: Resize) -> Tensor:
    """Resize frames to the model's input.

    ``squash`` stretches both sides to ``side``, as the benchmarks do. ``pad`` keeps the aspect ratio: the
    longer side becomes ``side``, the frame is at the top left, as SAM's is, and the rest is SAM's mean color.

    Args:
        frames: RGB u8 [T,H,W,3].
        side: height and width of the square.
        resize: the model's.

    Returns:
        u8 [T,3,side,side], antialiased.
    """
    images = torch.from_numpy(frames).permute(0, 3, 1, 2)  # [T,3,H,W], channels last in memory
    height, width = frames.shape[1:3]
    inner = get_preprocess_shape(height, width, side, resize)
    # torch's own 8-bit kernel: five to ten times the speed of Pillow's resize, within one gray level of it
    small = F.interpolate(images, size=inner, mode="bilinear", antialias=True)
    if inner == (side, side):
        return small
    square = torch.tensor(PAD_COLOR, dtype=torch.uint8).view(1, 3, 1, 1).repeat(len(frames), 1, side, side)
    square[:, :, : inner[0], : inner[1]] = small
    return square


def postprocess_logits(logits: Tensor, height: int, width: int, resize: Resize) -> Tensor:
    """Resize one frame's logits [M,M] to the frame, float32 [H,W]: the inverse of ``preprocess_frames``."""
    full = (height, width) if resize == "squash" else (max(height, width),) * 2
    upscaled = F.interpolate(logits.float()[None, None], size=full, mode="bilinear", align_corners=False)
    return upscaled[0, 0, :height, :width]


def get_preprocess_shape(height: int, width: int, side: int, resize: Resize) -> tuple[int, int]:
    """(height, width) of a frame within its square of ``side``."""
    if resize == "squash":
        return side, side
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))

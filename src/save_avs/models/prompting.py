"""Segmentation of the object at a point or in a box, by a SAM or by the SAM within a SAVE."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from save_avs.errors import UsageError
from save_avs.models.preprocess import get_preprocess_shape, postprocess_logits, preprocess_frames
from save_avs.models.sam import Sam
from save_avs.models.save import SAVE, Resize
from save_avs.types import U8, Bool

Point = tuple[float, float]
Box = tuple[float, float, float, float]


class PromptedMask(NamedTuple):
    """The mask of a prompt.

    Attributes:
        mask: the object's pixels, bool [H,W].
        iou: the mask's IoU with the object, as the model predicts it.
    """

    mask: Bool
    iou: float


@torch.inference_mode()
def segment_prompt(
    model: Sam | SAVE, image: U8, *, points: Sequence[Point] = (), box: Box | None = None
) -> PromptedMask:
    """Segment the object that points or a box show.

    As SAM's own predictor does, one point alone gives the best of three masks by predicted IoU, and more
    gives the single mask. A SAVE only ever learns the single mask.

    Args:
        model: from ``sam.load_sam``; or a SAVE trained with prompts, which most are not.
        image: RGB, u8 [H,W,3].
        points: x, y of pixels of the object, counted from 0 at the top left.
        box: x0, y0, x1, y1 of a box around it, in the same pixels.

    Raises:
        UsageError: when there is neither a point nor a box, one is outside the image, or the box is empty.
    """
    height, width = image.shape[:2]
    _check_prompts(points, box, height, width)
    sam, resize = (model, "pad") if isinstance(model, Sam) else (model.sam, model.resize)
    side, device = sam.image_encoder.image_size, sam.image_encoder.pos_embed.device
    scale = _scale(height, width, side, resize).to(device)
    xy = torch.tensor([points], device=device, dtype=torch.float32) * scale if points else None
    corners = None if box is None else torch.tensor([box], device=device).reshape(1, 2, 2) * scale
    frame = preprocess_frames(np.array(image)[None], side, resize).to(device)
    embedding = model.encode_image(frame)
    sparse, dense = sam.prompt_encoder(
        None if xy is None else (xy, torch.ones(xy.shape[:2], device=device)),
        None if corners is None else corners.reshape(1, 4),
    )
    ambiguous = isinstance(model, Sam) and len(points) == 1 and box is None
    positions = sam.prompt_encoder.get_dense_pe()
    logits, iou = sam.mask_decoder(embedding, positions, sparse, dense, multimask_output=ambiguous)
    best = int(iou[0].argmax())
    mask = postprocess_logits(logits[0, best], height, width, resize) > 0
    return PromptedMask(mask.cpu().numpy(), float(iou[0, best]))


def _scale(height: int, width: int, side: int, resize: Resize) -> Tensor:
    """Pixels of the model's input per pixel of the image, f32 [2], x first."""
    inner = get_preprocess_shape(height, width, side, resize)
    return torch.tensor([inner[1] / width, inner[0] / height])


def _check_prompts(points: Sequence[Point], box: Box | None, height: int, width: int) -> None:
    if not points and box is None:
        raise UsageError("nothing shows the object: give a point or a box")
    for x, y in points:
        if not (0 <= x < width and 0 <= y < height):
            raise UsageError(
                f"point {x:g},{y:g} is outside the image of {width}x{height}: give x,y in pixels"
            )
    if box is not None and not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
        text = ",".join(f"{value:g}" for value in box)
        raise UsageError(
            f"box {text} is empty or outside the image of {width}x{height}: give x0,y0,x1,y1 in pixels, "
            "x0 < x1 and y0 < y1"
        )

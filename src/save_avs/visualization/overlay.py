"""One frame with its mask: tinted with a bright outline (overlay), or with the mask as alpha (matte)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from save_avs.types import U8, Bool

MASK_COLOR = (255, 112, 16)  # of a predicted mask
TARGET_COLOR = (90, 200, 255)  # of the annotated mask next to it
_PALETTE = (MASK_COLOR, (0, 110, 255), (255, 0, 200), (0, 200, 60), (255, 225, 0), (0, 220, 230))
_OUTLINE_LIGHT = 0.7  # the outline is the color, this far on its way to white


@dataclass
class MaskPainter:
    """Draws the masks of one video in one color: by default the one furthest from the first marked pixels.

    Attributes:
        color: RGB, 0..255; None until it is chosen.
        opacity: of the tint, 0..1.
    """

    color: tuple[int, int, int] | None = None
    opacity: float = 0.5

    def __call__(self, frame: U8, mask: Bool) -> U8:
        """Draw a mask, bool [H,W], into a copy of a frame, u8 [H,W,3]."""
        if self.color is None and mask.any():
            distances = np.linalg.norm(np.array(_PALETTE) - frame[mask].mean(axis=0), axis=1)
            self.color = _PALETTE[int(distances.argmax())]
        return draw_mask(frame, mask, self.color or MASK_COLOR, self.opacity)


def draw_mask(frame: U8, mask: Bool, color: tuple[int, int, int] = MASK_COLOR, opacity: float = 0.5) -> U8:
    """Draw a mask into a frame: tinted inside, with a bright line along its edge.

    Args:
        frame: RGB, u8 [H,W,3]; not modified.
        mask: pixels to mark, bool [H,W].
        color: RGB, 0..255.
        opacity: of the tint, 0..1.

    Returns:
        A new u8 [H,W,3]; equal to ``frame`` when the mask is empty.

    Raises:
        ValueError: wrong shapes or types.
    """
    if frame.dtype != np.uint8 or mask.dtype != np.bool_ or frame.shape != (*mask.shape, 3):
        raise ValueError(
            f"expected frame u8 [H,W,3] and mask bool [H,W], got {frame.dtype} {frame.shape} "
            f"and {mask.dtype} {mask.shape}"
        )
    marked = frame.copy()
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return marked
    columns = np.flatnonzero(mask.any(axis=0))
    # One pixel around the mask, where the frame has it, shows where the mask ends.
    box = np.s_[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]
    _paint_box(marked, box, mask[box], color, opacity)
    return marked


def apply_mask_as_alpha(frame: U8, mask: Bool) -> U8:
    """Add a mask, bool [H,W], to a frame, u8 [H,W,3], as its alpha channel: u8 [H,W,4].

    Alpha is straight: colors are not multiplied by it and stay outside the mask, so that a video editor can
    feather or widen the edge.
    """
    return np.dstack([frame, np.where(mask, np.uint8(255), np.uint8(0))])


def _paint_box(
    image: U8, box: tuple[slice, slice], inside: Bool, color: tuple[int, int, int], opacity: float
) -> None:
    """Tint and outline a box of the image in place.

    Works on rows of 3 W bytes with whole-array byte operations: indexing by mask is several times slower.
    """
    height, width = inside.shape
    flat = image[box].reshape(height, 3 * width)
    if opacity == 0.5:
        tint = _halved(flat) + _row([c // 2 for c in color], width)
    else:
        mixed = flat * np.float32(1 - opacity) + _row([*color], width) * np.float32(opacity)
        tint = mixed.astype(np.uint8)
    edge = _edge(inside, thickness=max(1, round(min(image.shape[:2]) / 240)))
    bright = _row([round(c + (255 - c) * _OUTLINE_LIGHT) for c in color], width)
    flat = _select(_bytes(inside), tint, flat)
    flat = _select(_bytes(edge), bright, flat)
    image[box] = flat.reshape(height, width, 3)


def _row(color: list[int], width: int) -> U8:
    return np.tile(np.array(color, dtype=np.uint8), width)


def _halved(values: U8) -> U8:
    """Divide by two, eight bytes at a time: numpy shifts single bytes ten times slower."""
    padded = np.zeros(-(-values.size // 8) * 8, dtype=np.uint8)
    padded[: values.size] = values.ravel()
    words = padded.view(np.uint64)
    words >>= np.uint64(1)
    words &= np.uint64(0x7F7F7F7F7F7F7F7F)
    return padded[: values.size].reshape(values.shape)


def _bytes(mask: Bool) -> U8:
    """0xFF or 0 for each byte of a row of RGB, u8 [H,3W]."""
    height, width = mask.shape
    spread = np.empty((height, width, 3), dtype=np.uint8)
    for channel in range(3):
        np.negative(mask.view(np.uint8), out=spread[..., channel])
    return spread.reshape(height, 3 * width)


def _select(where: U8, yes: U8, no: U8) -> U8:
    return no ^ ((no ^ yes) & where)


def _edge(mask: Bool, thickness: int) -> Bool:
    """Pixels of the mask within ``thickness`` of a pixel outside it; the image border is not an edge."""
    height, width = mask.shape
    # Padded with cells that count as mask and shifted as one line of memory: half the time of shifting rows.
    core = np.ones((height + 2, width + 1), dtype=np.bool_)
    core[1:-1, :-1] = mask
    for _ in range(thickness):
        line = core.reshape(-1)
        inner = line.copy()
        for step in (1, width + 1):
            inner[step:] &= line[:-step]
            inner[:-step] &= line[step:]
        core = inner.reshape(core.shape)
        core[0] = core[-1] = core[:, -1] = True
    return mask & ~core[1:-1, :-1]

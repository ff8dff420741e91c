"""One frame with its mask: tinted with a bright outline (overlay), or with the mask as alpha (matte)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from save_avs.types import U8, Bool, FrameMask

Color = tuple[int, int, int]
Box = tuple[slice, slice]

MASK_COLOR = (255, 112, 16)  # of a predicted mask
TARGET_COLOR = (90, 200, 255)  # of the annotated mask next to it
_PALETTE = (MASK_COLOR, (0, 110, 255), (255, 0, 200), (0, 200, 60), (255, 225, 0), (0, 220, 230))
_OUTLINE_LIGHT = 0.7  # the outline is the color, this far on its way to white
OUTLINE = 0.42  # width of the outline, percent of the frame's shorter side: 3 pixels at 720p
_REMEMBERED = 256  # objects whose color is kept
_LABEL_HEIGHT = 1 / 30  # of the text on a frame, share of the frame's shorter side: 24 pixels at 720p
_MIN_LABEL_HEIGHT = 10  # pixels


class Label(NamedTuple):
    """A text to write above a point, in pixels, on a plate of a color."""

    text: str
    left: int
    top: int
    color: Color


class _Part(NamedTuple):
    """What is drawn in one color: pixels of a box bool [h,w], a key that stays over time, a label's text."""

    box: Box
    inside: Bool
    key: int
    text: str


@dataclass
class MaskPainter:
    """Draws the masks of one video.

    A mask, or each of its objects, has a color that contrasts with the pixels first marked by it and that no
    other object in the frame has, while there are colors left; it stays.
    """

    color: Color | None = None  # RGB, 0..255, of all masks; None for contrasting colors
    opacity: float = 0.5  # of the tint, 0..1
    outline: float = OUTLINE  # width of the outline, percent of the frame's shorter side; 0 for none
    labels: bool = False  # write name or id and score at each mask; ids are written without it, too
    name: str = ""  # what a label says of a mask without an id
    _chosen: dict[int, Color] = field(default_factory=dict)

    def __call__(self, image: U8, frame: FrameMask) -> U8:
        """Draw the mask or the objects of a frame into a copy of its image, u8 [H,W,3]."""
        drawn, labels, parts = image.copy(), list[Label](), list(self._parts(frame))
        for part, color in zip(parts, self._colors(parts, image), strict=True):
            _paint_box(drawn, part.box, part.inside, color, self.opacity, self.outline)
            if part.text:
                top, left = divmod(int(part.inside.argmax()), part.inside.shape[1])  # its highest pixel
                rows, columns = part.box
                labels.append(Label(part.text, columns.start + left, rows.start + top, color))
        draw_labels(drawn, labels)
        return drawn

    def _parts(self, frame: FrameMask) -> Iterator[_Part]:
        """Yield what to draw: the objects, the largest first, or else the mask, unless it is empty."""
        if frame.objects is None:
            if box := _box_of(frame.mask):
                text = f"{self.name} {frame.score:.2f}" if self.labels else ""
                yield _Part(box, frame.mask[box], 0, text)
            return
        for rank, found in enumerate(frame.objects):
            name = self.name if found.id is None else f"#{found.id}"
            text = f"{name} {found.score:.2f}" if self.labels else name if found.id else ""
            left, top, width, height = found.box
            box = _with_margin(top, top + height, left, left + width)
            yield _Part(box, np.ascontiguousarray(found.mask[box]), found.id or -rank, text)

    def _colors(self, parts: Sequence[_Part], image: U8) -> list[Color]:
        """Return the color of each part; those seen before keep theirs."""
        if self.color is not None:
            return [self.color] * len(parts)
        used = Counter(self._chosen[part.key] for part in parts if part.key in self._chosen)
        for part in parts:
            color = self._chosen.pop(part.key, None)
            if color is None:
                fewest = min(used[each] for each in _PALETTE)
                free = [each for each in _PALETTE if used[each] == fewest]
                distances = np.linalg.norm(np.array(free) - image[part.box][part.inside].mean(axis=0), axis=1)
                color = free[int(distances.argmax())]
                used[color] += 1
            self._chosen[part.key] = color  # at the end: the first one is the one not seen for longest
        colors = [self._chosen[part.key] for part in parts]
        for key in list(self._chosen)[:-_REMEMBERED]:
            del self._chosen[key]
        return colors


def draw_mask(
    frame: U8, mask: Bool, color: Color = MASK_COLOR, opacity: float = 0.5, outline: float = OUTLINE
) -> U8:
    """Draw a mask, bool [H,W], into a copy of a frame, u8 [H,W,3], as `MaskPainter` does."""
    marked = frame.copy()
    if box := _box_of(mask):
        _paint_box(marked, box, mask[box], color, opacity, outline)
    return marked


def _box_of(mask: Bool) -> Box | None:
    """Return the box that the marked pixels span, with a margin; None for none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return _with_margin(rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)


def _with_margin(top: int, bottom: int, left: int, right: int) -> Box:
    """Add a pixel on each side, where the frame has it: it shows where the mask ends."""
    return np.s_[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]


def apply_mask_as_alpha(frame: U8, mask: Bool) -> U8:
    """Add a mask, bool [H,W], to a frame, u8 [H,W,3], as its alpha channel: u8 [H,W,4].

    Alpha is straight: colors are not multiplied by it and stay outside the mask, so that a video editor can
    feather or widen the edge.
    """
    return np.dstack([frame, np.where(mask, np.uint8(255), np.uint8(0))])


def _paint_box(image: U8, box: Box, inside: Bool, color: Color, opacity: float, outline: float) -> None:
    """Tint and outline a box of the image in place.

    Works on rows of 3 W bytes with whole-array byte operations: indexing by mask is several times slower.
    """
    height, width = inside.shape
    flat = image[box].reshape(height, 3 * width)
    if opacity == 0.5:
        tint = flat // np.uint8(2) + _row([c // 2 for c in color], width)
    else:
        mixed = flat * np.float32(1 - opacity) + _row([*color], width) * np.float32(opacity)
        tint = mixed.astype(np.uint8)
    flat = _select(_bytes(inside), tint, flat)
    if outline:
        thickness = max(1, round(min(image.shape[:2]) * outline / 100))
        bright = _row([round(c + (255 - c) * _OUTLINE_LIGHT) for c in color], width)
        flat = _select(_bytes(_edge(inside, thickness)), bright, flat)
    image[box] = flat.reshape(height, width, 3)


def _row(color: list[int], width: int) -> U8:
    return np.tile(np.array(color, dtype=np.uint8), width)


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


def draw_labels(image: U8, labels: Sequence[Label]) -> None:
    """Write labels into an image, u8 [H,W,3], in place: inside the frame, and beside earlier ones."""
    height, width = image.shape[:2]
    size = max(_MIN_LABEL_HEIGHT, round(min(height, width) * _LABEL_HEIGHT))
    bottoms: list[tuple[int, int, int, int]] = []
    for label in labels:
        plate = _plate(label.text, size, label.color)[:height, :width]
        rows, columns = plate.shape[:2]
        left = min(label.left, width - columns)
        top = max(0, min(label.top - rows, height - rows))
        for other in bottoms:  # in the order drawn: below each one that is in the way
            if left < other[2] and other[0] < left + columns and top < other[3] and other[1] < top + rows:
                top = min(other[3], height - rows)
        image[top : top + rows, left : left + columns] = plate
        bottoms.append((left, top, left + columns, top + rows))


@lru_cache(maxsize=256)
def _plate(text: str, size: int, color: Color) -> U8:
    """Draw a text on a plate of a color, u8 [h,w,3]: black or white, whichever contrasts more."""
    font = ImageFont.load_default(size)
    left, _, right, _ = font.getbbox(text)
    margin = max(2, size // 5)
    plate = Image.new("RGB", (round(right - left) + 2 * margin, round(size * 1.2) + margin), color)
    luminance = np.dot(color, (0.299, 0.587, 0.114))
    ink = (0, 0, 0) if luminance > 128 else (255, 255, 255)
    center = (plate.width / 2, plate.height / 2)
    ImageDraw.Draw(plate).text(center, text, fill=ink, font=font, anchor="mm")
    return np.asarray(plate)

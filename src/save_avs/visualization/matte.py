"""The sounding object cut out, for editors: the picture as it is, its mask as alpha."""

from __future__ import annotations

import numpy as np

from save_avs.types import U8, Bool


def apply_mask_as_alpha(frame: U8, mask: Bool) -> U8:
    """A frame, u8 [H,W,3], with a mask, bool [H,W], as its alpha: u8 [H,W,4].

    Alpha is straight: colors are not multiplied by it, and outside the mask they stay, so that an editor
    may feather or widen the edge.
    """
    alpha = np.where(mask, np.uint8(255), np.uint8(0))
    return np.dstack([frame, alpha])

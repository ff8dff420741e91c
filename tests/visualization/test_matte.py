from __future__ import annotations

import numpy as np

from save_avs.visualization import apply_mask_as_alpha


def test_alpha_is_the_mask_and_the_picture_stays():
    draw = np.random.default_rng(0)
    frame = draw.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    mask = draw.random((5, 7)) > 0.5
    found = apply_mask_as_alpha(frame, mask)
    np.testing.assert_array_equal(found[..., :3], frame)
    np.testing.assert_array_equal(found[..., 3], mask * np.uint8(255))

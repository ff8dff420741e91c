"""Codes of masks against pycocotools, which wrote them."""

from __future__ import annotations

import numpy as np
import pytest

from save_avs.render import encode
from save_avs.render.run_codes import coded_pixels


def masks():
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (7, 5), (48, 64), (720, 1280)):
        yield np.zeros(shape, bool)
        yield np.ones(shape, bool)
        for share in (0.001, 0.5, 0.999):
            yield rng.random(shape) < share
    halves = np.zeros((2000, 3000), bool)
    halves[:, 1000:] = True  # runs of millions
    yield halves


def test_a_code_covers_its_picture():
    for mask in masks():
        assert coded_pixels(encode(mask)) == mask.size


def test_a_torn_code_covers_less():
    mask = np.random.default_rng(1).random((48, 64)) < 0.1
    code = encode(mask)
    for length in range(len(code)):
        assert coded_pixels(code[:length]) != mask.size


@pytest.mark.parametrize("code", [b"", b"   ", b"garbage!!", b"~", b"o" * 30 + b"0", b"O"])
def test_what_is_no_code(code):
    assert coded_pixels(code) is None

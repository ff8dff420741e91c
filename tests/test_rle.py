"""Run-length codes of masks, compared with cocoapi."""

from __future__ import annotations

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from hypothesis import given, settings
from hypothesis import strategies as st

from save_avs._rle import (
    checked_run_lengths,
    decode_rle,
    decode_run_lengths,
    encode_rle,
    rle_area,
    rle_bounding_box,
)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_encoded_mask_is_decoded_by_cocoapi_and_by_us(height, width, data):
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits, bool).reshape(height, width)
    code = encode_rle(mask)
    np.testing.assert_array_equal(coco.decode({"size": [height, width], "counts": code}), mask)
    np.testing.assert_array_equal(decode_rle(code, (height, width)), mask)
    assert rle_area(code) == mask.sum()
    np.testing.assert_array_equal(
        encode_rle(mask.T.copy().T), np.array(code)
    )  # the memory order does not matter


def test_encoding_counts_columns_first():
    """Two columns, counted downwards: one off, two on, one off."""
    mask = np.array([[0, 1], [1, 0]], bool)
    assert encode_rle(mask) == coco.frPyObjects({"size": [2, 2], "counts": [1, 2, 1]}, 2, 2)["counts"]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 9), st.integers(0, 9), st.binary(max_size=12), st.booleans())
def test_checked_run_lengths_accepts_exactly_what_decodes(height, width, noise, printable):
    counts = bytes(48 + byte % 64 for byte in noise) if printable else noise
    try:
        coco.decode({"size": [height, width], "counts": counts})
        fine = all(48 <= byte < 112 for byte in counts) and _filled(counts) == height * width
    except (ValueError, RuntimeError):
        fine = False
    try:
        checked_run_lengths(counts, (height, width))
    except ValueError:
        assert not fine
    else:
        assert fine


def _filled(counts):
    """Pixels of a code, by the plainest reading."""
    runs, value, shift = [], 0, 0
    for byte in counts:
        value, shift = value | (byte - 48 & 31) << shift, shift + 5
        if byte - 48 & 32:
            continue
        value -= 1 << shift if byte - 48 & 16 else 0
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return -1 if shift or min(runs, default=0) < 0 else sum(runs)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_decoded_run_lengths_equal_the_encoded_ones(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) > 0.5
    changes = np.flatnonzero(np.diff(np.concatenate([[False], mask.T.ravel()])))
    runs = np.diff(np.concatenate([[0], changes, [mask.size]]))
    np.testing.assert_array_equal(decode_run_lengths(encode_rle(mask)), runs)


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        pytest.param(b"1", (2, 3), id="too-few-pixels"),
        pytest.param(b"06", (2, 2), id="too-many-pixels"),
        pytest.param(b"garbage!!", (2, 3), id="invalid-characters"),
        pytest.param(b"", (1 << 15, 1 << 15), id="too-large"),
    ],
)
def test_decoding_an_invalid_code_raises_value_error(counts, size):
    with pytest.raises(ValueError, match=r"pixels|run lengths"):
        decode_rle(counts, size)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (17, 31)])
def test_bounding_box_of_a_code_equals_that_of_its_mask(share, size):
    for seed in range(20):
        mask = np.random.default_rng(seed).random(size) < share
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (
            (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            if len(rows)
            else (slice(0, 0),) * 2
        )
        assert rle_bounding_box(encode_rle(mask), size) == box

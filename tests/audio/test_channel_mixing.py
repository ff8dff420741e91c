"""Mixing matrices against ITU-R BS.775: center and surrounds at -3 dB, no low-frequency channel."""

from __future__ import annotations

import numpy as np
import pytest

from save_avs.audio.channel_mixing import aac_layout, mix_matrix

SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")
QUIET = 10 ** (-3.0103 / 20)


@pytest.mark.parametrize("source", [("FC",), ("FL", "FR"), SURROUND, ("FL", "FR", "FC", "BC")])
def test_mono_is_the_mean_of_all_channels(source: tuple[str, ...]) -> None:
    assert np.allclose(mix_matrix(source, "mono"), [[1 / len(source)] * len(source)])


def test_stereo_of_5_1_is_bs_775_scaled_to_full_scale() -> None:
    expected = np.array([[1, 0, QUIET, 0, QUIET, 0], [0, 1, QUIET, 0, 0, QUIET]])
    assert np.allclose(mix_matrix(SURROUND, "stereo"), expected / (1 + 2 * QUIET), atol=1e-5)


def test_mono_goes_to_both_sides_and_stereo_stays() -> None:
    assert np.allclose(mix_matrix(("FC",), "stereo"), [[1], [1]])
    assert np.allclose(mix_matrix(("FL", "FR"), "stereo"), np.eye(2))
    assert np.allclose(mix_matrix(("LFE",), "stereo"), [[1], [1]])  # nothing else to hear


def test_side_channels_are_back_channels_where_there_are_none() -> None:
    side = ("FL", "FR", "FC", "LFE", "SL", "SR")
    assert np.allclose(mix_matrix(side, "5.1"), np.eye(6))
    assert [aac_layout(name) for name in ("5.1(side)", "7.1", "mono")] == ["5.1", "stereo", "mono"]

"""Logits and the plain video, which other thresholds are shown with."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from save_avs.errors import UsageError
from save_avs.formats.png_npz import write_logits
from save_avs.inference.pipeline import segment
from tests.support.sample_videos import BrightWhereLoud
from tests.support.tiny_model import shake, tiny_model


def upscaled(folder: Path, height: int, width: int) -> np.ndarray:
    """The logits of all frames at their size, f32 [T,H,W]."""
    levels = np.stack([np.asarray(Image.open(path), np.float32) for path in sorted(folder.iterdir())])
    logits = torch.from_numpy((levels - 128) / 8)[:, None]
    return F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)[:, 0].numpy()


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [round(frame.time, 3) for frame in container.decode(video=0)]


def test_logits_give_the_mask_at_any_threshold(video, tmp_path):
    model = tiny_model()
    shake(model)
    segment(video, model=model, smooth=0.1, outputs=("logits",), directory=tmp_path / "out")
    logits = upscaled(tmp_path / "out" / "logits", 64, 96)
    for threshold in (0.05, 0.3, 0.5, 0.8, 0.95):
        masks = segment(video, model=model, smooth=0.1, threshold=threshold).masks
        distance = logits - math.log(threshold / (1 - threshold))
        clear = np.abs(distance) > 0.07  # rounding moves a logit by up to 1/16
        assert np.array_equal(masks[clear], distance[clear] > 0)
        assert clear.mean() > 0.4
    assert len({bool(logits[i].max() > -16) for i in (0, 39)}) == 2  # the second half is silent: all 0


def test_cells_that_are_left_out_change_no_mask(tmp_path):
    y, x = np.mgrid[:24, :24] / 24
    logits = (9 * np.sin(5 * x) * np.cos(4 * y) + 2 * np.sin(40 * x * y)).astype(np.float32)
    write_logits(tmp_path / "logits" / "0.png", logits)
    written = upscaled(tmp_path / "logits", 100, 150)[0]
    exact = F.interpolate(torch.from_numpy(logits)[None, None], size=(100, 150), mode="bilinear")[
        0, 0
    ].numpy()
    for threshold in (0.05, 0.3, 0.7, 0.95):
        limit = math.log(threshold / (1 - threshold))
        clear = np.abs(exact - limit) > 0.07
        assert np.array_equal(written[clear] > limit, exact[clear] > limit)
        assert 0.2 < (exact > limit).mean() < 0.8
    levels = np.asarray(Image.open(tmp_path / "logits" / "0.png"))
    assert (levels == 0).sum() > 50 and (levels == 255).sum() > 50


def test_cells_far_from_every_edge_are_0_or_255(video, tmp_path):
    segment(video, model=BrightWhereLoud(), outputs=("logits",), directory=tmp_path / "out")
    files = list((tmp_path / "out" / "logits").iterdir())
    assert [path.name for path in sorted(files)] == [f"{i:06d}.png" for i in range(40)]
    levels = np.asarray(Image.open(files[0]))
    assert levels.shape[0] == levels.shape[1] and {0, 255} & set(levels.ravel().tolist())
    assert sum(path.stat().st_size for path in files) < 40 * levels.size


@pytest.mark.parametrize("fps", [None, 5])
def test_the_plain_video_has_the_frames_of_the_overlay_and_no_mask(video, tmp_path, fps):
    segment(video, model=BrightWhereLoud(), fps=fps, outputs=("overlay", "video"), directory=tmp_path / "out")
    overlay, plain = tmp_path / "out" / "overlay.mp4", tmp_path / "out" / "video.mp4"
    assert times(plain) == times(overlay) == times(video)
    with av.open(str(plain)) as container:
        assert container.streams.audio
        image = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.ptp(image, axis=2).max() < 12  # black and white, as the source: nothing is tinted


def test_logits_are_not_saved_later(video, tmp_path):
    result = segment(video, model=BrightWhereLoud(), outputs=("masks", "logits"))
    with pytest.raises(UsageError, match="not kept in memory"):
        result.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()

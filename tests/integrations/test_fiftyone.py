"""Labels and model for FiftyOne, with its own labels, samples and video reader, and without its database."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import save_avs
from tests.support.sample_videos import BrightWhereLoud

os.environ["FIFTYONE_DISABLE_SERVICES"] = "1"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fo = pytest.importorskip("fiftyone", reason="fiftyone is not installed")
FILE = Path(__file__).parents[2] / "integrations" / "fiftyone" / "save_avs_fiftyone.py"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("save_avs_fiftyone", FILE)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def full_mask(detection, size: tuple[int, int]) -> np.ndarray:
    """Paint a detection's crop at its relative box, bool [H,W]."""
    mask = np.zeros(size, bool)
    left, top = round(detection.bounding_box[0] * size[1]), round(detection.bounding_box[1] * size[0])
    height, width = detection.mask.shape
    mask[top : top + height, left : left + width] = detection.mask
    return mask


@pytest.mark.parametrize("track", [False, True])
def test_frames_have_the_masks_and_ids_of_their_objects(module, video, track):
    result = save_avs.segment(video, model=BrightWhereLoud(), track=track, fps=5)
    sample = fo.Sample(str(video))
    sample.add_labels(module.to_fiftyone(result), "sounding")
    for frame in result:
        detections = sample.frames[frame.source_index + 1]["sounding"].detections
        assert len(detections) == int(frame.mask.any())
        for detection in detections:
            np.testing.assert_array_equal(full_mask(detection, (64, 96)), frame.mask)
            assert detection.confidence == pytest.approx(frame.score)
            assert (detection.label, detection.index) == ("sounding object", 1 if track else None)


def test_model_labels_the_frames_that_the_reader_gives(module, video):
    from eta.core.video import FFmpegVideoReader

    model = module.SoundingObjects(BrightWhereLoud())
    assert isinstance(model, fo.core.models.Model) and model.media_type == "video"
    with model, FFmpegVideoReader(str(video), frames="3-6") as reader:
        labels = model.predict(reader)
    assert sorted(labels) == [3, 4, 5, 6]
    assert all(len(each.detections) == 1 for each in labels.values())

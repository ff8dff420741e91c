"""The CVAT function under the driver of CVAT's own SDK, with a task dataset and a server of the test's."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import save_avs
from tests.support.sample_videos import BrightWhereLoud, make_video

cvataa = pytest.importorskip("cvat_sdk.auto_annotation", reason="cvat-sdk is not installed")
FILE = Path(__file__).parents[2] / "integrations" / "cvat" / "save_avs_cvat.py"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """The function's file, loaded as cvat-cli's --function-file does."""
    spec = importlib.util.spec_from_file_location("__cvat_function__", FILE)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def function(module, monkeypatch, video):
    monkeypatch.setattr(save_avs, "load_model", lambda _: BrightWhereLoud())
    return module.create(str(video))


def annotate(
    monkeypatch, function: Any, images: dict[int, Image.Image], *, kind: str = "mask", **options: Any
) -> list[Any]:
    """Run the driver over images by frame number, the label of a kind; return the uploaded shapes."""
    from cvat_sdk import models
    from cvat_sdk.auto_annotation import driver

    label = models.Label(id=7, name="sounding object", type=kind, attributes=[], sublabels=[])
    samples = [
        SimpleNamespace(frame_index=i, frame_name=f"{i}.png", media=SimpleNamespace(load_image=lambda x=x: x))
        for i, x in images.items()
    ]
    dataset = SimpleNamespace(labels=[label], samples=samples)
    monkeypatch.setattr(driver, "TaskDataset", lambda *_, **__: dataset)
    uploads: list[Any] = []
    api = SimpleNamespace(
        update_annotations=lambda _, labeled_data_request: uploads.append(labeled_data_request)
    )
    client: Any = SimpleNamespace(logger=logging.getLogger("cvat"), tasks=SimpleNamespace(api=api))
    cvataa.annotate_task(client, 1, function, clear_existing=True, **options)
    return uploads[0].shapes


def frames_of(video: Path) -> list[np.ndarray]:
    return [image for chunk in save_avs.read_video_chunks(video) for image in chunk.frames]


def test_driver_uploads_the_masks_of_each_frame(monkeypatch, function, video):
    from cvat_sdk.masks import decode_mask

    expected = save_avs.segment(video, model=BrightWhereLoud(), track=True)
    chosen = [3, 9, 14, 35]  # the last is silent
    frames = frames_of(video)
    shapes = annotate(monkeypatch, function, {i: Image.fromarray(frames[i]) for i in chosen})
    assert [shape.frame for shape in shapes] == chosen[:3]
    for shape in shapes:
        assert (shape.label_id, shape.type.value, shape.source, shape.group) == (7, "mask", "auto", 1)
        mask = decode_mask(shape.points, image_width=96, image_height=64)
        np.testing.assert_array_equal(mask, expected[shape.frame].mask)


def test_scaled_and_recompressed_frames_are_found(function, video, tmp_path):
    frames = frames_of(video)
    for i in (2, 12, 25):
        Image.fromarray(frames[i]).resize((192, 128)).save(tmp_path / "frame.jpg", quality=70)
        with Image.open(tmp_path / "frame.jpg") as image:
            assert function._index("frame.jpg", image) == i


def test_still_scene_is_matched_in_order(module, monkeypatch, tmp_path):
    monkeypatch.setattr("tests.support.sample_videos.square_at", lambda i, width, height: (8, 16, 32))
    video = make_video(tmp_path / "still.mp4", frames=20)
    function = module.SoundingObjects(str(video), BrightWhereLoud(), None)
    indices = [function._index(f"{i}", Image.fromarray(image)) for i, image in enumerate(frames_of(video))]
    assert indices == list(range(20))


def test_threshold_leaves_out_less_sure_masks(monkeypatch, function, video):
    images = {5: Image.fromarray(frames_of(video)[5])}
    assert annotate(monkeypatch, function, images, conf_threshold=0.5)
    assert not annotate(monkeypatch, function, images, conf_threshold=1.0)


def test_frame_of_another_video_is_refused(monkeypatch, function):
    with pytest.raises(cvataa.BadFunctionError, match="not in the video"):
        annotate(monkeypatch, function, {0: Image.new("RGB", (96, 64), "magenta")})


def test_polygons_are_refused(monkeypatch, function, video):
    with pytest.raises(cvataa.BadFunctionError, match="polygons"):
        annotate(
            monkeypatch,
            function,
            {0: Image.fromarray(frames_of(video)[0])},
            kind="any",
            conv_mask_to_poly=True,
        )

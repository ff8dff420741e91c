"""The ML backend under label-studio-ml's own server (1.0.9, the version in the package index)."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

import save_avs
from tests.support.sample_videos import BrightWhereLoud

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("label_studio_ml.api", reason="label-studio-ml is not installed")
FOLDER = Path(__file__).parents[2] / "integrations" / "label_studio"
FRAMES = """<View><Image name="picture" value="$image"/>
  <BrushLabels name="mask" toName="picture"><Label value="loud"/></BrushLabels></View>"""
VIDEO = """<View><Labels name="label" toName="film"><Label value="loud"/></Labels>
  <Video name="film" value="$video" frameRate="10"/><VideoRectangle name="box" toName="film"/></View>"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("label_studio_backend", FOLDER / "model.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded, "load", lambda _: BrightWhereLoud())
    return loaded


@pytest.fixture
def predict(module, tmp_path):
    """Post the interface to /setup and tasks to /predict, as Label Studio does."""
    from label_studio_ml.api import init_app

    class Backend(module.SoundingObjects):
        def get_local_path(self, url: str, task_id: int | None = None) -> str:
            assert task_id is not None  # newer versions resolve cloud storage by it; 1.0.9 does not know it
            return url

    client = init_app(Backend, model_dir=str(tmp_path)).test_client()

    def post(config: str, *data: dict[str, Any]) -> Any:
        tasks = [{"id": i, "data": each} for i, each in enumerate(data)]
        client.post("/setup", json={"project": "1.1", "schema": config})
        return client.post("/predict", json={"tasks": tasks, "project": "1.1", "label_config": config})

    return post


@pytest.fixture
def expected(video) -> save_avs.SegmentationResult:
    return save_avs.segment(video, model=BrightWhereLoud(), track=True)


def test_frames_get_the_masks_of_their_times(predict, expected, video):
    from label_studio_brush_rle_rs import decode_rle

    times = (0.31, 1.2, 3.9)  # the last is silent
    answer = predict(FRAMES, *({"image": "x.png", "video": str(video), "time": time} for time in times))
    assert answer.status_code == 200
    loud, louder, silent = answer.json["results"]
    assert silent["result"] == []
    for prediction, frame in ((loud, expected[3]), (louder, expected[12])):
        (region,) = prediction["result"]
        assert (region["from_name"], region["to_name"], region["type"]) == ("mask", "picture", "brushlabels")
        assert region["value"]["brushlabels"] == ["loud"]
        pixels = np.frombuffer(bytes(decode_rle(region["value"]["rle"], False)), np.uint8).reshape(64, 96, 4)
        np.testing.assert_array_equal(pixels[..., 3] > 0, frame.mask)


def test_video_gets_a_box_on_each_frame_of_an_object(predict, expected, video):
    answer = predict(VIDEO, {"video": str(video)})
    (region,) = answer.json["results"][0]["result"]
    value = region["value"]
    assert (region["from_name"], region["to_name"], region["type"]) == ("box", "film", "videorectangle")
    assert (value["labels"], value["framesCount"], value["duration"]) == (["loud"], 40, pytest.approx(4))
    shown = [frame for frame in expected if frame.mask.any()]
    assert [box["frame"] for box in value["sequence"]] == [frame.source_index + 1 for frame in shown]
    assert [box["enabled"] for box in value["sequence"]] == [True] * (len(shown) - 1) + [False]
    for box, frame in zip(value["sequence"], shown, strict=True):
        rows, columns = np.flatnonzero(frame.mask.any(1)), np.flatnonzero(frame.mask.any(0))
        assert box["x"] == pytest.approx(100 * columns[0] / 96)
        assert box["y"] == pytest.approx(100 * rows[0] / 64)
        assert box["width"] == pytest.approx(100 * (columns[-1] + 1 - columns[0]) / 96)
        assert box["height"] == pytest.approx(100 * (rows[-1] + 1 - rows[0]) / 64)
        assert box["time"] == pytest.approx(frame.time)


def test_box_disappears_between_two_sounds(module, expected):
    parts = expected.video_masks
    gap = [i for i in range(20) if i not in (8, 9)]
    silent = parts[30].objects
    objects = tuple(parts.objects[i] if i in gap else silent for i in range(20))
    result = replace(expected, video_masks=replace(parts[:20], objects=objects))
    (region,) = module.boxes(result)
    disabled = [box["frame"] for box in region["value"]["sequence"] if not box["enabled"]]
    assert disabled == [8, 20]


@pytest.mark.parametrize("data", [{"image": "x.png"}, {"image": "x.png", "video": "clip.mp4"}], ids=str)
def test_task_without_video_or_time_is_an_error(predict, data):
    answer = predict(FRAMES, data)
    assert answer.status_code == 500 and "README.md" in answer.get_data(as_text=True)


def test_compose_builds_the_backend_beside_label_studio():
    services = yaml.safe_load((FOLDER / "docker-compose.yml").read_text("utf-8"))["services"]
    assert services["save-avs"]["environment"]["LABEL_STUDIO_URL"] == "http://label-studio:8080"
    copied = (FOLDER / "Dockerfile").read_text("utf-8")
    assert all(name in copied for name in ("model.py", "_wsgi.py", "requirements.txt"))

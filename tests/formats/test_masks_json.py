from __future__ import annotations

import json

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from hypothesis import given, settings
from hypothesis import strategies as st

from save_avs._rle import encode_rle
from save_avs.errors import UsageError
from save_avs.formats import MaskDocument, load_masks_json, write_masks_json
from save_avs.types import FrameMask, VideoMasksBuilder
from tests.support.corruption import BOUNDED, documents

VIDEO = {"path": "clip.mp4", "width": 31, "height": 17, "fps": 25.0, "duration": 10.0}
MODEL = {"name": "tiny"}


def masks(count=3, size=(17, 31)):
    found = np.random.default_rng(0).random((count, *size)) > 0.6
    found[-1] = False
    return found


def video_masks_of(found):
    builder = VideoMasksBuilder(found.shape[1:])
    for i, mask in enumerate(found):
        builder.add(FrameMask(2 * i, 2 * i, i / 12.5, np.float32(0.1 * i), mask))
    return builder.build()


def test_masks_json_has_the_documented_form(tmp_path):
    found = masks()
    write_masks_json(tmp_path / "masks.json", MaskDocument(video_masks_of(found), VIDEO, MODEL))
    read = json.loads((tmp_path / "masks.json").read_text())
    assert list(read) == ["version", "video", "model", "frames"]
    assert (read["version"], read["video"], read["model"]) == (1, VIDEO, MODEL)
    assert [(f["index"], f["time"], f["score"]) for f in read["frames"]] == [
        (0, 0, 0),
        (2, 0.08, 0.1),
        (4, 0.16, 0.2),
    ]
    for frame, mask in zip(read["frames"], found, strict=True):
        assert frame["segmentation"]["size"] == [17, 31]
        np.testing.assert_array_equal(coco.decode(frame["segmentation"]), mask)
    assert [p.name for p in tmp_path.iterdir()] == ["masks.json"]


def test_load_masks_json_returns_what_was_written(tmp_path):
    found = masks(5)
    write_masks_json(tmp_path / "masks.json", MaskDocument(video_masks_of(found), VIDEO, MODEL))
    document = load_masks_json(tmp_path / "masks.json")
    assert (document.video, document.model) == (VIDEO, MODEL)
    video_masks = document.video_masks
    assert (video_masks.size, video_masks.indices) == ((17, 31), (0, 2, 4, 6, 8))
    for i in range(5):
        np.testing.assert_array_equal(video_masks.mask(i), found[i])
    np.testing.assert_allclose(video_masks.areas(), found.mean(axis=(1, 2)))


def test_no_frames(tmp_path):
    write_masks_json(tmp_path / "masks.json", MaskDocument(VideoMasksBuilder((17, 31)).build(), VIDEO, MODEL))
    assert len(load_masks_json(tmp_path / "masks.json").video_masks) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(version=2), "version 2"),
        (lambda d: d.pop("frames"), "not a masks.json"),
        (lambda d: d["video"].update(width=30), "not a masks.json.*size"),
        (lambda d: d["frames"][0].pop("segmentation"), "not a masks.json.*missing key 'segmentation'"),
        (lambda d: d.pop("model"), "missing key 'model'"),
        (lambda d: d["video"].pop("fps"), "missing key 'fps'"),
        (lambda d: d["video"].update(width=0, height=0), "no video has 0 x 0 pixels"),
        (lambda d: d["video"].update(width=1, height=1 << 27), "no video has 1 x 134217728 pixels"),
        (lambda d: d["video"].update(width=60000, height=60000), "no video has 60000 x 60000 pixels"),
        (lambda d: d["frames"][1].update(index=0), "frame 0 follows frame 0: every frame once"),
        (lambda d: d["frames"].reverse(), "frame 2 follows frame 4: every frame once, in order"),
        (lambda d: d["frames"][1]["segmentation"].update(counts="garbage!!"), "frame 2 does not cover"),
        (lambda d: d["frames"][1]["segmentation"].update(counts=""), "frame 2 does not cover"),
        (lambda d: d["frames"][1]["segmentation"].update(counts="é"), "frame 2 does not cover"),
    ],
)
def test_invalid_masks_json_raises_usage_error(tmp_path, change, words):
    path = tmp_path / "masks.json"
    write_masks_json(path, MaskDocument(video_masks_of(masks()), VIDEO, MODEL))
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=words) as error:
        load_masks_json(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame["segmentation"].update(counts="22/"),
        lambda frame: frame["segmentation"].update(counts="1"),
        lambda frame: frame.update(index=-1),
        lambda frame: frame.update(time=float("nan")),
        lambda frame: frame.update(score=float("inf")),
        lambda frame: frame.update(index=float("inf")),
    ],
)
def test_invalid_frame_raises_usage_error(tmp_path, change):
    path = tmp_path / "masks.json"
    write_masks_json(path, MaskDocument(video_masks_of(masks()), VIDEO, MODEL))
    data = json.loads(path.read_text())
    change(data["frames"][1])
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=r"not a masks\.json"):
        load_masks_json(path)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_raise_a_one_line_usage_error(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("noise") / "masks.json"
    path.write_bytes(noise)
    with pytest.raises(UsageError) as error:
        load_masks_json(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "no json", "[" * 100_000, "{}", "\xff"])
def test_text_that_is_no_masks_json_raises_usage_error(tmp_path, text):
    (tmp_path / "masks.json").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"not a masks\.json") as error:
        load_masks_json(tmp_path / "masks.json")
    assert len(str(error.value)) - len(str(tmp_path)) < 110  # not the file in the message
    with pytest.raises(UsageError, match="is a folder: name the masks"):
        load_masks_json(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        load_masks_json(tmp_path / "none.json")


def test_builder_rejects_a_mask_of_another_size():
    with pytest.raises(ValueError, match="mask of"):
        VideoMasksBuilder((4, 5)).add(FrameMask(0, 0, 0, 0, np.zeros((5, 4), bool)))


def test_areas_of_many_and_of_no_frames():
    found = masks(count=600)
    np.testing.assert_allclose(video_masks_of(found).areas(), found.mean(axis=(1, 2)))
    assert VideoMasksBuilder((17, 31)).build().areas().shape == (0,)


DOCUMENT = {
    "version": 1,
    "video": {"path": "a.mp4", "width": 3, "height": 2, "fps": 25.0},
    "model": {"name": "m"},
    "frames": [{"index": 0, "time": 0.0, "score": 1.0, "segmentation": {"size": [2, 3], "counts": "222"}}],
}


@BOUNDED
@given(content=documents(DOCUMENT))
def test_mutated_documents_load_or_raise_usage_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "masks.json"
    path.write_bytes(content)
    try:
        video_masks = load_masks_json(path).video_masks
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert [video_masks.mask(i).shape for i in range(len(video_masks))] == [video_masks.size] * len(
            video_masks
        )


FULL, EMPTY = (encode_rle(np.full((17, 31), marked)).decode() for marked in (True, False))
OBJECT = {"id": 3, "score": 0.5, "segmentation": {"size": [17, 31], "counts": FULL}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": 0}, "an object of frame 4 has the id 0"),
        ({"id": 1 << 40}, "has the id"),
        ({"id": "x"}, "has the id x"),
        ({"id": 1.5}, "has the id 1.5"),
        ({"id": True}, "has the id True"),
        ({"score": float("nan")}, "score of nan"),
        (
            {"segmentation": {"size": [17, 31], "counts": "1"}},
            "an object of frame 4 does not cover the frame",
        ),
        ({"segmentation": {"size": [31, 17], "counts": FULL}}, "an object of frame 4 has size"),
        ({"segmentation": {"size": [17, 31], "counts": EMPTY}}, "an object of frame 4 is empty"),
        ({"segmentation": None}, "not a masks.json"),
    ],
)
def test_invalid_object_raises_usage_error(tmp_path, change, words):
    path = tmp_path / "masks.json"
    write_masks_json(path, MaskDocument(video_masks_of(masks()), VIDEO, MODEL))
    data = json.loads(path.read_text())
    for frame in data["frames"]:
        frame["objects"] = [OBJECT]
    path.write_text(json.dumps(data))
    assert len(load_masks_json(path).video_masks.objects or ()) == len(data["frames"])
    data["frames"][-1]["objects"] = [OBJECT, OBJECT | change]
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=words) as error:
        load_masks_json(path)
    assert "\n" not in str(error.value)


def test_objects_in_some_frames_only_raise_usage_error(tmp_path):
    path = tmp_path / "masks.json"
    write_masks_json(path, MaskDocument(video_masks_of(masks()), VIDEO, MODEL))
    data = json.loads(path.read_text())
    data["frames"][0]["objects"] = [OBJECT]
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="missing key 'objects'"):
        load_masks_json(path)

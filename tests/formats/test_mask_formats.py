"""Masks in the formats of other tools, each opened by that tool or its library."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from faster_coco_eval import COCO
from PIL import Image

from save_avs.formats import LABEL, MASK_FORMATS, MaskDocument, load_masks_json, write_masks_json
from save_avs.types import Bool, VideoMasksBuilder

HEIGHT, WIDTH, FPS = 34, 61, 10.0
VIDEO = {"path": "clips/clip.mp4", "width": WIDTH, "height": HEIGHT, "fps": FPS, "duration": 0.7}


def example_masks() -> Bool:
    """Seven masks: noise, full, empty, the four corners' pixels, a single pixel, a ring, empty."""
    masks = np.zeros((7, HEIGHT, WIDTH), bool)
    masks[0] = np.random.default_rng(0).random((HEIGHT, WIDTH)) > 0.4
    masks[1] = True
    masks[3, [0, 0, -1, -1], [0, -1, 0, -1]] = True
    masks[4, 20, 3] = True
    masks[5, 5:30, 10:50] = True
    masks[5, 12:20, 20:40] = False
    return masks


def document_of(masks: Bool, *, every: float = 1, images: str = "") -> MaskDocument:
    builder = VideoMasksBuilder(masks.shape[1:])
    for i, mask in enumerate(masks):
        score = 0.9 if mask.any() else 0
        builder.add(mask, index=i, source_index=int(i * every), time=i / FPS, score=score)
    return MaskDocument(builder.build(), VIDEO, {"name": "tiny"}, images)


def written(name: str, folder: Path, **more) -> tuple[Path, Bool]:
    masks = example_masks()
    path = folder / MASK_FORMATS[name].file
    MASK_FORMATS[name].write(path, document_of(masks, **more))
    return path, masks


def test_png(tmp_path):
    folder, masks = written("png", tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == [f"{i:06d}.png" for i in range(7)]
    for i, mask in enumerate(masks):
        with Image.open(folder / f"{i:06d}.png") as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), mask * np.uint8(255))


def test_npz(tmp_path):
    path, masks = written("npz", tmp_path)
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["masks"], masks)
        np.testing.assert_array_equal(arrays["indices"], np.arange(7))
        np.testing.assert_allclose(arrays["times"], np.arange(7) / 10)
        assert arrays["scores"][2] == 0 and arrays["masks"].dtype == bool


def test_coco(tmp_path, capsys):
    path, masks = written("coco", tmp_path, images="frames/")
    data = COCO(path)
    assert [cat["name"] for cat in data.loadCats(data.getCatIds())] == [LABEL]
    for i, mask in enumerate(masks):
        (image,) = data.loadImgs([i])
        assert (image["file_name"], image["width"], image["height"]) == (f"frames/{i:06d}.png", WIDTH, HEIGHT)
        found = data.loadAnns(data.getAnnIds(imgIds=[i]))
        assert len(found) == int(mask.any())
        for annotation in found:
            np.testing.assert_array_equal(data.annToMask(annotation).astype(bool), mask)
            assert annotation["area"] == mask.sum()
            x, y, width, height = annotation["bbox"]
            rows, columns = np.nonzero(mask)
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width - 1, y + height - 1) == (columns.max(), rows.max())


def test_cvat_is_read_by_datumaro(tmp_path):
    datumaro = pytest.importorskip("datumaro")
    path, masks = written("cvat", tmp_path / "set")
    named = [image.get("name") for image in ElementTree.parse(path).iter("image")]
    (path.parent / "images").mkdir()
    for name in named:
        Image.new("RGB", (WIDTH, HEIGHT)).save(path.parent / "images" / str(name))
    items = {
        item.attributes["frame"]: item for item in datumaro.Dataset.import_from(str(path.parent), "cvat")
    }
    assert sorted(items) == [0, 1, 3, 4, 5]
    for number, item in items.items():
        (annotation,) = item.annotations
        np.testing.assert_array_equal(np.asarray(annotation.image).astype(bool), masks[number])


def test_cvat_numbers_are_those_of_the_video_and_never_repeat(tmp_path):
    path, _ = written("cvat", tmp_path, every=0.5)
    numbers = [int(image.get("id", -1)) for image in ElementTree.parse(path).iter("image")]
    assert numbers == [0, 1, 2]
    path, _ = written("cvat", tmp_path, every=7)
    numbers = [int(image.get("id", -1)) for image in ElementTree.parse(path).iter("image")]
    assert numbers == [0, 7, 21, 28, 35]


def test_source_index_is_written_and_read(tmp_path):
    document = document_of(example_masks(), every=5)
    write_masks_json(tmp_path / "masks.json", document)
    assert load_masks_json(tmp_path / "masks.json").video_masks == document.video_masks
    assert document.video_masks.source_indices == (0, 5, 10, 15, 20, 25, 30)
    path, _ = written("coco", tmp_path, every=5)
    images = json.loads(path.read_text())["images"]
    assert [(image["id"], image["source_index"]) for image in images] == [(i, 5 * i) for i in range(7)]


def test_label_studio(tmp_path):
    """Decoded by another implementation than Label Studio's own, of the same format."""
    brush = pytest.importorskip("label_studio_brush_rle_rs")
    path, masks = written("labelstudio", tmp_path, images="/data/local-files/?d=clip/")
    tasks = json.loads(path.read_text())
    assert [task["data"]["image"] for task in tasks][:1] == ["/data/local-files/?d=clip/000000.png"]
    for task, mask in zip(tasks, masks, strict=True):
        (prediction,) = task["predictions"]
        assert len(prediction["result"]) == int(mask.any())
        for result in prediction["result"]:
            assert (result["original_width"], result["original_height"]) == (WIDTH, HEIGHT)
            assert result["value"]["brushlabels"] == [LABEL]
            values = np.array(brush.decode_rle(result["value"]["rle"], False), np.uint8)
            decoded = values.reshape(HEIGHT, WIDTH, 4)
            np.testing.assert_array_equal(decoded, np.repeat(mask[..., None] * np.uint8(255), 4, axis=2))


def test_label_studio_runs_longer_than_a_length_field(tmp_path):
    """More equal values in a row than one length can say."""
    brush = pytest.importorskip("label_studio_brush_rle_rs")
    masks = np.zeros((1, 400, 400), bool)
    masks[0, 200:] = True
    MASK_FORMATS["labelstudio"].write(tmp_path / "tasks.json", document_of(masks))
    ((task,),) = [json.loads((tmp_path / "tasks.json").read_text())]
    code = task["predictions"][0]["result"][0]["value"]["rle"]
    values = np.array(brush.decode_rle(code, False), np.uint8).reshape(400, 400, 4)
    np.testing.assert_array_equal(values[..., 3] > 0, masks[0])


@pytest.mark.parametrize("name", MASK_FORMATS)
def test_no_frames(name, tmp_path):
    MASK_FORMATS[name].write(tmp_path / MASK_FORMATS[name].file, document_of(example_masks()[:0]))


def test_image_prefix_of_a_loaded_document(tmp_path):
    masks = document_of(example_masks())
    write_masks_json(tmp_path / "masks.json", masks)
    assert load_masks_json(tmp_path / "masks.json", image_prefix="x/").image_name(3) == "x/000003.png"

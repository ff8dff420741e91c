"""Masks in the formats of other tools, each opened by that tool or its library."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from faster_coco_eval import COCO
from PIL import Image

from save_avs._rle import encode_rle
from save_avs.formats import LABEL, MASK_FORMATS, MaskDocument, load_masks_json, write_masks_json
from save_avs.types import Bool, FrameMask, MaskObject, VideoMasksBuilder

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
        builder.add(FrameMask(i, int(i * every), i / FPS, score, mask))
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


def object_document(*, ids: bool = True) -> MaskDocument:
    """Three frames with the objects A and B, B alone, and none; A is in B's bounding box."""
    a, b = np.zeros((2, HEIGHT, WIDTH), bool)
    a[10:14, 20:30] = True
    b[2:30, 5:50] = True
    b[6:26, 10:45] = False
    found = [(a, 0.75, 7), (b, 0.5, 3)]
    builder = VideoMasksBuilder((HEIGHT, WIDTH))
    for i, shown in enumerate(([1, 0], [1], [])):
        objects = tuple(
            MaskObject((HEIGHT, WIDTH), encode_rle(found[k][0]), found[k][1], found[k][2] if ids else None)
            for k in shown
        )
        mask = np.logical_or.reduce([found[k][0] for k in shown] or [np.zeros_like(a)])
        builder.add(FrameMask(i, i, i / FPS, 0.6 if shown else 0, mask, objects=objects))
    return MaskDocument(builder.build(), VIDEO, {"name": "tiny"})


def objects_of(document: MaskDocument) -> list[list[MaskObject]]:
    return [list(frame) for frame in document.video_masks.objects or ()]


@pytest.mark.parametrize("ids", [True, False])
def test_objects_are_written_to_masks_json_and_read(ids, tmp_path):
    document = object_document(ids=ids)
    write_masks_json(tmp_path / "masks.json", document)
    assert load_masks_json(tmp_path / "masks.json").video_masks == document.video_masks
    frames = json.loads((tmp_path / "masks.json").read_text())["frames"]
    known = {"id": 7} if ids else {}
    size, code = [HEIGHT, WIDTH], objects_of(document)[0][1].counts.decode()
    shape = {"bbox": [20, 10, 10, 4], "segmentation": {"size": size, "counts": code}}
    assert frames[0]["objects"][1] == known | {"score": 0.75} | shape
    assert [len(frame["objects"]) for frame in frames] == [2, 1, 0]


@pytest.mark.parametrize("ids", [True, False])
def test_coco_has_an_annotation_for_each_object(ids, tmp_path):
    document = object_document(ids=ids)
    MASK_FORMATS["coco"].write(tmp_path / "masks.coco.json", document)
    data = COCO(tmp_path / "masks.coco.json")
    for i, objects in enumerate(objects_of(document)):
        annotations = data.loadAnns(data.getAnnIds(imgIds=[i]))
        assert [each.get("track_id") for each in annotations] == [each.id for each in objects]
        assert [each["score"] for each in annotations] == [each.score for each in objects]
        for annotation, found in zip(annotations, objects, strict=True):
            mask = data.annToMask(annotation).astype(bool)
            np.testing.assert_array_equal(mask, found.mask)
            assert annotation["area"] == mask.sum() and annotation["bbox"] == list(found.box)


def test_cvat_groups_the_masks_of_an_object(tmp_path):
    datumaro = pytest.importorskip("datumaro")
    document, path = object_document(), tmp_path / "set" / "masks.cvat.xml"
    MASK_FORMATS["cvat"].write(path, document)
    (path.parent / "images").mkdir()
    for i in range(2):
        Image.new("RGB", (WIDTH, HEIGHT)).save(path.parent / "images" / f"frame_{i:06d}.png")
    items = {
        each.attributes["frame"]: each for each in datumaro.Dataset.import_from(str(path.parent), "cvat")
    }
    assert sorted(items) == [0, 1]
    for i, item in items.items():
        for annotation, found in zip(item.annotations, objects_of(document)[i], strict=True):
            np.testing.assert_array_equal(np.asarray(annotation.image).astype(bool), found.mask)
            assert annotation.group == found.id
            assert str(annotation.attributes["track_id"]) == str(found.id)


def test_label_studio_has_a_brush_for_each_object(tmp_path):
    brush = pytest.importorskip("label_studio_brush_rle_rs")
    document = object_document()
    MASK_FORMATS["labelstudio"].write(tmp_path / "tasks.json", document)
    for task, objects in zip(
        json.loads((tmp_path / "tasks.json").read_text()), objects_of(document), strict=True
    ):
        results = task["predictions"][0]["result"]
        assert [each["score"] for each in results] == [each.score for each in objects]
        assert [each["meta"]["text"] for each in results] == [[f"track_id {each.id}"] for each in objects]
        assert len({each["id"] for each in results}) == len(objects)
        for result, found in zip(results, objects, strict=True):
            values = np.array(brush.decode_rle(result["value"]["rle"], False), np.uint8)
            np.testing.assert_array_equal(values.reshape(HEIGHT, WIDTH, 4)[..., 3] > 0, found.mask)


@pytest.mark.parametrize("first", [1, 300, 70000])
def test_png_of_objects_is_a_label_image(first, tmp_path):
    document = object_document()
    masks = document.video_masks
    objects = tuple(
        tuple(replace(each, id=(each.id or 0) + first - 1) for each in frame) for frame in masks.objects or ()
    )
    document = replace(document, video_masks=replace(masks, objects=objects))
    MASK_FORMATS["png"].write(tmp_path, document)
    for i, frame in enumerate(objects):
        with Image.open(tmp_path / f"{i:06d}.png") as image:
            assert image.mode == ("P" if first == 1 else "I;16")
            if first == 1:
                palette = np.array(image.getpalette()).reshape(-1, 3)
                assert not palette[0].any() and np.abs(palette[7] - palette[3]).sum() > 100
            pixels = np.asarray(image)
        expected = np.zeros((HEIGHT, WIDTH), int)
        for each in frame:
            expected[each.mask] = (each.id or 0) % 65535
        np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("ids", [True, False])
def test_npz_has_labels_and_a_table_of_the_objects(ids, tmp_path):
    document = object_document(ids=ids)
    MASK_FORMATS["npz"].write(tmp_path / "masks.npz", document)
    with np.load(tmp_path / "masks.npz") as arrays:
        assert arrays["object_frames"].tolist() == [0, 0, 1]
        assert arrays["object_ids"].tolist() == ([3, 7, 3] if ids else [0, 0, 0])
        assert arrays["object_scores"].tolist() == [0.5, 0.75, 0.5]
        assert arrays["object_boxes"].tolist() == [[5, 2, 45, 28], [20, 10, 10, 4], [5, 2, 45, 28]]
        np.testing.assert_array_equal(arrays["masks"], [each.mask for each in document.video_masks])
        for i, frame in enumerate(objects_of(document)):
            for rank, each in enumerate(frame, start=1):
                np.testing.assert_array_equal(arrays["labels"][i] == (each.id or rank), each.mask)


@pytest.mark.parametrize("name", MASK_FORMATS)
def test_no_objects_in_any_frame(name, tmp_path):
    builder = VideoMasksBuilder((HEIGHT, WIDTH))
    for i in range(2):
        builder.add(FrameMask(i, i, i / FPS, 0, np.zeros((HEIGHT, WIDTH), bool), objects=()))
    MASK_FORMATS[name].write(tmp_path / MASK_FORMATS[name].file, MaskDocument(builder.build(), VIDEO, {}))

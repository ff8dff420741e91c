"""Masks of any system in files: what each form means, against formulas over the arrays that were written."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from save_avs.datasets import as_published, open_dataset
from save_avs.errors import DataError, UsageError
from save_avs.evaluation import evaluate_clips, open_predictions
from save_avs.metrics.protocols import PROTOCOLS
from tests.support import dataset_trees as trees
from tests.support import official_loaders as official
from tests.support.metric_oracle import averaged, class_means

FAST = {"resamples": 5}
UID = "_fvpYLXtQHQ_1"
PLACE = f"ms3_data/gt_masks/test/{UID}"
TRUTH = [trees.mask(k) > 0 for k in range(1, 6)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trees.ms3(tmp_path_factory.mktemp("trees"))


def soft(size: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    """Probabilities of five frames, smooth enough to be resized."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(5, 1, 4, 5, generator=draw)
    return list(torch.nn.functional.interpolate(coarse, size, mode="bilinear")[:, 0].numpy())


def grown(values: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    """Pillow's resize."""
    return np.asarray(Image.fromarray(values).resize(size[::-1], how))


def logit(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-p)


def scores(root: Path, folder: Path, protocol: str, **options) -> tuple[float, float]:
    clips = open_dataset("ms3", root, "test")
    report = evaluate_clips(open_predictions(folder, clips, **options), clips, [protocol], **FAST)
    overall = report.scores[0].overall.scores
    return overall["miou"].value, overall["f"].value


def write(folder: Path, arrays: list[np.ndarray], key: str | None = None) -> Path:
    """As NPZ under a key, or as PNG."""
    for k, array in enumerate(arrays, start=1):
        path = folder / PLACE / f"{UID}_{k}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if key is None:
            Image.fromarray(array).save(f"{path}.png")
        else:
            np.savez(f"{path}.npz", **{key: array})
    return folder


@pytest.mark.parametrize("form", ["8 bit", "16 bit", "probs", "logits"])
@pytest.mark.parametrize("name", ["dataset", "gavs"])  # both compare at the target's size
def test_probabilities_at_the_frames_size(form, name, root, tmp_path) -> None:
    top = 255 if form == "8 bit" else 65535
    levels = [np.round(p * top) for p in soft((trees.H, trees.W))]
    levels[0][:3], levels[0][3:6] = 0, top  # certain pixels count at every threshold
    given = [(n / top).astype(np.float32) for n in levels]
    match form:
        case "8 bit":
            write(tmp_path, [n.astype(np.uint8) for n in levels])
        case "16 bit":
            write(tmp_path, [n.astype(np.uint16) for n in levels])
        case "probs":
            write(tmp_path, given, "probs")
        case "logits":
            write(
                tmp_path,
                [logit(p.astype(np.float64)).clip(-90, 90).astype(np.float32) for p in given],
                "logits",
            )
    options = {"content": "probability"} if form == "8 bit" else {}
    protocol = PROTOCOLS[name]
    per_batch = protocol.clips_per_batch or 1
    expected = averaged(
        [(np.stack([logit(p) for p in given]), np.stack(TRUTH))],
        per_batch,
        threshold=protocol.scoring.threshold,
    )
    assert scores(root, tmp_path, name, **options) == pytest.approx(expected, abs=2e-6)


def test_masks_grow_by_nearest_neighbor_and_probabilities_bilinearly(root, tmp_path) -> None:
    small = soft((56, 56))
    binary = [(p > 0.55).astype(np.uint8) * 255 for p in small]
    truth = np.stack([grown(t.astype(np.uint8), (224, 224), Image.Resampling.NEAREST) > 0 for t in TRUTH])
    up = [grown(m, (224, 224), Image.Resampling.NEAREST) / 255 for m in binary]
    expected = averaged([(logit(np.stack(up)), truth)], 1)
    assert scores(root, write(tmp_path / "a", binary), "official") == pytest.approx(expected, abs=1e-6)
    up = [grown(p, (224, 224), Image.Resampling.BILINEAR) for p in small]
    expected = averaged([(logit(np.stack(up)), truth)], 1)
    found = scores(root, write(tmp_path / "b", small, "probs"), "official")
    assert found == pytest.approx(expected, abs=2e-4)


def test_square_masks_tell_the_networks_size(root, tmp_path) -> None:
    side = 64
    probs = soft((side, side))
    truth = np.stack([grown(t.astype(np.uint8), (side, side), Image.Resampling.NEAREST) > 0 for t in TRUTH])
    expected = averaged([(logit(np.stack(probs)), truth)], 1, raw_f=True)
    assert scores(root, write(tmp_path, probs, "probs"), "sama") == pytest.approx(expected, abs=1e-5)


def test_label_maps_are_scored_by_class(tmp_path) -> None:
    root = trees.avss(tmp_path / "trees")
    clips = open_dataset("v2", root, "test")
    rng = np.random.default_rng(0)
    found, truth = [], []
    for i in range(len(clips)):
        for k in range(10):
            labels = rng.choice([0, 0, 1, 2, 70], (trees.H, trees.W)).astype(np.uint8)
            trees.save(labels, tmp_path / f"masks/v2/{clips.metadata(i).name}/labels_semantic/{k}.png")
            found.append(grown(labels, (224, 224), Image.Resampling.NEAREST))
            truth.append(grown(clips[i].labels[k], (224, 224), Image.Resampling.NEAREST))
    masks = open_predictions(tmp_path / "masks", clips, content="labels")
    report = evaluate_clips(masks, clips, ["dataset"], **FAST)
    assert report.semantic is not None
    official = report.semantic.overall["official"]
    expected = [np.mean(means) for means in class_means(found, truth, 71)]
    assert [official[m].value for m in ("miou", "f")] == pytest.approx(expected, abs=1e-6)
    trees.save(np.full((trees.H, trees.W), 71, np.uint8), next((tmp_path / "masks").rglob("3.png")))
    with pytest.raises(DataError, match=r"3\.png: label 71, but there are 71 classes"):
        evaluate_clips(masks, clips, ["dataset"], **FAST)


def test_masks_of_a_folder_of_shards_go_by_their_names_in_it(tmp_path, root) -> None:
    from save_avs.datasets.shards import write_shards

    clips = open_dataset("ms3", root, "test")
    write_shards([clips], tmp_path / "shards", shard_bytes=1 << 20)
    stored = open_dataset("ms3", tmp_path / "shards", "test")
    for k, mask in enumerate(TRUTH):
        trees.save(mask.astype(np.uint8), tmp_path / f"masks/000000.mask{k}.png")
    report = evaluate_clips(open_predictions(tmp_path / "masks", stored), stored, ["official"], **FAST)
    assert report.scores[0].overall.scores["miou"].value == pytest.approx(1, abs=1e-6)


def lying_npz() -> bytes:
    """An archive whose array says that it is far larger than its data."""
    header, out = io.BytesIO(), io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": (1 << 15, 1 << 15)}
    np.lib.format.write_array_header_1_0(header, description)
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("probs.npy", header.getvalue())
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"probs": np.full((8, 8), 1.5)}, r"'probs' must be in 0\.\.1"),
        ({"logits": np.full((8, 8), np.nan)}, "values that are not numbers"),
        ({"scores": np.zeros((8, 8))}, "must hold one array named logits, probs or mask, has scores"),
        ({"probs": np.zeros((8, 8)), "mask": np.zeros((8, 8))}, "must hold one array"),
        ({"probs": np.zeros((2, 8, 8))}, r"must be \[height, width\], is \[2, 8, 8\]"),
        ({"mask": np.array([[None]])}, "an array of objects"),
        (lying_npz(), "larger than its file"),
        (b"PK no archive", "cannot be read as NPZ"),
    ],
)
def test_a_broken_npz_is_named(content, said, root, tmp_path) -> None:
    write(tmp_path, soft((8, 8)), "logits" if isinstance(content, dict) and "logits" in content else "probs")
    path = tmp_path / PLACE / f"{UID}_4.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, allow_pickle=True, **content)
    with pytest.raises(DataError, match=rf"{path.name}: .*{said}") as caught:
        scores(root, tmp_path, "official")
    assert "\n" not in str(caught.value)


def test_labels_in_some_files_only_are_refused(tmp_path) -> None:
    root = trees.avss(tmp_path / "trees")
    clips = open_dataset("v1m", root, "test")
    for k in range(5):
        path = tmp_path / f"masks/v1m/{UID}/labels_semantic/{k}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = {"labels": np.zeros((8, 8), np.uint8)} if k else {}
        np.savez(path, probs=np.zeros((8, 8), np.float32), **labels)
    with pytest.raises(DataError, match="4 of 5 files have labels: give all or none"):
        open_predictions(tmp_path / "masks", clips)


def test_other_splits_may_be_in_the_same_folder(tmp_path) -> None:
    root = trees.avss(tmp_path / "trees")
    test, train = (open_dataset("v2", root, split) for split in ("test", "train"))
    for clips in (test, train):
        for i in range(len(clips)):
            for k in range(10):
                trees.save(trees.mask(1), tmp_path / f"m/v2/{clips.metadata(i).name}/labels_semantic/{k}.png")
    with pytest.raises(DataError, match="10 files that no frame has"):
        open_predictions(tmp_path / "m", test)
    assert len(open_predictions(tmp_path / "m", test, others=[train]).files) == 20


def test_avss_as_published_scores_the_padding_of_v1_clips(tmp_path) -> None:
    official.write_avss(tmp_path / "trees")
    clips = as_published(open_dataset("avss", tmp_path / "trees", "test"))
    rng = np.random.default_rng(1)
    found, truth = [], []
    for clip in official.read_avss(tmp_path / "trees", "test", ("v1s", "v1m", "v2")):
        place = next((tmp_path / "trees").glob(f"*/{clip.name}")).relative_to(tmp_path / "trees")
        for k in range(10):
            labels, target = np.zeros((2, official.H, official.W), np.uint8)
            if k in clip.masks:  # a frame of padding is background, and nothing is predicted there
                labels, target = rng.choice([0, 0, 0, 1, 70], labels.shape).astype(np.uint8), clip.masks[k]
                trees.save(labels, tmp_path / f"masks/{place}/labels_semantic/{k}.png")
            found.append(grown(labels, (224, 224), Image.Resampling.NEAREST))
            truth.append(grown(target.astype(np.uint8), (224, 224), Image.Resampling.NEAREST))
    masks = open_predictions(tmp_path / "masks", clips, content="labels")
    report = evaluate_clips(masks, clips, ["dataset"], **FAST)
    assert report.semantic is not None and report.info.padding == 10 and report.info.frames == 30
    expected = [np.mean(means) for means in class_means(found, truth, 71)]
    values = [report.semantic.overall["official"][m].value for m in ("miou", "f")]
    assert values == pytest.approx(expected, abs=1e-6)
    assert "with 10 frames of padding" in report.table()
    plain = evaluate_clips(masks, open_dataset("avss", tmp_path / "trees", "test"), ["dataset"], **FAST)
    assert plain.semantic is not None and plain.info.padding == 0
    assert plain.semantic.miou[0] < report.semantic.miou[0]
    np.testing.assert_array_equal(plain.semantic.miou[1:], report.semantic.miou[1:])


def test_only_avss_has_a_published_way(root, tmp_path) -> None:
    with pytest.raises(UsageError, match="ms3 has no published way of padding"):
        as_published(open_dataset("ms3", root, "test"))
    official.write_avss(tmp_path)
    official.write_v3(tmp_path)
    with pytest.raises(UsageError, match="v3-0 has no published way of padding"):
        as_published(open_dataset("v3-0", tmp_path, "test"))

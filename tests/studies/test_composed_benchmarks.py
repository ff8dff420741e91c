"""Composed scenes in the benchmarks' layouts: what is written is what the readers find."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from save_avs.datasets import open_dataset
from save_avs.datasets.check import DatasetChecker
from save_avs.datasets.registry import SPECS
from save_avs.errors import UsageError
from save_avs.synthesis.corpus import Corpus
from studies.cli import main
from studies.composed_benchmarks.clips import LayoutRequest
from studies.composed_benchmarks.layouts import LAYOUT_WRITERS, write_layout
from tests.support import dataset_trees as trees
from tests.support.tiny_corpus import make_corpus

pytestmark = pytest.mark.slow

SIZE = (40, 48)
READ_AS = {
    "s4": ["s4"],
    "ms3": ["ms3"],
    "avss": ["v1s", "v1m", "v2", "avss"],
    "v3": ["v3-0", "v3-1", "v3-3", "v3-5"],
    "synthetic": ["synthetic"],
}


@pytest.fixture(scope="module")
def corpus_root(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def written(corpus_root, tmp_path_factory):
    """Each layout, written once when it is first asked for."""
    made = {}

    def write(layout: str):
        if layout not in made:
            corpora = {split: Corpus.load(corpus_root, split) for split in LAYOUT_WRITERS[layout].splits}
            request = LayoutRequest(corpora, 7 if layout == "v3" else 3, 5, SIZE)
            made[layout] = write_layout(layout, request, tmp_path_factory.mktemp(layout) / "tree")
        return made[layout]

    return write


def test_the_command_writes_all_splits(corpus_root, tmp_path):
    out = tmp_path / "avs"
    assert main(["compose", str(corpus_root), "-o", str(out), "--layout", "s4", "--count", "1"]) == 0
    with (out / "Single-source" / "s4_meta_data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["train", "val", "test"]
    frame = next((out / "Single-source/s4_data/visual_frames").rglob("*_1.png"))
    with Image.open(frame) as image:
        assert image.size == (224, 224)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layout", "ms4"], "Unknown layout 'ms4': choose from s4, ms3, avss, v3, synthetic"),
        (["--layout", "s4", "--split", "zero-shot"], "Unknown split 'zero-shot' for s4"),
        (
            ["--layout", "v3", "--split", "train"],
            "v3 requires all of train, val, zero-shot: leave out --split",
        ),
    ],
)
def test_wrong_usage_is_one_line_before_any_work(corpus_root, tmp_path, capsys, arguments, message):
    assert main(["compose", str(corpus_root), "-o", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_the_check_finds_nothing_wrong(written, layout):
    inspector = DatasetChecker()
    for name in READ_AS[layout]:
        report = inspector.check(SPECS[name], written(layout))
        assert not report.problems and not report.leaks
        assert all(split.clips for split in report.splits)


@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_every_clip_can_be_read_and_something_sounds(written, layout):
    for name in READ_AS[layout]:
        sounding = 0
        for split in ("train", "val", "test"):
            clips = open_dataset(name, written(layout), split)
            samples = [clips[i] for i in range(len(clips))]
            assert all(sample.frames.shape[1:] == (*SIZE, 3) for sample in samples)
            sounding += sum(sample.masks.any() for sample in samples)
            assert len({sample.name for sample in samples}) == len(samples)
        assert sounding


def test_ms3_has_one_or_two_sounding_classes_in_view(written):
    from save_avs.synthesis.scene import random_scene
    from studies.composed_benchmarks.clips import SEVERAL_SOURCES, sounding_classes_in_view

    assert len(open_dataset("ms3", written("ms3"), "train")) == 3
    corpus = Corpus.load("sample", "train")
    scenes = [random_scene(np.random.default_rng(i), corpus, SEVERAL_SOURCES, segment_s=5) for i in range(30)]
    assert {len(sounding_classes_in_view(scene)) for scene in scenes} == {1, 2}


def test_avss_indices_colors_and_categories_agree(written):
    root = written("avss")
    names = json.loads((root / "label2idx.json").read_text())
    assert names["background"] == 0 and sorted(names.values()) == list(range(len(names)))
    for split in ("train", "val", "test"):
        clips = open_dataset("avss", root, split)
        assert clips.classes == tuple(names)
        for i in range(len(clips)):
            seen = {clips.classes[k] for k in np.unique(clips[i].labels) if k}
            assert seen <= set(clips.metadata(i).categories)
    semantic = sorted((root / "v2").rglob("labels_semantic/*.png"))
    for path in semantic[:20]:
        with Image.open(path) as indices, Image.open(path.parent.parent / "labels_rgb" / path.name) as rgb:
            assert np.array_equal(np.asarray(rgb), colors(np.asarray(indices)))


def colors(labels: np.ndarray) -> np.ndarray:
    """The palette, spelled out bit by bit."""
    out = np.zeros((*labels.shape, 3), np.uint8)
    for turn in range(3):
        for channel in range(3):
            out[..., channel] |= (((labels >> (3 * turn + channel)) & 1) << (7 - turn)).astype(np.uint8)
    return out


def test_v1s_train_has_labels_of_frame_0_only(written):
    train = [p for p in (written("avss") / "v1s").iterdir() if "train" in p.name]
    assert len(train) == 3
    assert all([q.name for q in (p / "labels_semantic").iterdir()] == ["0.png"] for p in train)


def test_v3_unseen_classes_are_those_of_the_zero_shot_split(written):
    root = written("v3")
    unseen = open_dataset("v3-0", root, "test")
    assert {name for i in range(len(unseen)) for name in unseen.metadata(i).categories} == {"ghost"}
    for split in ("train", "val"):
        seen = open_dataset("v3-0", root, split)
        assert "ghost" not in {name for i in range(len(seen)) for name in seen.metadata(i).categories}


def test_v3_shots_are_nested_and_never_in_the_test(written):
    root = written("v3")
    before: set[str] = set()
    for shots in (1, 3, 5):
        train, test = (
            {clips.metadata(i).name for i in range(len(clips))}
            for clips in (open_dataset(f"v3-{shots}", root, split) for split in ("train", "test"))
        )
        assert before <= train and not train & test and test and len(train) <= shots
        assert len(train | test) == 7
        before = train
    text = (root / "v3_3_shot_train.csv").read_text().splitlines()
    assert text[0] == trees.AVSS_HEAD and all(",,,,v3_1_shot_train,v2" in line for line in text[1:])


def test_v3_needs_more_clips_than_unseen_classes(corpus_root, tmp_path):
    corpora = {split: Corpus.load(corpus_root, split) for split in LAYOUT_WRITERS["v3"].splits}
    with pytest.raises(UsageError, match="1 unseen classes need more clips: use --count 2 or more"):
        write_layout("v3", LayoutRequest(corpora, 1), tmp_path / "tree")
    assert not list(tmp_path.iterdir())


def test_synthetic_images_get_the_second_patch(written):
    clips = open_dataset("synthetic", written("synthetic"), "val")
    wav = clips.entries[0].paths.audio
    assert np.abs(clips[0].log_mel - trees.patches_of(wav)[1:2]).max() < 1e-4


def test_existing_folder_is_left_unchanged(corpus_root, tmp_path):
    train = Corpus.load(corpus_root, "train")
    for layout in LAYOUT_WRITERS:
        with pytest.raises(UsageError, match="already exists"):
            write_layout(layout, LayoutRequest({"train": train}, 1), tmp_path)
    assert not list(tmp_path.iterdir())

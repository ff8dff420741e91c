"""AVS-Synthetic, read from a tree in the official layout."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from save_avs.datasets import open_dataset
from save_avs.errors import DataError
from tests.support import dataset_trees as trees


@pytest.fixture
def root(tmp_path):
    return trees.synthetic(tmp_path)


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_annotation_columns_go_by_position_and_validate_is_val(root):
    _, *rows = (root / "annotations.csv").read_text().splitlines()
    renamed = "a,b,c,d,e,f,g,split,i"  # only 'split' goes by name
    (root / "annotations.csv").write_text("\n".join([renamed, *rows]) + "\n")
    assert [len(open_dataset("synthetic", root, split)) for split in ("train", "val", "test")] == [3, 1, 1]
    clips = open_dataset("synthetic", root, "val")
    sample, metadata = clips[0], clips.metadata(0)
    assert (metadata.name, metadata.source, metadata.categories) == ("i3", "p2", ("dog",))
    assert sample.frames.shape == (1, trees.H, trees.W, 3) and sample.frames[0, 0, 0, 0] == 150
    assert np.flatnonzero(sample.masks[0][:, 0]).tolist() == [3]


def test_split_column_is_found_by_name(root):
    lines = [line.split(",") for line in (root / "annotations.csv").read_text().splitlines()]
    moved = [",".join([*row[:2], row[7], row[3], *row[4:7], row[2], row[8]]) for row in lines]
    (root / "annotations.csv").write_text("\n".join(moved) + "\n")
    assert [len(open_dataset("synthetic", root, split)) for split in ("train", "val", "test")] == [3, 1, 1]


def test_image_is_paired_with_the_second_patch(root):
    sample = open_dataset("synthetic", root, "val")[0]
    waveform = trees.patches_of(root / "audios/d3.wav")
    assert np.abs(sample.log_mel - waveform[1:2]).max() < 1e-4
    assert not np.allclose(waveform[0], waveform[1], atol=0.5)


def test_training_audio_is_drawn_from_seed_and_index(root):
    def sounds(seed: int) -> list[str]:
        clips = open_dataset("synthetic", root, "train", seed=seed)
        return [entry.paths.audio.stem for entry in clips.entries]

    drawn = [sounds(seed) for seed in range(12)]
    assert drawn == [sounds(seed) for seed in range(12)]
    assert {names[0] for names in drawn} == {"d0", "d1", "d2"}
    assert {names[2] for names in drawn} == {"c0"}
    assert any(names[0] != names[1] for names in drawn)  # the index counts, not the image


def test_validation_audio_is_the_tables(root):
    for seed in range(3):
        assert open_dataset("synthetic", root, "val", seed=seed).entries[0].paths.audio.stem == "d3"


def test_audio_table_runs_no_code(root):
    harm = root / "harm"
    (root / "category_for_vggsound_audios.pkl").write_bytes(pickle.dumps({7: [_Touch(harm)]}))
    with pytest.raises(DataError, match="which is never run"):
        open_dataset("synthetic", root, "train")
    assert not harm.exists()


@pytest.mark.parametrize("content", [[1, 2], {7: "d0"}, {7: [1]}, {7: {"d0": 1}}])
def test_audio_table_of_another_shape_is_refused(root, content):
    (root / "category_for_vggsound_audios.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="must hold a dictionary from class index to lists of audio files"):
        open_dataset("synthetic", root, "train")


@pytest.mark.parametrize("text", ["", "a,b,split\n1,2,train\n", "a,b,c,d,e,f,g,h,i\n1,2,3,4,5,6,7,8,9\n"])
def test_annotations_without_required_columns_are_refused(root, text):
    (root / "annotations.csv").write_text(text)
    with pytest.raises(DataError, match="must have 9 columns in each row, one of them named 'split'"):
        open_dataset("synthetic", root, "test")

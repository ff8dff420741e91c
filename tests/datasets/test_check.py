"""Looking over data sets."""

from __future__ import annotations

import numpy as np
import pytest

from save_avs.datasets.check import DatasetChecker, count_stray_components, find_datasets
from save_avs.datasets.registry import SPECS
from save_avs.errors import UsageError
from tests.support import dataset_trees as trees


def check(name: str, root):
    return DatasetChecker().check(SPECS[name], root)


@pytest.fixture
def ms3(tmp_path):
    return trees.ms3(tmp_path)


def test_complete_data_set_has_no_problems(ms3):
    report = check("ms3", ms3)
    assert not report.problems and [split.clips for split in report.splits] == [1, 0, 1]
    assert [split.files for split in report.splits] == [11, 0, 11]
    assert [split.official for split in report.splits] == [296, 64, 64]


def test_every_missing_and_broken_file_is_named(ms3):
    data = ms3 / "Multi-sources/ms3_data"
    missing = data / "visual_frames/_fvpYLXtQHQ_1/_fvpYLXtQHQ_1.mp4_3.png"
    truncated = data / "gt_masks/test/_fvpYLXtQHQ_1/_fvpYLXtQHQ_1_2.png"
    silent_audio = data / "audio_wav/train/_fvpYLXtQHQ_0.wav"
    missing.unlink()
    truncated.write_text("text")
    silent_audio.write_bytes(b"")
    found = {finding.path: finding.kind for finding in check("ms3", ms3).problems}
    assert found == {missing: "missing", truncated: "broken", silent_audio: "broken"}


def test_leaks_are_reported(ms3):
    assert check("ms3", ms3).leaks == {"_fvpYLXtQHQ": {"train": 1, "test": 1}}


def test_missing_and_broken_tables_are_named(tmp_path):
    root = trees.v3(tmp_path)
    (root / "label2idx.json").unlink()
    assert [f.path.name for f in check("v2", root).problems] == ["label2idx.json"]
    (root / "metadata.csv").write_text("no,table\n")
    (finding,) = [f for f in check("v3-1", root).problems if f.kind == "broken"]
    assert finding.path.name == "metadata.csv" and "has no column" in finding.reason
    (root / "meta_v3_seen_val.csv").unlink()
    assert "meta_v3_seen_val.csv" in [f.path.name for f in check("v3-5", root).problems]


def test_data_sets_of_a_folder_are_found(tmp_path):
    trees.s4(tmp_path)
    trees.ms3(tmp_path)
    assert [spec.name for spec in find_datasets(tmp_path)] == ["s4", "ms3"]
    trees.v3(tmp_path / "AVSBench-semantic")
    names = ["s4", "ms3", "v1s", "v1m", "v2", "avss", "v3-0", "v3-1", "v3-3", "v3-5"]
    assert [spec.name for spec in find_datasets(tmp_path)] == names


def test_folder_without_data_sets_is_refused(tmp_path):
    with pytest.raises(UsageError, match="No known data set"):
        find_datasets(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        find_datasets(tmp_path / "nowhere")


def test_stray_components_are_tiny_ones_next_to_larger_ones():
    truth = np.zeros((224, 224), np.uint8)
    truth[10:60, 10:60] = 1
    assert count_stray_components(truth) == 0
    truth[100, 100:108] = 1  # 8 pixels
    truth[200, 200] = 1
    truth[201, 201] = 1  # touches the one above at a corner
    assert count_stray_components(truth) == 2
    truth[150, 150:159] = 1  # 9 pixels are a small thing
    assert count_stray_components(truth) == 2
    truth[15, 15] = 2  # a class that has nothing larger
    assert count_stray_components(truth) == 2
    assert count_stray_components(np.zeros((4, 4), np.uint8)) == 0


def test_annotations_with_stray_pixels_are_listed(ms3):
    path = ms3 / "Multi-sources/ms3_data/gt_masks/test/_fvpYLXtQHQ_1/_fvpYLXtQHQ_1_2.png"
    mask = np.zeros((224, 224), np.uint8)
    mask[:100] = 1
    mask[200, 200] = 1
    trees.save(mask, path)
    assert check("ms3", ms3).splits[2].stray_pixels == [(path, 1)]


def test_file_shared_by_two_data_sets_is_read_once(tmp_path, monkeypatch):
    from save_avs.datasets import check as module

    root, seen = trees.avss(tmp_path), []
    inspect = module._check_file
    monkeypatch.setattr(module, "_check_file", lambda part: (seen.append(part.path), inspect(part))[1])
    monkeypatch.setattr(module, "_THREADS", 1)
    inspector = DatasetChecker()
    for name in ("v2", "avss"):
        inspector.check(SPECS[name], root)
    assert len(seen) == len(set(seen)) > 60

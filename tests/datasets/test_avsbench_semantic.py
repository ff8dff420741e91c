"""AVSBench-semantic and V3, read from trees in the official layout."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from save_avs.datasets import as_published, open_dataset
from save_avs.datasets.avsbench_semantic import parse_objects
from save_avs.datasets.clip_files import palette
from save_avs.errors import DataError
from tests.support import dataset_trees as trees


@pytest.fixture
def root(tmp_path):
    return trees.v3(tmp_path)


def test_avss_names_count_from_0(root):
    sample = open_dataset("v2", root, "test")[0]
    assert sample.frames[:, 0, 0, 0].tolist() == [20 * k + 20 for k in range(10)]
    assert all(set(np.flatnonzero(sample.labels[k][:, 0])) == {k, k + 1} for k in range(10))


def test_avss_has_71_classes_with_background_0(root):
    clips = open_dataset("avss", root, "test")
    sample = clips[1]
    assert len(clips.classes) == 71 and clips.classes[0] == "background"
    assert sample.labels.dtype == np.uint8 and set(np.unique(sample.labels)) == {0, 1, 70}
    assert np.array_equal(sample.masks, sample.labels > 0)


def test_a_label_beyond_the_classes_is_refused(root):
    path = root / "v2/E38OzFQIb1M_230000_240000/labels_semantic/3.png"
    trees.save(trees.mask(1, 71), path)
    with pytest.raises(DataError, match=r"3\.png: label 71, but there are 71 classes"):
        open_dataset("v2", root, "test")[0]


def test_classes_are_numbers_without_label2idx(root):
    (root / "label2idx.json").unlink()
    classes = open_dataset("v2", root, "test").classes
    assert classes[:2] == ("background", "1") and len(classes) == 71


@pytest.mark.parametrize("text", ["[]", '{"background": 0, "bird": 2}', '{"a": "x"}', "torn{"])
def test_a_broken_label2idx_is_named(root, text):
    (root / "label2idx.json").write_text(text)
    with pytest.raises(DataError, match=r"label2idx\.json: "):
        open_dataset("v2", root, "test")


def test_labels_rgb_is_read_where_labels_semantic_is_missing(root):
    clips = open_dataset("v2", root, "test")
    stored = clips[0].labels
    for path in (root / "v2").rglob("labels_semantic/*.png"):
        path.unlink()
    assert np.array_equal(clips[0].labels, stored) and stored.max() == 70


def test_labels_rgb_has_the_3_bit_palette():
    for index, color in trees.COLORS.items():
        assert tuple(palette()[index]) == color
    assert len({tuple(color) for color in palette().tolist()}) == 256


def test_color_outside_the_palette_is_refused(root):
    clip = root / "v2/E38OzFQIb1M_230000_240000"
    (clip / "labels_semantic/0.png").unlink()
    trees.save(np.full((trees.H, trees.W, 3), (128, 1, 0), np.uint8), clip / "labels_rgb/0.png")
    with pytest.raises(DataError, match=r"labels_rgb/0\.png: color \(128, 1, 0\) is not in the palette"):
        open_dataset("v2", root, "test")[0]


def test_foreign_color_is_background_as_published(root):
    clip = root / "v2/E38OzFQIb1M_230000_240000"
    image = trees.colored(trees.mask(4, 9))
    image[6], image[7] = (128, 1, 0), (32, 64, 0)  # no color of the palette; that of a class beyond the 71
    trees.save(image, clip / "labels_rgb/0.png")
    labels = as_published(open_dataset("v2", root, "test"))[0].labels
    assert np.array_equal(labels[0], trees.mask(4, 9))  # labels_semantic says something else


def test_labels_semantic_may_have_a_palette_of_its_own(root):
    path = root / "v2/E38OzFQIb1M_230000_240000/labels_semantic/3.png"
    image = Image.fromarray(trees.mask(2, 70))
    image.putpalette([5] * 768)
    image.save(path)
    assert set(np.unique(open_dataset("v2", root, "test")[0].labels[3])) == {0, 70}


def test_labels_at_another_scale_keep_their_classes(root):
    small = (np.arange(60).reshape(6, 10) % 4 * 17).astype(np.uint8)
    trees.save(small, root / "v2/E38OzFQIb1M_230000_240000/labels_semantic/3.png")
    labels = open_dataset("v2", root, "test")[0].labels[3]
    assert np.array_equal(labels, small.repeat(2, axis=0).repeat(2, axis=1))


def test_labels_semantic_in_colors_is_refused(root):
    path = root / "v2/E38OzFQIb1M_230000_240000/labels_semantic/3.png"
    trees.save(np.zeros((trees.H, trees.W, 3), np.uint8), path)
    with pytest.raises(DataError, match="class indices have one channel"):
        open_dataset("v2", root, "test")[0]


@pytest.mark.parametrize(
    ("a_obj", "names"),
    [
        ("emergency-car_man", ("emergency-car", "man")),
        ("h orse", ("horse",)),
        ("background", ()),
        ("off-the-screen", ()),
        ("man_off-the-screen", ("man",)),
        ("dog_dog", ("dog",)),
        ("", ()),
    ],
)
def test_a_obj_is_split_and_cleaned(a_obj, names):
    assert parse_objects(a_obj) == names


def test_metadata_has_categories_and_source_video(root):
    metadata = open_dataset("v1m", root, "train").metadata(0)
    assert metadata.categories == ("emergency-car", "horse") and metadata.source == "_fvpYLXtQHQ"
    assert open_dataset("v2", root, "test").metadata(0).source == "E38OzFQIb1M"


def test_v1s_train_labels_frame_0_only(root):
    sample = open_dataset("v1s", root, "train")[0]
    assert sample.has_mask.tolist() == [True, False, False, False, False]
    assert not sample.labels[1:].any()
    assert open_dataset("v1s", root, "val")[0].has_mask.all()


def test_avss_is_all_three_subsets(root):
    names = [open_dataset("avss", root, "train").metadata(i).name for i in range(3)]
    assert names == ["__GOGlHL23s_4000_9000", "_fvpYLXtQHQ_0", "D1vP8RPShOo_60000_70000"]
    assert [len(open_dataset(name, root, "train")) for name in ("v1s", "v1m", "v2")] == [1, 1, 1]


def test_avss_mixes_clips_of_5_and_10_frames(root):
    clips = open_dataset("avss", root, "train")
    assert [len(clips[i].valid) for i in range(3)] == [5, 5, 10]
    assert all(clips[i].valid.all() for i in range(3))


def test_ten_frames_have_ten_patches(root):
    log_mel = open_dataset("v2", root, "test")[0].log_mel
    expected = trees.patches_of(root / "v2/E38OzFQIb1M_230000_240000/audio.wav")[:10]
    assert log_mel.shape == expected.shape and np.abs(log_mel - expected).max() < 1e-4


def test_v3_zero_shot_trains_on_seen_and_tests_on_unseen(root):
    def names(name: str, split: str) -> list[str]:
        clips = open_dataset(name, root, split)
        return [clips.metadata(i).name for i in range(len(clips))]

    assert names("v3-0", "train") == ["D1vP8RPShOo_60000_70000"]
    assert names("v3-0", "val") == ["_fvpYLXtQHQ_0"]
    assert names("v3-0", "test") == ["E38OzFQIb1M_230000_240000", "_3pLesuLT4w_60000_70000"]
    for shots in (1, 3, 5):
        assert names(f"v3-{shots}", "train") == ["_3pLesuLT4w_60000_70000"]
        assert names(f"v3-{shots}", "val") == ["_fvpYLXtQHQ_0"]
        assert names(f"v3-{shots}", "test") == ["E38OzFQIb1M_230000_240000"]


def test_v3_shots_have_empty_columns_and_are_joined_on_uid(root):
    clips = open_dataset("v3-1", root, "train")
    assert clips.split == "train" and clips.metadata(0).categories == ("bird",)
    assert clips[0].frames.shape[0] == 10 and clips[0].has_mask.all()


def test_v3_reads_v1m_clips_too(root):
    sample = open_dataset("v3-0", root, "val")[0]
    assert sample.frames.shape[0] == 5 and sample.has_mask.all()


def test_v3_clip_missing_from_metadata_is_named(root):
    (root / "v3_1_shot_test.csv").write_text(f"{trees.AVSS_HEAD}\nx,x_0_10000,,,,v3_1_shot_train,v2\n")
    with pytest.raises(DataError, match=r"v3_1_shot_test\.csv: 1 clips are not in metadata\.csv, such as x"):
        open_dataset("v3-1", root, "test")


def test_a_missing_v3_table_is_named(root):
    (root / "meta_v3_seen_val.csv").unlink()
    with pytest.raises(DataError, match=r"meta_v3_seen_val\.csv: missing"):
        open_dataset("v3-5", root, "val")

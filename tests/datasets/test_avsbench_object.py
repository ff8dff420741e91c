"""AVSBench-object: S4 and MS3, read from trees in the official layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from save_avs.datasets import open_dataset
from save_avs.errors import DataError, UsageError
from tests.support import dataset_trees as trees
from tests.support.tiny_corpus import write_tone


@pytest.fixture
def s4(tmp_path):
    return trees.s4(tmp_path)


@pytest.fixture
def ms3(tmp_path):
    return trees.ms3(tmp_path)


def rows_of(masks: np.ndarray) -> list[list[int]]:
    """Which rows each mask covers; they are whole rows."""
    assert all(set(row.tolist()) in ({True}, {False}) for mask in masks for row in mask)
    return [np.flatnonzero(mask[:, 0]).tolist() for mask in masks]


def audio_file(root: Path) -> Path:
    """The audio of S4's test clip."""
    return next((root / "Single-source/s4_data/audio_wav/test").rglob("*.wav"))


def test_s4_train_has_the_mask_of_frame_1_only(s4):
    clips = open_dataset("s4", s4, "train")
    sample = clips[0]
    assert len(clips) == 1 and (clips.name, clips.split, clips.classes) == ("s4", "train", ())
    assert sample.has_mask.tolist() == [True, False, False, False, False]
    assert rows_of(sample.masks) == [[1], [], [], [], []]
    assert sample.valid.all() and sample.labels is None and sample.features is None


def test_s4_test_has_five_masks_and_ordered_frames(s4):
    sample = open_dataset("s4", s4, "test")[0]
    assert sample.has_mask.all() and rows_of(sample.masks) == [[1], [2], [3], [4], [5]]
    assert sample.frames.shape == (5, trees.H, trees.W, 3)
    assert sample.frames[:, 0, 0, 0].tolist() == [40, 80, 120, 160, 200]


def test_s4_metadata_opens_no_files(s4):
    clips = open_dataset("s4", s4, "test")
    metadata = clips.metadata(0)
    assert (metadata.name, metadata.source) == ("ab_cdefghi-_0_5000", "ab_cdefghi-")
    assert metadata.categories == ("male_speech",)


def test_ms3_frames_have_mp4_inside_their_names_and_no_split_folder(ms3):
    sample = open_dataset("ms3", ms3, "test")[0]
    assert sample.frames[:, 0, 0, 0].tolist() == [40, 80, 120, 160, 200]
    assert sample.has_mask.all() and rows_of(sample.masks) == [[1], [2], [3], [4], [5]]
    assert open_dataset("ms3", ms3, "train")[0].has_mask.all()


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("name", ["s4", "ms3"])
def test_annotated_frames_are_counted_without_opening_files(s4, ms3, name, split):
    clips = open_dataset(name, s4, split)  # both archives are in one folder
    expected = [int(clips[i].has_mask.sum()) for i in range(len(clips))]
    assert expected == [1 if (name, split) == ("s4", "train") else 5] * len(clips)
    shutil.rmtree(s4 / "Single-source/s4_data")
    shutil.rmtree(s4 / "Multi-sources/ms3_data")
    again = open_dataset(name, s4, split)
    assert [again.num_annotated(i) for i in range(len(again))] == expected


def test_ms3_clips_of_one_video_share_their_source(ms3):
    sources = {open_dataset("ms3", ms3, split).metadata(0).source for split in ("train", "test")}
    assert sources == {"_fvpYLXtQHQ"}


@pytest.mark.parametrize("mode", ["1", "P", "L", "L255", "LA", "RGB", "RGBA", "I;16"])
def test_nonzero_pixels_are_mask_in_every_image_mode(ms3, mode):
    path = ms3 / "Multi-sources/ms3_data/gt_masks/test/_fvpYLXtQHQ_1/_fvpYLXtQHQ_1_2.png"
    row = trees.mask(3, 255 if mode == "L255" else 1)
    image = Image.fromarray(row)
    match mode:
        case "1":
            image = Image.fromarray(row > 0)
        case "P":
            image.putpalette([0, 0, 0, 0, 0, 0])  # an index that is not 0 counts, though it looks black
        case "LA":
            image = Image.merge("LA", [image, Image.new("L", image.size, 255)])
        case "RGB":
            image = Image.merge("RGB", [Image.new("L", image.size), Image.new("L", image.size), image])
        case "RGBA":
            nothing = Image.new("L", image.size)
            image = Image.merge("RGBA", [nothing, image, nothing, Image.new("L", image.size, 255)])
        case "I;16":
            image = Image.fromarray(row.astype(np.uint16))
    image.save(path)
    assert rows_of(open_dataset("ms3", ms3, "test")[0].masks)[1] == [3]


def test_frame_i_is_paired_with_the_patch_at_096_i(s4):
    sample = open_dataset("s4", s4, "test")[0]
    loudest = sample.log_mel[:, 10:80].mean(axis=1).argmax(axis=1)
    assert (np.diff(loudest) > 0).all()  # the tone rises from patch to patch, within a patch it is one


def test_pickled_log_mel_of_the_archive_is_never_opened(s4):
    before = open_dataset("s4", s4, "test")[0].log_mel
    pickled = s4 / "Single-source/s4_data/audio_log_mel/test/male_speech/ab_cdefghi-_0_5000.pkl"
    pickled.parent.mkdir(parents=True)
    pickled.write_bytes(b"cos\nsystem\n(S'touch harm'\ntR.")
    assert np.array_equal(open_dataset("s4", s4, "test")[0].log_mel, before)


def test_short_audio_repeats_its_last_patch(s4):
    trees.tones(audio_file(s4), 3)
    patches = open_dataset("s4", s4, "test")[0].log_mel
    assert len(patches) == 5
    assert np.array_equal(patches[3], patches[2]) and np.array_equal(patches[4], patches[2])
    assert not np.array_equal(patches[1], patches[2])


def test_audio_shorter_than_a_patch_is_padded_with_silence(s4):
    write_tone(audio_file(s4), [(0.3, 440.0)])
    patches = open_dataset("s4", s4, "test")[0].log_mel
    assert patches.shape == (5, 96, 64) and patches[0, :20].max() > 0 > patches[0, 40:].max()


@pytest.mark.parametrize("part", ["visual_frames", "gt_masks"])
@pytest.mark.parametrize("fault", ["missing", "broken"])
def test_missing_or_broken_image_is_named(s4, part, fault):
    path = sorted((s4 / f"Single-source/s4_data/{part}/test").rglob("*_2.png"))[0]
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=f"{path.name}: ") as caught:
        open_dataset("s4", s4, "test")[0]
    said = str(caught.value)
    assert said.endswith(": missing") == (fault == "missing") and "\n" not in said


def test_missing_audio_is_named(s4):
    audio_file(s4).unlink()
    with pytest.raises(DataError, match=r"\.wav: missing"):
        open_dataset("s4", s4, "test")[0]


def test_mask_at_another_scale_is_resized_to_its_frame(s4):
    path = sorted((s4 / "Single-source/s4_data/gt_masks/test").rglob("*_2.png"))[0]
    Image.fromarray(np.kron(trees.mask(2), np.ones((2, 2), np.uint8)) > 0).save(path)
    assert rows_of(open_dataset("s4", s4, "test")[0].masks)[1] == [2]


def test_frames_of_different_sizes_are_refused(s4):
    path = sorted((s4 / "Single-source/s4_data/visual_frames/test").rglob("*_2.png"))[0]
    trees.save(np.zeros((5, 6, 3), np.uint8), path)
    with pytest.raises(DataError, match="is 6 x 5, the clip's first frame 20 x 12"):
        open_dataset("s4", s4, "test")[0]


def test_subset_folder_is_accepted_as_root(s4):
    assert len(open_dataset("s4", s4 / "Single-source", "test")) == 1


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("s5", "test", "Unknown data set 's5'. Choose from: s4, ms3, v1s"),
        ("s4", "tset", "Unknown split 'tset'. Choose from: train, val, test"),
        ("ms3", "test", "Multi-sources .MS3. not found in"),
    ],
)
def test_wrong_usage_is_one_line(s4, name, split, message):
    with pytest.raises(UsageError, match=message) as caught:
        open_dataset(name, s4, split)
    assert "\n" not in str(caught.value)


def test_missing_root_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        open_dataset("s4", tmp_path / "nowhere", "test")


def test_table_without_required_columns_is_refused(s4):
    trees.table(s4 / "Single-source/s4_meta_data.csv", "name,split\nx,test\n")
    with pytest.raises(DataError, match=r"s4_meta_data\.csv: has no column start, category"):
        open_dataset("s4", s4, "test")

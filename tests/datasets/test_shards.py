"""Data sets in shards: the same samples to the bit, at any place, and tar files that anyone can read."""

from __future__ import annotations

import json
import pickle
import tarfile
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from save_avs.datasets import AVDataset, available_splits, open_dataset
from save_avs.datasets.check import DatasetChecker, find_datasets
from save_avs.datasets.registry import resolve_spec
from save_avs.datasets.shards import write_shards
from save_avs.errors import DataError, UsageError
from save_avs.types import AVSample
from save_avs.video.writer import VideoWriter
from tests.support import dataset_trees as trees

ARRAYS = ("frames", "log_mel", "masks", "has_mask", "valid", "labels")


def videos(root: Path) -> Path:
    for name in ("a", "b.c"):
        (root / "train").mkdir(parents=True, exist_ok=True)
        path = root / "train" / f"{name}.mp4"
        waveform = (0.3 * np.sin(np.arange(32_000) * 0.2)).astype(np.float32)
        with VideoWriter(path, width=20, height=12, fps=5, audio=(waveform, 16_000)) as writer:
            for k in range(10):
                writer.write(trees.frame(20 * k), k / 5)
        for k in range(10):
            trees.save(trees.mask(k, 255), path.with_suffix(".masks") / f"{k:06d}.png")
    return root


TREES = [
    ("s4", trees.s4),
    ("ms3", trees.ms3),
    ("avss", trees.avss),
    ("v3-0", trees.v3),
    ("synthetic", trees.synthetic),
    ("folder", videos),
]


def sharded(name: str, root: Path, *, size: int = 10**9) -> Path:
    sets = [open_dataset(name, root, split) for split in available_splits(name, root)]
    return write_shards(sets, root.parent / "shards", shard_bytes=size)


def equal(one: AVSample, other: AVSample) -> bool:
    pairs = [(getattr(one, part), getattr(other, part)) for part in ARRAYS]
    return one.name == other.name and all(
        (a is None) == (b is None) and (a is None or (a.dtype == b.dtype and np.array_equal(a, b)))
        for a, b in pairs
    )


@pytest.mark.parametrize(("name", "tree"), TREES)
def test_sharded_samples_are_identical_to_the_bit(name, tree, tmp_path):
    root = tree(tmp_path / "tree")
    if name == "avss":  # one annotation is there in colors alone
        (root / "v1m/_fvpYLXtQHQ_0/labels_semantic/2.png").unlink()
    folder = sharded(name, root)
    assert available_splits(name, folder) == available_splits(name, root) != []
    for split in available_splits(name, root):
        clips, shards = open_dataset(name, root, split), open_dataset(name, folder, split)
        assert (shards.name, shards.split, shards.classes) == (clips.name, clips.split, clips.classes)
        assert len(shards) == len(clips)
        for i in reversed(range(len(clips))):
            assert equal(shards[i], clips[i])
            assert shards.metadata(i) == clips.metadata(i)
            assert np.array_equal(shards.waveform(i), clips.waveform(i))
            assert np.array_equal(shards.log_mel(i), clips.log_mel(i))
            louder = (2 * clips.waveform(i)).astype(np.float32)
            assert equal(shards.read(i, waveform=louder), clips.read(i, waveform=louder))


def test_shards_follow_webdatasets_convention(tmp_path):
    root = trees.s4(tmp_path / "tree")
    folder = sharded("s4", root)
    assert sorted(path.name for path in folder.iterdir()) == [
        "shards.json",
        "test-000000.tar",
        "train-000000.tar",
    ]
    with tarfile.open(folder / "test-000000.tar") as tar:
        names = tar.getnames()
        described = json.load(tar.extractfile("000000.json"))
        frame = tar.extractfile("000000.frame1.png").read()
    fields = [f"frame{k}.png" for k in range(5)] + [f"mask{k}.png" for k in range(5)]
    assert names == [f"000000.{field}" for field in [*fields, "audio.wav", "json"]]
    assert described["name"] == "ab_cdefghi-_0_5000" and described["categories"] == ["male_speech"]
    (source,) = (root / "Single-source/s4_data/visual_frames/test").rglob("*_2.png")
    assert frame == source.read_bytes()


def test_clips_are_consecutive_and_shards_reach_the_size(tmp_path):
    root = trees.avss(tmp_path / "tree")
    folder = sharded("avss", root, size=600_000)
    tars = sorted(folder.glob("train-*.tar"))
    assert len(tars) == 2  # clips of 5, 5 and 10 seconds: 0.32 and 0.64 MB of sound
    keys = []
    for path in tars:
        with tarfile.open(path) as tar:
            keys += [key for key, _ in groupby(name.partition(".")[0] for name in tar.getnames())]
    assert keys == ["000000", "000001", "000002"]
    assert len(open_dataset("avss", folder, "train")) == 3
    assert equal(open_dataset("avss", folder, "train")[2], open_dataset("avss", root, "train")[2])


def test_the_same_clips_give_the_same_bytes(tmp_path):
    root = trees.ms3(tmp_path / "tree")
    clips = [open_dataset("ms3", root, "train")]
    one, other = (write_shards(clips, tmp_path / name, shard_bytes=10**9) for name in ("one", "other"))
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


class Read:
    def __init__(self, clips: AVDataset) -> None:
        self.clips = clips

    def __getitem__(self, i: int) -> np.ndarray:
        return self.clips[i].frames


def test_worker_processes_read_in_parallel(tmp_path):
    folder = sharded("synthetic", trees.synthetic(tmp_path / "tree"))
    clips = open_dataset("synthetic", folder, "train")
    expected = [clips[i].frames for i in range(3)]  # the shard is open before the workers begin
    loader = DataLoader(Read(clips), batch_size=None, sampler=[2, 0, 1, 2, 2, 0], num_workers=2)
    for i, frames in zip([2, 0, 1, 2, 2, 0], loader, strict=True):
        assert np.array_equal(frames.numpy(), expected[i])
    sent = pickle.loads(pickle.dumps(clips))  # as to a worker that is not forked
    assert all(np.array_equal(sent[i].frames, expected[i]) for i in range(3))


def test_each_shard_is_opened_once(tmp_path):
    clips = open_dataset("avss", sharded("avss", trees.avss(tmp_path / "tree")), "train")
    shards = {id(part.path.shard): part.path.shard for entry in clips.entries for part in entry.files()}
    assert len(shards) == 1
    (shard,) = shards.values()
    assert "_file" not in vars(shard)
    clips[0]
    file = shard.file
    clips[1]
    assert shard.file is file
    assert "_file" not in vars(pickle.loads(pickle.dumps(shard)))


def test_truncated_shard_is_one_line(tmp_path):
    folder = sharded("ms3", trees.ms3(tmp_path / "tree"))
    path = folder / "test-000000.tar"
    complete = path.read_bytes()
    clips = open_dataset("ms3", folder, "test")
    path.write_bytes(complete[:5000])
    with pytest.raises(DataError, match=r"test-000000\.tar: 5000 bytes instead of \d+; copy the shard again"):
        open_dataset("ms3", folder, "test")
    with pytest.raises(
        DataError, match=r"test-000000\.tar/000000\.\w+\.png: damaged; copy the shard again"
    ) as caught:
        clips[0]
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(DataError, match=r"test-000000\.tar: missing$"):
        open_dataset("ms3", folder, "test")
    assert len(open_dataset("ms3", folder, "train")) == 1


@pytest.mark.parametrize("member", ["frame0.png", "mask2.png", "audio.wav"])
def test_flipped_bit_is_found_in_its_member(member, tmp_path):
    folder = sharded("ms3", trees.ms3(tmp_path / "tree"))
    path = folder / "test-000000.tar"
    with tarfile.open(path) as tar:
        place = tar.getmember(f"000000.{member}").offset_data
    content = bytearray(path.read_bytes())
    content[place + 60] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"test-000000\.tar/000000\.{member}: damaged"):
        open_dataset("ms3", folder, "test")[0]


@pytest.mark.parametrize("text", ["no json", "{}", '{"version": 1}', "[1]", '{"version": 2}'])
def test_foreign_index_is_one_line(text, tmp_path):
    (tmp_path / "shards.json").write_text(text)
    with pytest.raises(DataError, match=r"shards\.json: ") as caught:
        open_dataset("s4", tmp_path, "train")
    assert "\n" not in str(caught.value)


def test_unreadable_clip_is_named_and_no_folder_remains(tmp_path):
    root = trees.s4(tmp_path / "tree")
    path = next(root.rglob("*_3.png"))
    path.write_bytes(b"torn")
    with pytest.raises(DataError, match=f"{path.name}: not an image"):
        sharded("s4", root)
    assert [p.name for p in tmp_path.iterdir()] == ["tree"]


def test_shards_of_another_data_set_and_folders_that_exist_are_refused(tmp_path):
    folder = sharded("s4", trees.s4(tmp_path / "tree"))
    with pytest.raises(UsageError, match=r"holds shards of s4, not of ms3"):
        open_dataset("ms3", folder, "train")
    with pytest.raises(UsageError, match="already exists"):
        sharded("s4", tmp_path / "tree")


def test_check_covers_shards(tmp_path):
    folder = sharded("ms3", trees.ms3(tmp_path / "tree"))
    (spec,) = find_datasets(folder)
    report = DatasetChecker().check(spec, folder)
    assert spec.title == "AVSBench-object Multi-sources (MS3), in shards" and not report.problems
    assert [(s.clips, s.files, s.official) for s in report.splits] == [
        (1, 11, 296),
        (0, 0, None),
        (1, 11, 64),
    ]
    assert report.leaks == {"_fvpYLXtQHQ": {"train": 1, "test": 1}}
    (folder / "train-000000.tar").unlink()
    (finding,) = DatasetChecker().check(spec, folder).problems
    assert (finding.kind, finding.path) == ("missing", folder / "train-000000.tar")


def test_random_audio_is_drawn_once_for_shards(tmp_path):
    root = trees.synthetic(tmp_path / "tree")
    assert resolve_spec("synthetic", root).has_random_audio
    folder = sharded("synthetic", root)
    assert not resolve_spec("synthetic", folder).has_random_audio
    drawn = open_dataset("synthetic", root, "train", seed=0)
    assert all(equal(open_dataset("synthetic", folder, "train", seed=9)[i], drawn[i]) for i in range(3))

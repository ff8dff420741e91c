"""Every reader against a short reference of its official loader, on colored frames and stereo audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from save_avs.audio import load_audio
from save_avs.datasets import as_published, open_dataset
from tests.support import official_loaders as official

V3_TABLES = {
    ("v3-0", "train"): "meta_v3_seen_train",
    ("v3-0", "val"): "meta_v3_seen_val",
    ("v3-0", "test"): "meta_v3_unseen",
    ("v3-1", "train"): "v3_1_shot_train",
    ("v3-3", "test"): "v3_3_shot_test",
    ("v3-5", "test"): "v3_5_shot_test",
}
SUBSETS = {"v1s": ("v1s",), "v1m": ("v1m",), "v2": ("v2",), "avss": ("v1s", "v1m", "v2")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("official")
    official.write_s4(root / "Single-source")
    official.write_ms3(root / "Multi-sources")
    official.write_avss(root / "AVSBench-semantic")
    official.write_v3(root / "AVSBench-semantic")
    official.write_synthetic(root / "AVS-Synthetic")
    return root


def reference(root: Path, name: str, split: str) -> list[official.Clip]:
    if name == "s4":
        return official.read_s4(root / "Single-source", split)
    if name == "ms3":
        return official.read_ms3(root / "Multi-sources", split)
    if name == "synthetic":
        return official.read_synthetic(root / "AVS-Synthetic", split)
    home = root / "AVSBench-semantic"
    if name in SUBSETS:
        return official.read_avss(home, split, SUBSETS[name])
    return official.read_v3(home, V3_TABLES[name, split])


SPLITS = [
    (name, split) for name in ("s4", "ms3", *SUBSETS, "synthetic") for split in ("train", "val", "test")
]
# Patches of the clip whose audio ends early; the others are zeros where it is read as published.
SHORT = {official.avss_uid(6): 6}


@pytest.mark.parametrize(("name", "split"), [s for s in SPLITS if s != ("v1s", "val")] + list(V3_TABLES))
def test_samples_are_those_of_the_official_loader(name: str, split: str, root: Path) -> None:
    clips, expected = open_dataset(name, root, split), reference(root, name, split)
    assert [clips.metadata(i).name for i in range(len(clips))] == [clip.name for clip in expected]
    assert expected
    for sample, clip in zip((clips[i] for i in range(len(clips))), expected, strict=True):
        assert np.array_equal(sample.frames, clip.frames)
        assert sample.has_mask.tolist() == [k in clip.masks for k in range(len(clip.frames))]
        for k, mask in clip.masks.items():
            assert np.array_equal(sample.masks[k], mask > 0)
            if clips.classes:
                assert sample.labels is not None and np.array_equal(sample.labels[k], mask)
        heard = SHORT.get(clip.name, len(clip.frames))
        assert np.abs(sample.log_mel[:heard] - clip.log_mel[:heard]).max() < 1e-4


@pytest.mark.parametrize(("name", "split"), [(name, "test") for name in SUBSETS])
def test_avss_as_published_has_zeros_for_missing_sound(name: str, split: str, root: Path) -> None:
    clips, expected = as_published(open_dataset(name, root, split)), reference(root, name, split)
    for i, clip in enumerate(expected):
        assert np.abs(clips[i].log_mel - clip.log_mel).max() < 1e-4
        assert not clips[i].log_mel[SHORT.get(clip.name, len(clip.frames)) :].any()
        assert clips.padding(i) == 10 - len(clip.frames)
        assert clips[i].labels is not None and np.array_equal(
            clips[i].labels, np.stack(list(clip.masks.values()))
        )


def test_the_frames_are_those_that_were_written(root: Path) -> None:
    sample = open_dataset("s4", root, "train")[0]
    assert np.array_equal(sample.frames, np.stack([official.frame(k) for k in range(1, 6)]))
    lossy = open_dataset("v2", root, "train")[0].frames.astype(int)
    assert np.abs(lossy - np.stack([official.frame(140 + k) for k in range(10)]).astype(int)).max() <= 6


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_log_mel_is_avsbenchs_on_mono_and_stereo(channels: int, seed: int, tmp_path: Path) -> None:
    import soundfile

    from save_avs.audio import log_mel

    path = tmp_path / "sound.wav"
    official.stereo(path, 5.0, seed)
    if channels == 1:
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(path, samples[:, 0], rate, subtype="PCM_16")
    expected = official.examples(path)[:, 0].numpy()
    found = log_mel(load_audio(path, sample_rate=16_000), 16_000)
    assert found.shape == expected.shape == (5, 96, 64)
    assert np.abs(found - expected).max() < 1e-4

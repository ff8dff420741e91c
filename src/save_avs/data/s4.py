"""Composed scenes in the folder layout of AVSBench-object, Single-source (S4)."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.audio.log_mel import log_mel
from save_avs.data.clips import Progress, paint_truth
from save_avs.data.corpus import RATE, Corpus, Split
from save_avs.data.files import new_folder, write_mask, write_wav
from save_avs.data.mix import mix
from save_avs.data.scene import Scene, SceneOptions, draw_scene
from save_avs.types import F32

FRAMES = 5  # of a clip, one a second
WITHIN = 15 / 16  # where in its second a frame is taken
SIZE = 224
SPLITS: tuple[Split, ...] = ("train", "val", "test")
OPTIONS = SceneOptions(sources=(0.0, 1.0, 0.0), motion=True, augment=False, textures=0.0)
COLUMNS = ("name", "start", "category", "split")


def write_s4(
    corpora: Mapping[Split, Corpus],
    target: str | Path,
    *,
    count: int,
    seed: int = 0,
    size: tuple[int, int] = (SIZE, SIZE),
    progress: Progress = lambda _, __: None,
) -> Path:
    """Write a new folder of five-second clips, in each of which one class sounds, the way S4 lies on disk.

    ``Single-source/s4_meta_data.csv``, and under ``Single-source/s4_data/``: ``visual_frames``,
    ``audio_wav``, ``audio_log_mel`` (pickled torch tensors [5,1,96,64]) and ``gt_masks``, of which a training
    clip has the first only. Frame k is taken at 15/16 of second k and belongs to VGGish patch k, which begins
    at 0.96 (k - 1) s, as in the benchmark.
    Clip i of a split depends on (seed, the split's name, i) alone.

    Args:
        corpora: the splits to write, each with what it may use.
        target: a folder that does not exist yet.
        count: clips in each split.
        seed: what they are drawn from.
        size: (height, width) of frames and masks, pixels.
        progress: called after each clip.

    Raises:
        UsageError: when the folder exists.
    """
    with new_folder(target) as folder:
        root = folder / "Single-source"
        rows = []
        for split, corpus in corpora.items():
            for i in range(count):
                rng = np.random.default_rng((seed, *split.encode(), i))
                scene = draw_scene(rng, corpus, OPTIONS, segment_s=FRAMES)
                name, category = f"{split}-{seed}-{i:06d}", _category(scene)
                _write_clip(scene, root / "s4_data", f"{split}/{category}/{name}", size)
                rows.append((name, 0, category, split))
                progress(len(rows), count * len(corpora))
        with (root / "s4_meta_data.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    return Path(target)


def _category(scene: Scene) -> str:
    """The one class that sounds, as a folder's name."""
    (name,) = {voice.name for voice in scene.voices if voice.name is not None}
    return name.replace(" ", "_")


def _write_clip(scene: Scene, root: Path, place: str, size: tuple[int, int]) -> None:
    """Write a clip under ``root``; ``place`` is split/category/name."""
    split, name = place.split("/", maxsplit=1)[0], place.rsplit("/", maxsplit=1)[-1]
    sound = mix(scene.voices, 0.0, scene.duration)
    write_wav(root / "audio_wav" / f"{place}.wav", sound)
    _write_patches(root / "audio_log_mel" / f"{place}.pkl", log_mel(sound, RATE))
    for k in range(FRAMES):
        picture, mask = paint_truth(scene, k + WITHIN, *size)
        frame = root / "visual_frames" / place / f"{name}_{k + 1}.png"
        frame.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(frame)
        if k == 0 or split != "train":
            write_mask(root / "gt_masks" / place / frame.name, mask)


def _write_patches(path: Path, patches: F32) -> None:
    """Pickle patches f32 [N,96,64] as the benchmark does: a torch tensor [N,1,96,64]."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump(torch.from_numpy(patches).unsqueeze(1), file)

"""The official loaders and AVSBench's audio front-end once more, short, and trees for them to read.

Written from the path expressions and formulas of the public code; nothing of the package is used. Frames are
colored and asymmetric, so that swapped channels, sides or frames show; all audio is stereo, with different
channels, as the archives' is.
"""

from __future__ import annotations

import csv
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from PIL import Image

from tests.support.audio_reference import torchvggish

H, W = 18, 30
RATE = 16_000


@dataclass
class Clip:
    """What an official loader returns of a clip."""

    name: str
    frames: np.ndarray  # RGB u8 [T,H,W,3]
    masks: dict[int, np.ndarray]  # bool or labels [H,W], by frame
    log_mel: np.ndarray  # [T,96,64]


def frame(seed: int) -> np.ndarray:
    """Red grows to the right, green downward, blue is a blob; each frame has its own shades."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:H, 0:W]
    red = rng.integers(0, 60) + 190 * x / W
    green = rng.integers(0, 90) + 100 * y / H
    blue = 40 + 180 * np.exp(-((x - rng.integers(3, 10)) ** 2 + (y - 5) ** 2) / 40)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def shape(seed: int) -> np.ndarray:
    """A mask without any symmetry."""
    rng = np.random.default_rng(seed)
    out = np.zeros((H, W), bool)
    top, left = rng.integers(1, 6), rng.integers(1, 12)
    out[top : top + 7, left : left + 3] = out[top + 5 : top + 7, left : left + 11] = True
    return out


def save(array: np.ndarray, path: Path, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)


def stereo(path: Path, seconds: float, seed: int) -> None:
    """16-bit stereo: a chirp on the left, louder noise and a tone on the right, both changing with time."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    left = 0.4 * np.sin(2 * np.pi * (200 + 100 * seed + 300 * t) * t)
    right = 0.5 * np.sin(2 * np.pi * (1500 + 40 * t) * t) * (t % 1 > 0.3) + 0.05 * rng.standard_normal(len(t))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([left, right], axis=1).clip(-1, 1), RATE, subtype="PCM_16")


def examples(wav: Path) -> torch.Tensor:
    """AVSBench's ``wavfile_to_examples``: int16, mean of the channels, torchvggish's patches, [N,1,96,64]."""
    data, rate = soundfile.read(wav, dtype="int16")
    samples = data / 32768.0
    mono = samples.mean(axis=1) if samples.ndim > 1 else samples
    assert rate == RATE
    features = torchvggish("mel_features")
    spectrogram = features.log_mel_spectrogram(
        mono,
        audio_sample_rate=RATE,
        log_offset=0.01,
        window_length_secs=0.025,
        hop_length_secs=0.010,
        num_mel_bins=64,
        lower_edge_hertz=125,
        upper_edge_hertz=7500,
    )
    return torch.tensor(features.frame(spectrogram, window_length=96, hop_length=96))[:, None].float()


def pickle_log_mel(wav: Path, path: Path, frames: int = 5) -> None:
    """AVSBench-object's preprocessing: a clip that is short repeats its last patch."""
    patches = examples(wav)
    if len(patches) < frames:
        patches = torch.cat([patches, patches[-1:].repeat(frames - len(patches), 1, 1, 1)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(patches[:frames]))


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def read_rgb(path: Path) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"))


# --- S4 and MS3 ---------------------------------------------------------------------------------------------


def write_s4(home: Path) -> None:
    lines = ["name,start,category,split"]
    for i, (split, category) in enumerate(
        [("train", "male_speech"), ("train", "bird"), ("val", "bird"), ("test", "race_car"), ("test", "bird")]
    ):
        name = f"_abcdefgh-{i}_{i}000_{i + 5}000"
        lines.append(f"{name},{i},{category},{split}")
        place = f"{split}/{category}/{name}"
        for k in range(1, 6):
            save(frame(10 * i + k), home / f"s4_data/visual_frames/{place}/{name}_{k}.png")
            if k == 1 or split != "train":
                save(shape(10 * i + k), home / f"s4_data/gt_masks/{place}/{name}_{k}.png", "1")
        wav = home / f"s4_data/audio_wav/{place}.wav"
        stereo(wav, 3.2 if i == 4 else 5.0, i)
        pickle_log_mel(wav, home / f"s4_data/audio_log_mel/{place}.pkl")
    (home / "s4_meta_data.csv").write_text("\n".join(lines) + "\n")


def read_s4(home: Path, split: str) -> list[Clip]:
    out = []
    for row in (r for r in rows_of(home / "s4_meta_data.csv") if r["split"] == split):
        name, place = row["name"], f"{split}/{row['category']}/{row['name']}"
        frames = [read_rgb(home / f"s4_data/visual_frames/{place}/{name}_{k}.png") for k in range(1, 6)]
        masks = {
            k - 1: np.array(Image.open(home / f"s4_data/gt_masks/{place}/{name}_{k}.png").convert("1"))
            for k in range(1, 2 if split == "train" else 6)
        }
        log_mel = pickle.loads((home / f"s4_data/audio_log_mel/{place}.pkl").read_bytes())
        out.append(Clip(name, np.stack(frames), masks, log_mel[:, 0].numpy()))
    return out


def write_ms3(home: Path) -> None:
    lines = ["video_id,split"]
    for i, split in enumerate(("train", "val", "test", "test")):
        name = f"_fvpYLXtQHQ_{i}"
        lines.append(f"{name},{split}")
        for k in range(1, 6):
            save(frame(50 + 10 * i + k), home / f"ms3_data/visual_frames/{name}/{name}.mp4_{k}.png")
            mask = shape(50 + 10 * i + k).astype(np.uint8)
            save(mask, home / f"ms3_data/gt_masks/{split}/{name}/{name}_{k}.png", "P")
        wav = home / f"ms3_data/audio_wav/{split}/{name}.wav"
        stereo(wav, 4.1 if i == 3 else 5.0, 20 + i)
        pickle_log_mel(wav, home / f"ms3_data/audio_log_mel/{split}/{name}.pkl")
    (home / "ms3_meta_data.csv").write_text("\n".join(lines) + "\n")


def read_ms3(home: Path, split: str) -> list[Clip]:
    out = []
    for row in (r for r in rows_of(home / "ms3_meta_data.csv") if r["split"] == split):
        name = row["video_id"]
        frames = [read_rgb(home / f"ms3_data/visual_frames/{name}/{name}.mp4_{k}.png") for k in range(1, 6)]
        place = home / f"ms3_data/gt_masks/{split}/{name}"
        masks = {k - 1: np.array(Image.open(place / f"{name}_{k}.png").convert("P")) > 0 for k in range(1, 6)}
        log_mel = pickle.loads((home / f"ms3_data/audio_log_mel/{split}/{name}.pkl").read_bytes())
        out.append(Clip(name, np.stack(frames), masks, log_mel[:, 0].numpy()))
    return out


# --- AVSBench-semantic and V3 -------------------------------------------------------------------------------

HEAD = "vid,uid,s_min,s_sec,a_obj,split,label"
UNSEEN = ("guzheng", "tiger")
AVSS_CLIPS = [
    ("v1s", "train", "dog"),
    ("v1m", "train", "dog_man"),
    ("v2", "train", "man"),
    ("v1s", "test", "guzheng"),
    ("v1m", "test", "dog_man"),
    ("v2", "test", "tiger"),
    ("v2", "test", "guzheng_man"),  # its audio ends early
    ("v1m", "val", "man"),
    ("v2", "val", "dog"),
]


def color(index: int) -> tuple[int, int, int]:
    """Bit k of the index, three at a time, to the high bits of red, green and blue."""
    rgb, shift = [0, 0, 0], 7
    while index:
        for channel in range(3):
            rgb[channel] |= ((index >> channel) & 1) << shift
        index, shift = index >> 3, shift - 1
    return rgb[0], rgb[1], rgb[2]


def labels(seed: int) -> np.ndarray:
    out = np.zeros((H, W), np.uint8)
    out[shape(seed)] = 1 + seed % 70
    out[-3:, :4] = 70
    return out


def avss_uid(i: int) -> str:
    return f"v{i}xxxxxxxxx_{i}000_{i + 5}000"


def write_avss(root: Path, *, colors_only: bool = False) -> None:
    lines = [HEAD]
    for i, (subset, split, a_obj) in enumerate(AVSS_CLIPS):
        uid, count = avss_uid(i), 10 if subset == "v2" else 5
        lines.append(f"v{i}xxxxxxxxx,{uid},0,{i},{a_obj},{split},{subset}")
        place = root / subset / uid
        for k in range(count):
            save(frame(100 + 20 * i + k), place / f"frames/{k}.jpg")
        for k in range(1 if (subset, split) == ("v1s", "train") else count):
            found = labels(100 + 20 * i + k)
            if not colors_only:
                save(found, place / f"labels_semantic/{k}.png")
            table = np.array([color(n) for n in range(71)], np.uint8)
            save(table[found], place / f"labels_rgb/{k}.png")
        stereo(place / "audio.wav", 6.5 if i == 6 else float(count), 40 + i)
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    names = ["background", "dog", "man", *UNSEEN, *(f"c-{k}" for k in range(5, 71))]
    (root / "label2idx.json").write_text(json.dumps({name: k for k, name in enumerate(names)}))


def read_avss_clip(root: Path, row: dict[str, str], *, length: int = 10) -> Clip:
    """The official loader: colors to labels, zeros in place of missing frames, labels and patches."""
    place = root / row["label"] / row["uid"]
    count = len(list((place / "frames").iterdir()))
    frames = [read_rgb(place / f"frames/{k}.jpg") for k in range(count)]
    masks = {}
    for k in range(len(list((place / "labels_rgb").glob("*.png")))):
        image = read_rgb(place / f"labels_rgb/{k}.png").astype(int)
        maps = [(image == np.array(color(n))).all(axis=-1) for n in range(71)]
        masks[k] = np.argmax(np.stack(maps, axis=-1), axis=-1)
    patches = torch.zeros(length, 1, 96, 64)
    found = examples(place / "audio.wav")[:length]
    patches[: len(found)] = found
    return Clip(row["uid"], np.stack(frames), masks, patches[:count, 0].numpy())


def read_avss(root: Path, split: str, subsets: tuple[str, ...]) -> list[Clip]:
    rows = [r for r in rows_of(root / "metadata.csv") if r["split"] == split and r["label"] in subsets]
    return [read_avss_clip(root, row) for row in rows]


def write_v3(root: Path) -> None:
    """Tables of the GAVS repository over an AVSS tree: clips of v2 and v1m, by their classes."""
    rows = [r for r in rows_of(root / "metadata.csv") if r["label"] != "v1s"]
    unseen = [r for r in rows if set(r["a_obj"].split("_")) & set(UNSEEN)]
    seen = [r for r in rows if r not in unseen]
    tables = {
        "meta_v3_seen_train": (seen[1:], "seen_train"),
        "meta_v3_seen_val": (seen[:1], "seen_val"),
        "meta_v3_unseen": (unseen, "unseen"),
    }
    for name, (part, split) in tables.items():
        lines = [
            ",".join([r["vid"], r["uid"], r["s_min"], r["s_sec"], r["a_obj"], split, r["label"]])
            for r in part
        ]
        (root / f"{name}.csv").write_text("\n".join([HEAD, *lines]) + "\n")
    for shots in (1, 3, 5):
        for name, part in (("train", unseen[:1]), ("test", unseen[1:])):
            lines = [f"{r['vid']},{r['uid']},,,,v3_1_shot_train,{r['label']}" for r in part]
            (root / f"v3_{shots}_shot_{name}.csv").write_text("\n".join([HEAD, *lines]) + "\n")


def read_v3(root: Path, table: str) -> list[Clip]:
    return [read_avss_clip(root, row) for row in rows_of(root / f"{table}.csv")]


# --- AVS-Synthetic ------------------------------------------------------------------------------------------


def write_synthetic(home: Path) -> None:
    lines = ["inst_id,img_id,a,b,cls_name,cls_id,dataset,split,audio_name"]
    for i, split in enumerate(("train", "train", "validate", "test")):
        lines.append(f"i{i},p{i},,,thing{i % 2},{i % 2},lvis,{split},s{i}")
        save(frame(400 + i), home / f"images/p{i}.jpg")
        save(shape(400 + i).astype(np.uint8) * 255, home / f"masks/i{i}.png")
        stereo(home / f"audios/s{i}.wav", 10.0, 60 + i)
    (home / "annotations.csv").write_text("\n".join(lines) + "\n")
    sounds = {0: ["s0.wav"], 1: ["s1.wav"]}  # one sound a class: the draw has no choice
    (home / "category_for_vggsound_audios.pkl").write_bytes(pickle.dumps(sounds))


def read_synthetic(home: Path, split: str) -> list[Clip]:
    with (home / "category_for_vggsound_audios.pkl").open("rb") as file:
        sounds = pickle.load(file)
    out = []
    for line in (home / "annotations.csv").read_text().splitlines()[1:]:
        cells = line.split(",")
        if cells[7] != {"val": "validate"}.get(split, split):
            continue
        sound = sounds[int(cells[5])][0] if split == "train" else f"{cells[8]}.wav"
        patch = examples(home / "audios" / sound)[1:2, 0].numpy()  # the second 0.96 s
        mask = np.array(Image.open(home / f"masks/{cells[0]}.png")) > 0
        out.append(Clip(cells[0], read_rgb(home / f"images/{cells[1]}.jpg")[None], {0: mask}, patch))
    return out

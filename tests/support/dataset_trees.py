"""Small benchmark trees, written by hand in the official layouts: paths are spelled out here once more.

Nothing of the readers is used, so that a reader that looks in the wrong place fails.
"""

from __future__ import annotations

import csv
import io
import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.official_loaders import examples
from tests.support.tiny_corpus import write_tone

H, W = 12, 20
COLORS = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 9: (192, 0, 0), 70: (32, 128, 128)}


def save(image: np.ndarray | Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(path, **({"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}))
    return path


def frame(shade: int) -> np.ndarray:
    """A flat gray frame: its shade tells which it is."""
    return np.full((H, W, 3), shade, np.uint8)


def mask(row: int, value: int = 1) -> np.ndarray:
    """A mask of one row."""
    out = np.zeros((H, W), np.uint8)
    out[row] = value
    return out


def tones(path: Path, seconds: int, lowest: float = 300.0) -> None:
    """A stereo sound that changes its pitch every 0.96 s, so that patches can be told apart."""
    parts = [(0.96, lowest * 1.3**k) for k in range(seconds)]
    write_tone(path, [*parts, (seconds * 0.04 + 0.02, 200.0)], right=0.1)


def patches_of(wav: Path) -> np.ndarray:
    """AVSBench's own patches, [N,96,64]."""
    return examples(wav)[:, 0].numpy()


def table(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def s4(root: Path) -> Path:
    """Two clips, one to train and one to test."""
    home = root / "Single-source"
    rows = [("__GOGlHL23s_4000_9000", "bird", "train"), ("ab_cdefghi-_0_5000", "male_speech", "test")]
    lines = [f"{name},0,{category},{split}" for name, category, split in rows]
    table(home / "s4_meta_data.csv", "\n".join(["name,start,category,split", *lines]) + "\n")
    for name, category, split in rows:
        place = f"{split}/{category}/{name}"
        for k in range(1, 6):
            save(frame(40 * k), home / f"s4_data/visual_frames/{place}/{name}_{k}.png")
        for k in range(1, 2 if split == "train" else 6):
            path = home / f"s4_data/gt_masks/{place}/{name}_{k}.png"
            save(Image.fromarray(mask(k) > 0), path)
        tones(home / f"s4_data/audio_wav/{place}.wav", 5)
    return root


def ms3(root: Path) -> Path:
    """Two clips of one source video, in different splits."""
    home = root / "Multi-sources"
    rows = [("_fvpYLXtQHQ_0", "train"), ("_fvpYLXtQHQ_1", "test")]
    lines = [f"{name},{split}" for name, split in rows]
    table(home / "ms3_meta_data.csv", "\n".join(["video_id,split", *lines]) + "\n")
    for name, split in rows:
        for k in range(1, 6):
            save(frame(40 * k), home / f"ms3_data/visual_frames/{name}/{name}.mp4_{k}.png")
            path = home / f"ms3_data/gt_masks/{split}/{name}/{name}_{k}.png"
            save(Image.fromarray(mask(k) > 0), path)
        tones(home / f"ms3_data/audio_wav/{split}/{name}.wav", 5)
    return root


# subset, uid, vid, a_obj, split, classes of the rows of each frame's labels
AVSS_CLIPS = (
    ("v1s", "__GOGlHL23s_4000_9000", "__GOGlHL23s", "bird", "train"),
    ("v1s", "__ZkQzOL9Ac_1000_6000", "__ZkQzOL9Ac", "bird", "val"),
    ("v1m", "_fvpYLXtQHQ_0", "_fvpYLXtQHQ_0", "emergency-car_h orse", "train"),
    ("v1m", "_fvpYLXtQHQ_1", "_fvpYLXtQHQ_1", "off-the-screen", "test"),
    ("v2", "D1vP8RPShOo_60000_70000", "D1vP8RPShOo", "background", "train"),
    ("v2", "E38OzFQIb1M_230000_240000", "E38OzFQIb1M", "bird", "test"),
    ("v2", "_3pLesuLT4w_60000_70000", "_3pLesuLT4w", "bird", "test"),
)
AVSS_HEAD = "vid,uid,s_min,s_sec,a_obj,split,label"


def avss(root: Path) -> Path:
    """A few clips of each subset; 71 classes, of which the images show 1 and 70."""
    lines = [f"{vid},{uid},0,4,{objects},{split},{label}" for label, uid, vid, objects, split in AVSS_CLIPS]
    table(root / "metadata.csv", "\n".join([AVSS_HEAD, *lines]) + "\n")
    names = ["background", "bird", *(f"class-{k}" for k in range(2, 71))]
    (root / "label2idx.json").write_text(json.dumps({name: k for k, name in enumerate(names)}))
    for number, (label, uid, _, _, split) in enumerate(AVSS_CLIPS):
        place, count = root / label / uid, 10 if label == "v2" else 5
        for k in range(count):
            save(frame(20 * k + 20), place / f"frames/{k}.jpg")
        for k in range(1 if (label, split) == ("v1s", "train") else count):
            labels = mask(k, 70)
            labels[k + 1] = 1
            save(labels, place / f"labels_semantic/{k}.png")
            save(colored(labels), place / f"labels_rgb/{k}.png")
        tones(place / "audio.wav", count, 200.0 + 30 * number)
    return root


def colored(labels: np.ndarray) -> np.ndarray:
    out = np.zeros((*labels.shape, 3), np.uint8)
    for index, color in COLORS.items():
        out[labels == index] = color
    return out


def v3(root: Path) -> Path:
    """V3's tables over the AVSS tree; the few-shot ones with empty columns and one split for all."""
    avss(root)
    rows = {uid: (vid, objects, label) for label, uid, vid, objects, _ in AVSS_CLIPS}
    d1, e3, p3, multi = "D1vP8RPShOo_60000_70000", AVSS_CLIPS[5][1], AVSS_CLIPS[6][1], "_fvpYLXtQHQ_0"
    for name, split, uids in (
        ("meta_v3_seen_train", "seen_train", [d1]),
        ("meta_v3_seen_val", "seen_val", [multi]),
        ("meta_v3_unseen", "unseen", [e3, p3]),
    ):
        lines = [f"{rows[u][0]},{u},1,0,{rows[u][1]},{split},{rows[u][2]}" for u in uids]
        table(root / f"{name}.csv", "\n".join([AVSS_HEAD, *lines]) + "\n")
    for k in (1, 3, 5):
        for split, uid in (("train", p3), ("test", e3)):
            line = f"{rows[uid][0]},{uid},,,,v3_1_shot_train,{rows[uid][2]}"
            table(root / f"v3_{k}_shot_{split}.csv", f"{AVSS_HEAD}\n{line}\n")
    return root


def synthetic(root: Path) -> Path:
    """Three images to train, one to validate, one to test; two classes, several sounds of the first."""
    head = ["inst_id", "img_id", "alpha", "beta", "cls_name", "cls_id", "dataset", "split", "audio_name"]
    rows = [
        ["i0", "p0", "", "", "dog", "7", "lvis", "train", "d0"],
        ["i1", "p0", "", "", "dog", "7", "lvis", "train", "d0"],
        ["i2", "p1", "", "", "cat", "9", "openimages", "train", "c0"],
        ["i3", "p2", "", "", "dog", "7", "lvis", "validate", "d3"],
        ["i4", "p3", "", "", "cat", "9", "lvis", "test", "c0"],
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    table(root / "annotations.csv", text.getvalue())
    for k in range(4):
        save(frame(50 * k + 50), root / f"images/p{k}.jpg")
    for k in range(5):
        save(mask(k, 255), root / f"masks/i{k}.png")
    for k, name in enumerate(("d0", "d1", "d2", "d3", "c0")):
        write_tone(root / f"audios/{name}.wav", [(0.96, 300.0), (1.1, 500.0 + 300 * k)], right=0.1)
    (root / "category_for_vggsound_audios.pkl").write_bytes(
        pickle.dumps({7: ["d0.wav", "d1", "d2"], 9: ["c0"]}, protocol=2)
    )
    return root

"""`save-avs eval --save-masks` and `--masks`: predictions in files, in the layout of the benchmark."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from save_avs.cli import main
from save_avs.models.serialization import save_model
from tests.support import dataset_trees as trees
from tests.support.tiny_model import shake, tiny_model

ALL = [
    v
    for name in ("official", "official-batch4", "dataset", "sama", "gavs", "cavp")
    for v in ("--protocol", name)
]
PLACE = "s4_data/gt_masks/test/male_speech/ab_cdefghi-_0_5000"
CLASSES = ("background", "bird", *(f"class-{k}" for k in range(2, 71)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trees in the official layouts, a model of each kind, and the first one's masks on S4."""
    root = tmp_path_factory.mktemp("masks")
    trees.s4(root / "tree")
    trees.ms3(root / "tree")
    trees.avss(root / "tree")
    for name, changes in {
        "squash": {},
        "pad": {"resize": "pad"},
        "naming": {"semantic": {"classes": CLASSES}},
    }.items():
        model = tiny_model(**changes)
        shake(model, 3)
        save_model(model, root / name)
    return root


@pytest.fixture(autouse=True)
def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def run(*arguments: str, data: str = "s4") -> int:
    return main(["eval", *arguments, "--data", data, "--root", "tree"])


def table(output: str) -> str:
    """What is printed before the line that names the report's folder."""
    return output.partition("report: ")[0]


@pytest.mark.parametrize(
    ("model", "data"),
    [("squash", "s4"), ("squash", "ms3"), ("pad", "s4"), ("naming", "v2"), ("naming", "avss")],
)
def test_masks_written_by_a_model_score_as_the_model_does(model, data, capsys, tmp_path) -> None:
    out, masks = str(tmp_path / "out"), str(tmp_path / "masks")
    run_on = ["--device", "cpu", "--precision", "fp32"]
    assert run(model, *ALL, "-o", out, "--save-masks", masks, *run_on, data=data) == 0
    live = capsys.readouterr().out
    assert run("--masks", masks, *ALL, "-o", f"{out}-2", data=data) == 0
    stored = capsys.readouterr().out
    assert table(stored) == table(live) and "**sama**" in table(live)
    reports = [json.loads(Path(folder, "report.json").read_text()) for folder in (out, f"{out}-2")]
    for report in reports:
        del report["info"]["seconds"]
    assert reports[0] == reports[1]  # every score to the last digit
    sheets = [np.asarray(Image.open(Path(folder, "examples.png"))) for folder in (out, f"{out}-2")]
    assert np.array_equal(*sheets)


@pytest.mark.parametrize(("form", "mode"), [("png", "L"), ("png16", "I;16")])
def test_png_masks_have_the_frames_size_and_the_names_of_the_annotations(
    form, mode, tmp_path, capsys
) -> None:
    masks = tmp_path / "masks"
    written = ("--save-masks", str(masks), "--mask-format", form)
    assert run("squash", "-o", str(tmp_path / "out"), *written) == 0
    files = sorted(path.relative_to(masks).as_posix() for path in masks.rglob("*.png"))
    assert files == [f"{PLACE}/ab_cdefghi-_0_5000_{k}.png" for k in range(1, 6)]
    for file in files:
        assert (Path("tree/Single-source") / file).exists()
        with Image.open(masks / file) as image:
            assert (image.mode, image.size) == (mode, (trees.W, trees.H))
    capsys.readouterr()
    assert run("--masks", str(masks), "-o", str(tmp_path / "out-2")) == 0
    assert "tiny (64 px, squash" in capsys.readouterr().out


def test_the_annotations_themselves_score_100(tmp_path, capsys) -> None:
    assert run("--masks", "tree/Single-source", "--protocol", "official", "-o", str(tmp_path / "out")) == 0
    said = capsys.readouterr().out
    assert re.search(r"\*\*official\*\* \| 100\.0.* \| 100\.0", said)
    assert "Single-source (frames' own size, squash, stored)" in said


def test_masks_are_compared_with_a_model(tmp_path, capsys) -> None:
    masks = tmp_path / "theirs"
    assert run("squash", "-o", str(tmp_path / "a"), "--save-masks", str(masks), "--mask-format", "png") == 0
    capsys.readouterr()
    assert run("squash", "--masks", str(masks), "--json", "-o", str(tmp_path / "b")) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["reports"]) == ["squash", "theirs"]
    official = [r["protocols"]["official"]["overall"]["miou"]["value"] for r in document["reports"].values()]
    assert official[0] == pytest.approx(official[1], abs=0.1) and document["comparisons"]


def copies(tmp_path: Path) -> Path:
    """S4's annotations of the test clip, as a system's masks."""
    for k in range(1, 6):
        name = f"{PLACE}/ab_cdefghi-_0_5000_{k}.png"
        with Image.open(Path("tree/Single-source") / name) as image:
            trees.save(np.asarray(image.convert("L")), tmp_path / "masks" / name)
    return tmp_path / "masks" / PLACE


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing", r"1 of 5 masks missing \(s4_data/gt_masks/test/male_speech/ab_cdefghi-_0_5000/\S+_3\)"),
        ("from 0", r"1 of 5 masks missing \(\S+_5\); 1 files that no frame has \(\S+_0\)"),
        ("extra", r"1 files that no frame has \(\S+_6\)"),
        ("twice", r"1 frames with two files \(\S+_3\)"),
        (
            "size",
            r"1 of 5 masks of a wrong size \(\S+_3.png 7 x 5, its frame 20 x 12\): give the frame's size",
        ),
        ("gray", r"_3.png: has 4 gray levels, so it is no mask: say what it is by --masks-hold"),
        ("color", r"_3.png: image of mode RGB; a predicted mask has one channel"),
        ("broken", r"_3.png: not an image"),
        ("wide", r"files of several kinds \(4 mask, 1 probs\): give all in one"),
    ],
)
def test_wrong_masks_are_one_line_and_leave_nothing(fault, said, tmp_path, capsys) -> None:
    place = copies(tmp_path)
    third = place / "ab_cdefghi-_0_5000_3.png"
    match fault:
        case "missing":
            third.unlink()
        case "from 0":
            for k in range(1, 6):
                (place / f"ab_cdefghi-_0_5000_{k}.png").rename(place / f"ab_cdefghi-_0_5000_{k - 1}.png")
        case "extra":
            trees.save(trees.mask(1), place / "ab_cdefghi-_0_5000_6.png")
        case "twice":
            np.savez(third.with_suffix(".npz"), mask=trees.mask(1))
        case "size":
            trees.save(np.zeros((5, 7), np.uint8), third)
        case "gray":
            trees.save((np.arange(240).reshape(12, 20) % 4).astype(np.uint8), third)
        case "color":
            trees.save(np.zeros((12, 20, 3), np.uint8), third)
        case "broken":
            third.write_bytes(b"no image")
        case "wide":
            trees.save(np.zeros((12, 20), np.uint16), third)
    assert run("--masks", str(tmp_path / "masks"), "-o", str(tmp_path / "out")) == 3
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert re.search(said, lines[-1]) and not (tmp_path / "out").exists() and "official" not in printed.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to evaluate: give a model, or --masks DIR"),
        (("--masks", "nowhere"), "nowhere: no such folder of masks"),
        (("squash", "--mask-format", "png"), "--mask-format only applies to --save-masks"),
        (("squash", "--masks-hold", "labels"), "--masks-hold only applies to --masks"),
        (("squash", "--save-masks", "m", "--mask-format", "gif"), "choose from npz, png16, png"),
        (("--masks", "tree", "--masks-hold", "soup"), "choose from mask, probability, labels"),
        (("--masks", "tree", "--masks-hold", "labels"), "s4 has no classes"),
        (("--masks", "tree", "--save-masks", "m"), "--save-masks writes a model's masks"),
        (("squash", "--save-masks", "tree"), "tree already exists"),
        (("squash", "--as-published"), "s4 has no published way of padding"),
        (("--masks", "tree/Single-source", "--protocol", "sama"), "compares at the network's size"),
    ],
)
def test_wrong_usage_of_masks_is_one_line(arguments, said, capsys, tmp_path) -> None:
    assert run(*arguments, "-o", str(tmp_path / "out")) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_masks_of_another_split_or_data_set_are_refused(tmp_path, capsys) -> None:
    masks = str(tmp_path / "masks")
    assert run("squash", "-o", str(tmp_path / "out"), "--save-masks", masks, data="ms3") == 0
    assert run("--masks", masks, "-o", str(tmp_path / "out-2")) == 2
    assert "holds masks of ms3, split test, not of s4, split test" in capsys.readouterr().err


def test_avss_as_published_is_the_same_from_masks(tmp_path, capsys) -> None:
    out, masks = str(tmp_path / "out"), str(tmp_path / "masks")
    run_on = ["--device", "cpu", "--precision", "fp32", "--as-published"]
    assert run("naming", "-o", out, "--save-masks", masks, *run_on, data="v1m") == 0
    live = capsys.readouterr().out
    assert run("--masks", masks, "-o", f"{out}-2", "--as-published", data="v1m") == 0
    assert table(capsys.readouterr().out) == table(live) and "with 5 frames of padding" in live


def test_a_failed_run_leaves_no_masks(tmp_path) -> None:
    frame = sorted(Path("tree/Multi-sources/ms3_data/visual_frames").rglob("*_1.mp4_5.png"))[0]
    whole = frame.read_bytes()
    frame.write_bytes(whole[:40])
    try:
        masks = tmp_path / "masks"
        assert run("squash", "-o", str(tmp_path / "out"), "--save-masks", str(masks), data="ms3") == 3
        assert not list(tmp_path.iterdir())
    finally:
        frame.write_bytes(whole)

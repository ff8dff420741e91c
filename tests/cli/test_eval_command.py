"""`save-avs eval` on small trees in an official layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from save_avs.cli import main
from save_avs.cli._evaluation import model_label
from save_avs.models.serialization import save_model
from studies.cli import main as studies_main
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import shake, tiny_model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of five test clips and two models."""
    root = tmp_path_factory.mktemp("eval")
    corpus, tree = str(make_corpus(root / "corpus")), str(root / "tree")
    layout = ("--layout", "s4", "--split", "test", "--count", "5", "--size", "48x48")
    assert studies_main(["compose", corpus, "-o", tree, *layout]) == 0
    for seed, name in enumerate(("first", "second")):
        model = tiny_model(seed=seed)
        shake(model, seed)
        save_model(model, root / name)
    return root


@pytest.fixture(autouse=True)
def there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def run(*arguments: str) -> int:
    return main(["eval", *arguments, "--device", "cpu", "--precision", "fp32"])


S4 = ("--data", "s4", "--root", "tree")


def test_a_report_is_printed_and_written(capsys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("first", *S4, "--protocol", "official", "--protocol", "cavp", "-o", str(out)) == 0
    said = capsys.readouterr()
    assert "| **official** |" in said.out and "| **cavp** |" in said.out and "published" in said.out
    assert said.out.rstrip().endswith(f"report: {out}") and "fps" in said.err
    assert sorted(path.name for path in out.iterdir()) == ["examples.png", "report.json", "report.md"]


def test_a_report_is_never_overwritten_unasked(capsys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.md").write_text("mine")
    assert run("first", *S4, "-o", str(out)) == 2
    assert (out / "report.md").read_text() == "mine"
    assert "already exists" in capsys.readouterr().err
    assert run("first", *S4, "-o", str(out), "--overwrite") == 0
    assert "official" in (out / "report.md").read_text()


def test_without_a_folder_reports_take_free_names(tmp_path: Path, monkeypatch, place: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(str(place / "first"), "--data", "s4", "--root", str(place / "tree")) == 0
    names = sorted(path.name for path in (tmp_path / "runs/eval").iterdir())
    assert names == ["first-s4-test", "first-s4-test-2"]


def test_two_models_are_compared_in_one_document(capsys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("first", "second", *S4, "--size", "32", "--json", "-o", str(out)) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["reports"]) == ["first", "second"]
    (comparison,) = document["comparisons"]
    assert (comparison["first"], comparison["second"], comparison["clips"]) == ("first", "second", 5)
    assert document["reports"]["first"]["protocols"]["dataset"]["scoring"]["size"] == 32
    assert json.loads((out / "comparison.json").read_text())["comparisons"] == [comparison]
    assert (out / "second/report.json").is_file() and (out / "comparison.md").is_file()


def test_models_of_trainings_are_called_by_run_and_stage() -> None:
    assert model_label("save-tiny") == "save-tiny"
    assert model_label("runs/s4-256/train/model") == "s4-256-train"
    assert model_label("models/mine") == "mine"


def test_a_broken_clip_is_named_and_nothing_is_left(capsys, place: Path, tmp_path: Path) -> None:
    frame = sorted((place / "tree/Single-source/s4_data/visual_frames").rglob("*_3.png"))[1]
    whole, out = frame.read_bytes(), tmp_path / "out"
    frame.write_bytes(whole[:40])
    try:
        assert run("first", *S4, "-o", str(out)) == 3
        assert frame.name in capsys.readouterr().err.splitlines()[-1] and not list(tmp_path.iterdir())
        assert run("first", *S4, "-o", str(out), "--skip-broken") == 3
        said = capsys.readouterr()
        assert "warning: left out" in said.err and "1 broken clips were left out" in said.out
    finally:
        frame.write_bytes(whole)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("first", "--data", "s4"), "requires --root"),
        (("first", "--data", "s9", "--root", "tree"), "Unknown data set 's9'"),
        (("first", "--data", "s4", "--root", "nowhere"), "nowhere: no such folder"),
        (("first", *S4, "--protocol", "nope"), "unknown protocol 'nope'"),
        (("first", *S4, "--protocol", "official", "--size", "9"), "is fixed"),
        (("first", *S4, "--split", "zero-shot"), "Unknown split"),
        (("nobody", *S4), "no model 'nobody'"),
        (("first", *S4, "--scenes", "3"), "--scenes only applies to --data scenes"),
        (("first", "--root", "tree"), "--root only applies to datasets of clips"),
        (("first", "--json"), "--json only applies to datasets of clips"),
        (("first", "second", "--data", "scenes"), "give one model"),
    ],
)
def test_wrong_usage_is_one_line(arguments, said: str, capsys) -> None:
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_evaluation_on_scenes(capsys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("first", "--data", "scenes", "--corpus", "corpus", "--scenes", "3", "-o", str(out)) == 0
    assert "digital silence" in capsys.readouterr().out
    assert json.loads((out / "report.json").read_text())["seed"] == 2024

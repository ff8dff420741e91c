"""`save-avs study listening` and `save-avs study inside` as a user has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from save_avs.cli import main
from save_avs.models.serialization import save_model
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import shake, tiny_model

PLAIN = ("--device", "cpu")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus and two models."""
    root = tmp_path_factory.mktemp("studies")
    make_corpus(root / "corpus")
    for seed, name in enumerate(("first", "second")):
        model = tiny_model(seed=seed)
        shake(model, seed)
        save_model(model, root / name)
    return root


@pytest.fixture(autouse=True)
def there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def test_listening_prints_one_document_and_writes_a_report(capsys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("--corpus", "corpus", "--scenes", "6", "--seed", "3", "-o", str(out), "--json")
    assert main(["study", "listening", "first", "second", *asked, *PLAIN]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["folder"] == str(out) and document["report"]["setting"]["seed"] == "3"
    assert document["report"]["setting"]["command"].startswith("save-avs ")
    assert {row["model"] for row in document["report"]["sheets"]["scores"]["rows"]} >= {"first", "second"}
    assert {"report.html", "report.md", "report.json", "scores.csv"} <= {p.name for p in out.iterdir()}
    assert main(["study", "listening", "first", *asked, *PLAIN]) == 2  # what is there stays
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "s4"), "needs --root"),
        (("--data", "s4", "--root", "corpus", "--scenes", "5"), "--scenes is for --data scenes"),
        (("--root", "corpus"), "--root is for clips of a data set"),
        (("--corpus", "corpus", "--split", "nowhere"), "unknown split 'nowhere'"),
        (("nobody", "--corpus", "corpus"), "nobody"),
    ],
)
def test_wrong_questions_are_refused_before_any_work(capsys, arguments, said: str) -> None:
    models = () if arguments[0] == "nobody" else ("first",)
    assert main(["study", "listening", *models, *arguments, *PLAIN]) == 2
    assert said in capsys.readouterr().err and not Path("runs").exists()


def test_inside_makes_a_page(capsys, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    asked = ("--model", "first", "--at", "0.5", "--at", "1.5", "--corpus", "corpus", "--scenes", "4")
    assert main(["study", "inside", str(video), *asked, "-o", str(out), *PLAIN]) == 0
    said = capsys.readouterr()
    assert "| block 1 | taken out |" in said.out and said.out.rstrip().endswith(f"{out / 'report.html'}")
    assert "4/4 scenes" in said.err and "<img" in (out / "report.html").read_text()
    assert main(["study", "inside", "nowhere.mp4", "--model", "first"]) == 2
    assert main(["study", "inside", str(video), "--model", "first", "--at", "99"]) == 2
    assert "no frame at 99 s" in capsys.readouterr().err

"""The studies' command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from save_avs.models.serialization import save_model
from studies.cli import main
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import shake, tiny_model


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus and two models."""
    root = tmp_path_factory.mktemp("studies")
    make_corpus(root / "corpus")
    for seed, name in enumerate(("first", "second")):
        model = tiny_model(seed=seed)
        shake(model, seed)
        save_model(model, root / name)
    return root


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def test_audio_sensitivity_writes_a_report_once(capsys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--corpus", "corpus", "--scenes", "3", "--seed", "3", "-o", str(out), "--device", "cpu")
    assert main(["audio-sensitivity", "first", "second", *options]) == 0
    assert "| first |" in capsys.readouterr().out
    text = (out / "report.md").read_text()
    assert "* seed: 3" in text and "* command: python -m studies" in text and "| second |" in text
    assert main(["audio-sensitivity", "first", *options]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "s4"), "requires --root"),
        (("--corpus", "corpus", "--split", "nowhere"), "nowhere"),
        (("nobody", "--corpus", "corpus"), "nobody"),
    ],
    ids=["no root", "unknown split", "unknown model"],
)
def test_audio_sensitivity_usage_errors(capsys, arguments, message: str) -> None:
    models = () if arguments[0] == "nobody" else ("first",)
    assert main(["audio-sensitivity", *models, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_interpretability_writes_a_report(video: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    options = ("--model", "first", "--corpus", "corpus", "--scenes", "3", "--at", "0.5", "-o", str(out))
    assert main(["interpretability", str(video), *options]) == 0
    assert "Claims of the images" in capsys.readouterr().out and (out / "images/attention.png").is_file()


@pytest.mark.parametrize(
    "arguments", [("nowhere.mp4",), ("VIDEO", "--at", "99")], ids=["missing file", "time after the end"]
)
def test_interpretability_usage_errors(video: Path, arguments) -> None:
    words = [str(video) if word == "VIDEO" else word for word in arguments]
    assert main(["interpretability", *words, "--model", "first"]) == 2


def test_unknown_command_is_a_usage_error(capsys) -> None:
    assert main(["nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err

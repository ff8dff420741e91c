from __future__ import annotations

import subprocess
import sys

import pytest

from save_avs.cli import main
from save_avs.video import probe
from tests.support.tiny_corpus import make_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_corpus(tmp_path_factory.mktemp("corpus")))


def test_clips_of_the_bundled_corpus(tmp_path, capsys):
    out = tmp_path / "clips"
    arguments = ["sample", "-o", str(out), "--count", "1", "--seconds", "0.4", "--size", "64x48", "--masks"]
    assert main(["data", "compose", *arguments]) == 0
    assert capsys.readouterr().out == f"clips: {out}\n"
    info = probe(out / "scene-0000.mp4")
    assert (info.width, info.height) == (64, 48)
    assert len(list((out / "scene-0000.masks").iterdir())) == 10
    assert (out / "scenes.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "tset"], "Unknown split 'tset': choose from train, val, test, zero-shot"),
        (["--size", "640"], "--size 640: write it as WIDTHxHEIGHT"),
        (["--size", "0x10"], "--size 0x10: write it as WIDTHxHEIGHT"),
        (["--count", "0"], "Invalid value for '--count'"),
    ],
)
def test_wrong_usage_is_one_line_before_any_work(corpus, tmp_path, capsys, arguments, message):
    assert main(["data", "compose", corpus, "-o", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_corpus(tmp_path, capsys):
    assert main(["data", "compose", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "is not a corpus: it has no cutouts/ folder" in capsys.readouterr().err


def test_an_output_that_exists(corpus, tmp_path, capsys):
    assert main(["data", "compose", corpus, "-o", str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["data"], ["data", "compose"], ["data", "check"], ["data", "features"]])
def test_help_lists_commands_and_examples(command, capsys):
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert ("compose" in text) if command == ["data"] else ("Examples:" in text)


def test_the_help_needs_no_torch():
    code = (
        "import sys; from save_avs.cli import main\n"
        "main(['data', 'compose', '--help']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0

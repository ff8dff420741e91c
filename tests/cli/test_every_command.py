"""What holds for every command, walked over all there are."""

from __future__ import annotations

import errno
import json
import re
import shlex
import shutil
import socket
from pathlib import Path

import pytest
from PIL import Image

from save_avs.cli import main
from save_avs.models.serialization import save_model
from studies.cli import main as studies_main
from tests.support.cli_runner import COMMANDS, parse
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import shake, tiny_model

every = pytest.mark.parametrize("name", COMMANDS)


def options(name: str) -> set[str]:
    return {option for parameter in COMMANDS[name].params for option in parameter.opts}


def examples(name: str) -> list[str]:
    """Command lines in a command's help that call the program."""
    text = (COMMANDS[name].help or "").replace("\b", "")
    lines = [re.split(r" && | > ", line.strip()) for line in text.splitlines()]
    return [part for line in lines for part in line if "save-avs " in part or "save_avs " in part]


@every
def test_the_help_has_an_example_that_calls_it(name):
    assert any(f"save-avs {name}" in line for line in examples(name)), COMMANDS[name].help


@every
def test_its_examples_can_be_parsed(name):
    for line in examples(name):
        words = shlex.split(line)
        start = next(i for i, word in enumerate(words) if word in ("save-avs", "save_avs"))
        parse(words[start + 1 :])


@every
def test_help_starts_with_a_sentence_and_its_own_examples(name):
    first, examples_, *_ = (COMMANDS[name].help or "").split("\n\n")
    assert first.endswith(".") and examples_.startswith(("\bExample", "\b\nExample"))


@every
def test_help_shows_flags_without_a_type(name, capsys):
    assert main([*name.split(), "--help"]) == 0
    assert "bool" not in capsys.readouterr().out


@every
def test_output_options_are_there(name):
    assert {"--quiet", "-q", "--verbose", "-v", "--no-color"} <= options(name)


@every
def test_commands_with_output_have_dry_run(name):
    if "--output" in options(name):
        assert "--dry-run" in options(name), f"{name} writes to --output and has no --dry-run"


@every
def test_no_network_is_touched_by_its_help(name, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert main([*name.split(), "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


@every
def test_no_color_in_its_help_where_none_is_wanted(name, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "")
    assert main([*name.split(), "--no-color", "--help"]) == 0
    assert "\x1b[3" not in capsys.readouterr().out


# With these words a command does its work, or would, on the small things of `place`.
S4 = ("--data", "s4", "--root", "tree")
WORK = {
    "segment": ("clip.mp4", "--model", "model"),
    "eval": ("model", *S4, "--split", "test"),
    "data check": ("tree", "--data", "s4"),
    "data compose": ("sample", "-o", "out"),
    "data shard": ("s4", "tree", "out", "--split", "test"),
    "data features": ("s4", "tree", "--split", "test"),
    "demo": (),
    "export": ("model", "--to", "torch"),
    "doctor": (),
    "params": ("model",),
    "prompt": ("cat.png", "--point", "1,1", "--model", "model"),
    "models": (),
    "teach": ("box", "--images", "tree", "--sounds", "tree"),
    "weights fetch": ("sam-vit-b", "--offline"),
}
JSON = [name for name in COMMANDS if "--json" in options(name) and name in WORK]
REHEARSED = [name for name in COMMANDS if "--dry-run" in options(name) and name in WORK]


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory, video: Path) -> Path:
    """A folder with a clip, a data set of two clips and a model."""
    root = tmp_path_factory.mktemp("things")
    corpus, tree = str(make_corpus(root / "corpus")), str(root / "tree")
    layout = ("--layout", "s4", "--split", "test", "--count", "2", "--size", "48x48")
    assert studies_main(["compose", corpus, "-o", tree, *layout, "--quiet"]) == 0
    model = tiny_model()
    shake(model)
    save_model(model, root / "model")
    shutil.copy(video, root / "clip.mp4")
    Image.new("RGB", (8, 6)).save(root / "cat.png")
    return root


@pytest.fixture
def place(things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in."""
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(things, tmp_path / "place"))
    monkeypatch.chdir(folder)
    return folder


def everything(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("name", REHEARSED)
def test_dry_run_prints_a_plan_and_writes_nothing(name, place, capsys):
    before = everything(place.parent)
    assert main([*name.split(), *WORK[name], "--dry-run"]) == 0
    assert capsys.readouterr().out.strip()
    assert everything(place.parent) == before


LONG = [pytest.mark.exhaustive]  # an export of the whole model


@pytest.mark.parametrize("name", [pytest.param(n, marks=LONG if n == "export" else []) for n in JSON])
def test_stdout_is_one_document(name, place, capsys):
    assert main([*name.split(), *WORK[name], "--json"]) in (0, 3)  # data check finds splits missing
    json.loads(capsys.readouterr().out)


def test_quiet_leaves_only_results(place, capsys):
    assert main(["segment", *WORK["segment"], "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert "40 frames" in out and err == ""
    assert main(["segment", *WORK["segment"]]) == 0
    assert capsys.readouterr().err  # and it ends with the command


def test_verbose_shows_where_it_failed(place, capsys):
    assert main(["segment", "missing.mp4", "--verbose"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main(["segment", "missing.mp4"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_second_report_takes_another_name(place):
    for _ in range(2):
        main(["data", "check", "tree", "--data", "s4", "--quiet"])
    assert sorted(path.name for path in Path("runs").iterdir()) == ["check", "check-2"]
    assert main(["data", "check", "tree", "--data", "s4", "-o", "runs/check"]) == 2


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("could not create a primitive"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_out_of_memory_names_the_remedy(error, place, monkeypatch, capsys):
    def burst(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("save_avs.runtimes.load_model", burst)
    assert main(["segment", *WORK["segment"]]) == 1
    assert "choose a smaller model" in capsys.readouterr().err

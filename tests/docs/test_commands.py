"""Every command that README.md and docs/ show is run as written, or listed with the reason why not."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tomllib
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from save_avs.cli import main
from studies.cli import main as run_studies
from tests.support.cli_runner import PROGRAM as TREE
from tests.support.cli_runner import parse
from tests.support.docs.code_blocks import PAGES, PROGRAM, ROOT, RUNNABLE, Command, commands, fences, mentions
from tests.support.docs.not_run import BLOCKS_ELSEWHERE, NOT_RUN, OTHERS
from tests.support.docs.sandbox import make_sandbox

REASONS = {text: reason for reason, texts in NOT_RUN.items() for text in texts}
ALL = [command for page in PAGES for command in commands(page)]
MENTIONS = [command for page in PAGES for command in mentions(page)]


def shown(command: Command) -> str:
    return command.where


def is_left_out(command: Command) -> bool:
    elsewhere = command.opening in BLOCKS_ELSEWHERE
    return elsewhere or command.text in REASONS or command.words[0] in OTHERS


LONG = ("docs/lab-notes/guide-runs.md", "docs/guides/own-data.md", "docs/guides/export.md")
STORIES = [
    pytest.param(page, marks=[pytest.mark.exhaustive] if page in LONG else [])
    for page in sorted({command.page for command in ALL if not is_left_out(command)})
]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sandbox(tmp_path_factory.mktemp("documents"))


@pytest.mark.slow
@pytest.mark.parametrize("page", STORIES)
def test_the_commands_of_a_page_run_one_after_another(page, sandbox, tmp_path, monkeypatch):
    place = shutil.copytree(sandbox, tmp_path / "place")
    monkeypatch.chdir(place)
    monkeypatch.setenv("SAVE_AVS_CACHE", str(place / "pretrained"))
    for command in commands(page):
        if not is_left_out(command):
            with monkeypatch.context() as patch:
                run(command, patch)


def run(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in command.environment.items():
        monkeypatch.setenv(name, value)
    program, *arguments = command.words
    said = io.StringIO()
    with redirect_stdout(said):
        if program in PROGRAM:
            assert main(arguments) == 0, command.where
        elif program == "python" and arguments[0] == "-c":
            exec(arguments[1], {})
        elif command.words[:3] == ["python", "-m", "studies"]:
            assert run_studies(arguments[2:]) == 0, command.where
        elif program == "ffmpeg" and shutil.which("ffmpeg"):
            subprocess.run(command.words, check=True, capture_output=True, timeout=60)
        else:
            assert program == "ffmpeg", f"{command.where}: neither run nor listed in not_run.py"
    if "--json" in arguments:
        json.loads(said.getvalue())
    if command.output is not None:
        command.output.write_text(said.getvalue())


@pytest.mark.parametrize("command", [c for c in ALL if c.arguments is not None], ids=shown)
def test_save_avs_takes_what_a_page_gives_it(command):
    parse(command.arguments)


@pytest.mark.parametrize("command", [c for c in MENTIONS if c.arguments], ids=shown)
def test_a_sentence_names_commands_and_options_that_exist(command):
    node, words = TREE, list(command.arguments or ())
    while words and words[0] in getattr(node, "commands", {}):
        node = node.commands[words.pop(0)]
    options = {name for parameter in node.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options |= {"--help", "-h"}
    assert words == [] or not hasattr(node, "commands") or words[0].startswith("-") or words[0].isupper()
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_in_shell_blocks(page):
    for line, language, text in fences(page):
        if language != "sh":
            assert not any(RUNNABLE.match(row) for row in text.splitlines()), f"{page}:{line}: mark it sh"
    assert not re.search(rf"(?m)^ {{4}}{RUNNABLE.pattern}", (ROOT / page).read_text()), f"{page}: fence it"


def test_the_lists_name_only_what_is_shown():
    texts = {command.text for command in ALL}
    assert set(REASONS) <= texts
    assert set(OTHERS) <= {command.words[0] for command in ALL}
    assert set(BLOCKS_ELSEWHERE) <= {command.opening for command in ALL}


@pytest.mark.parametrize("reason", [*NOT_RUN, *OTHERS.values(), *BLOCKS_ELSEWHERE.values()])
def test_tests_named_in_a_reason_exist(reason):
    for path in re.findall(r"tests/[\w/]+(?:\.py)?", reason):
        assert (ROOT / path).exists()


def test_extras_and_targets_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    for page in PAGES:
        text = (ROOT / page).read_text()
        named = {name for names in re.findall(r"'\.\[([\w,-]+)\]'", text) for name in names.split(",")}
        assert named <= set(project["optional-dependencies"]), page
        assert "save-avs[" not in text or page.startswith("docs/lab-notes"), f"{page}: no registry has it"
    for command in ALL:
        if command.words[0] == "make":
            assert command.words[1] in targets, command.where


@pytest.mark.parametrize("page", PAGES)
def test_scripts_take_what_a_page_gives_them(page):
    for script, rest in re.findall(
        r"python ((?:benchmarks|scripts)/\w+\.py)([^`\n]*)", (ROOT / page).read_text()
    ):
        source = (ROOT / script).read_text()
        for option in re.findall(r"(?<!\S)\[?(--[\w-]+)", rest):
            assert f'"{option}"' in source, f"{page}: {script} {option}"

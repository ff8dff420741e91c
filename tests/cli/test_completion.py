"""Completion as the shells ask for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import save_avs

ASK = {
    "bash": """eval "$(save-avs --show-completion bash)"
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
$(complete -p save-avs | sed 's/.*-F \\([^ ]*\\).*/\\1/') save-avs; printf '%s\\n' "${{COMPREPLY[@]}}\"""",
    "zsh": """autoload -Uz compinit; compinit -D -u
_arguments() {{ :; }}; _describe() {{ shift $#; }}; compdef() {{ :; }}
eval "$(save-avs --show-completion zsh)"
_TYPER_COMPLETE_ARGS="{words}" _SAVE_AVS_COMPLETE=complete_zsh save-avs""",
    "fish": """save-avs --show-completion fish | source; complete -C '{words}'""",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """`save-avs` of this checkout, on a path of its own."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "save-avs"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m save_avs "$@"\n')
    script.chmod(0o755)
    return folder


def completed(shell: str, words: str, program: Path) -> str:
    environment = {
        **os.environ,
        "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(save_avs.__file__).parents[1]),
        "HOME": str(program),
        "XDG_CONFIG_HOME": str(program),
        "XDG_DATA_HOME": str(program),
    }
    done = subprocess.run(
        [shell, "-c", ASK[shell].format(words=words)],
        env=environment,
        cwd=program,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("shell", ASK)
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("save-avs dat", ["data"]),
        ("save-avs weights fetch sam-vit-b", ["sam-vit-b", "sam-vit-b-hf"]),
        ("save-avs segment --model save-", ["save-tiny"]),
    ],
)
def test_shell_completes_commands_and_names(shell, words, offered, program):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    said = completed(shell, words, program)
    assert all(word in said for word in offered), said
    assert "vggish" not in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed(shell, program):  # whatever shell, or none, has started us
    done = subprocess.run(
        [program / "save-avs", "--show-completion", shell],
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "SAVE_AVS_COMPLETE" in done.stdout

"""The command as a program of its own: speed, signals, streams."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from save_avs import cli
from save_avs.cli import _models
from tests.support.sample_videos import make_video

LAUNCH = [sys.executable, "-m", "tests.support.cli_process"]
SAVE_AVS = [sys.executable, "-m", "save_avs"]


def run(command: list[str], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )


def test_help_does_not_wait_for_heavy_modules(tmp_path):
    code = (
        "import sys; from save_avs.cli import main; code = main(['segment', '--help']);"
        "heavy = {'torch', 'av', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy or code else 0)"
    )
    done = run([sys.executable, "-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "save-avs segment clip.mp4" in done.stdout


def test_collection_is_paused_while_torch_is_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    try:
        with pytest.raises(ValueError, match="no such model"), _models.collection_paused():
            assert not gc.isenabled()
            raise ValueError("no such model")
        assert gc.isenabled() and gc.get_freeze_count() > 0
    finally:
        gc.enable()
        gc.unfreeze()


def test_collection_goes_on_once_torch_is_there():
    pytest.importorskip("torch")
    with _models.collection_paused():
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_the_package_imports_nothing_heavy(tmp_path):
    code = (
        "import sys, save_avs; heavy = {'torch', 'av', 'numpy', 'typer'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = run([sys.executable, "-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_version(tmp_path):
    done = run(SAVE_AVS, "--version", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("save-avs ")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["segment", "nothing.mp4"]])
def test_wrong_usage_exits_with_2(arguments, tmp_path):
    done = run(SAVE_AVS, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_stdout_is_one_document(video, tmp_path):
    shutil.copy(video, tmp_path / "clip.mp4")
    done = run(LAUNCH, "segment", "clip.mp4", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"][0]["frames"] == 40


def test_a_file_name_that_is_no_text(video, tmp_path):
    shutil.copy(video, os.fsencode(tmp_path) + b"/caf\xe9.mp4")
    done = run(LAUNCH, "segment", ".", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "out").iterdir()
    assert json.loads((folder / "summary.json").read_text())["video"]["path"] == "caf?.mp4"


STEERING = "a\x1b]0;x\x07\nsave-avs: all is well\u202e.mp4"


def test_control_characters_in_names_are_escaped(video, tmp_path):
    shutil.copy(video, tmp_path / STEERING)
    (tmp_path / f"torn {STEERING}").write_bytes(b"no video")
    done = run(LAUNCH, "segment", ".", "-o", "out", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    shown = r"a\u001b]0;x\u0007\nsave-avs: all is well\u202e.mp4"
    assert done.stdout.startswith(f"{shown} -> out/a")
    assert done.stderr.splitlines()[-1].startswith(f"failed: torn {shown}: ")
    assert not set(done.stdout + done.stderr) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_leaves_no_partial_output(number, code, tmp_path):
    make_video(tmp_path / "first.mp4", frames=5)
    make_video(tmp_path / "second.mp4", frames=200)
    process = subprocess.Popen(
        [*LAUNCH, "segment", "first.mp4", "second.mp4", "-o", "out"],
        cwd=tmp_path,
        env={**os.environ, "STAND_IN_DELAY": "1.0"},
        stderr=subprocess.PIPE,
        text=True,
    )
    partial = tmp_path / "out" / ".second.partial"
    deadline = time.monotonic() + 60
    while not (partial.is_dir() and list(partial.iterdir())):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.4)  # in the middle of its frames
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert said.splitlines()[-1].endswith("No partial output was left behind.")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["first"]
    assert "overlay.mp4" in [path.name for path in (tmp_path / "out" / "first").iterdir()]


@pytest.mark.parametrize(
    ("arguments", "waiting"),
    [(["segment", "x.mp4"], "PASSIVE"), (["train", "r.yaml"], None), ([], "PASSIVE")],
)
@pytest.mark.parametrize("given", [{}, {"OMP_WAIT_POLICY": "ACTIVE"}], ids=["unset", "set by the user"])
def test_only_training_lets_torchs_threads_spin(given, arguments, waiting, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(given))
    cli._set_threads(arguments)
    assert os.environ.get("OMP_WAIT_POLICY") == given.get("OMP_WAIT_POLICY", waiting)
    assert os.environ.get("OPENBLAS_NUM_THREADS") == "1"

"""`save-avs serve` before it listens: invalid options, a taken port, a missing model, the help."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import save_avs
from save_avs.cli import main

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(save_avs.__file__).parents[1])}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAVE_AVS_TOKEN", raising=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_a_network_address_requires_a_token(host, capsys):
    assert main(["serve", "--host", host]) == 2
    assert f"--host {host} is reachable from the network; set --token" in capsys.readouterr().err
    assert main(["serve", "--host", host, "--token", "short"]) == 2
    assert "openssl rand -hex 24" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--queue", "0"], "Invalid limit queue=0: it must be above 0."),
        (["--max-duration", "-1"], "Invalid limit duration=-1: it must be above 0."),
        (["--port", "70000"], "--port"),
        (["--allow-url", "http://example.org/"], "Invalid host 'http://example.org/': expected NAME"),
        (["--allow-url", "example.org:eight"], "Invalid host"),
        (["--allow-url", ""], "Invalid host"),
    ],
)
def test_an_invalid_option_is_refused_in_one_line(arguments, message, capsys):
    assert main(["serve", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1


def test_a_file_as_data_folder_is_refused(capsys):
    Path("jobs.txt").touch()
    assert main(["serve", "--no-page", "--port", "0", "--data", "jobs.txt"]) == 2
    assert "is a file: choose a folder" in capsys.readouterr().err


def test_a_taken_port_is_reported(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--no-page", "--port", str(port)]) == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in capsys.readouterr().err


def test_a_missing_model_is_reported(tmp_path):
    command = [sys.executable, "-m", "save_avs", "serve", "--port", "0", "--no-page", "--model", "nowhere"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("save-avs: no model 'nowhere'") and len(done.stderr.splitlines()) == 1


def test_help_imports_none_of_the_heavy_packages():
    code = (
        "import sys; from save_avs.cli import main; code = main(['serve', '--help']);"
        "heavy = {'torch', 'fastapi', 'uvicorn', 'numpy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy or code else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "save-avs serve --no-page" in done.stdout and "SAVE_AVS_TOKEN" in done.stdout

"""docs/guides/service.md: its commands do what it says, and it leaves nothing out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from save_avs.cli import serve
from save_avs.serving.config import ServiceLimits
from tests.support.sample_videos import write_images, write_sound

TEXT = (Path(__file__).parents[2] / "docs" / "guides" / "service.md").read_text(encoding="utf-8")


def test_its_curl_examples_run(served, video, tmp_path):
    (script,) = re.findall(r"```sh\n(server=.*?)```", TEXT, re.DOTALL)
    assert "http://127.0.0.1:7860" in script
    shutil.copy(video, tmp_path / "clip.mp4")
    write_images(tmp_path, ["1.png", "2.png"])
    write_sound(tmp_path / "horn.wav", 1)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script.replace("http://127.0.0.1:7860", served.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    job = json.loads((tmp_path / "job.json").read_text())
    assert job["state"] == "done"
    assert (tmp_path / "overlay.mp4").read_bytes()[4:8] == b"ftyp"
    assert (tmp_path / "masks.zip").read_bytes().startswith(b"PK")
    assert (tmp_path / "mask.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((tmp_path / "frames.json").read_text())["times"]) == len(
        json.loads((tmp_path / "masks.json").read_text())["frames"]
    )
    assert served.client.get(f"/v1/jobs/{job['id']}").status_code == 404
    images = served.ended(re.findall('"id":"([0-9a-f]{32})"', done.stdout)[-1])
    assert (images["state"], images["frames"], images["name"]) == ("done", 2, "horn.wav")


def test_its_table_of_limits_is_true():
    limits = ServiceLimits()
    for option, value in (
        ("--max-size", f"{limits.size / 1e6:g} MB"),
        ("--max-duration", f"{limits.duration:g} s"),
        ("--max-side", f"{limits.side} pixels"),
        ("--max-time", f"{limits.time:g} s"),
        ("--queue", f"{limits.queue} jobs waiting"),
        ("--workers", f"{limits.workers} job at once"),
        ("--keep", f"{limits.keep / 3600:g} hours"),
        ("--lease", f"{limits.lease:g} s"),
    ):
        assert f"| `{option}` | {value} |" in TEXT


def test_the_command_has_the_same_defaults():
    given = serve.serve.__kwdefaults__ or dict(
        zip(serve.serve.__code__.co_varnames, serve.serve.__defaults__ or (), strict=False)
    )
    limits = ServiceLimits()
    assert given["max_size"] * 1e6 == limits.size and given["keep"] * 3600 == limits.keep
    assert (given["max_duration"], given["max_side"], given["max_time"]) == (
        limits.duration,
        limits.side,
        limits.time,
    )
    assert (given["queue"], given["workers"], given["lease"]) == (limits.queue, limits.workers, limits.lease)


def test_its_paths_are_the_service_s(served):
    paths = served.client.get("/openapi.json").json()["paths"]
    for path in paths:
        short = path.replace("/v1/jobs/{id}/frames/{index}", "/frames/{index}")
        assert short in TEXT, path

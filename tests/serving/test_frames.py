"""Images with their sound in place of a video: the masks of `segment`, the limits, and what is refused."""

from __future__ import annotations

import json
import resource
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from PIL import Image

from save_avs.cli import main
from tests.support.sample_videos import make_video, write_images, write_sound
from tests.support.service import Served, names


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A folder of 12 images, 10.png after 9.png, beside 3 seconds of sound."""
    root = tmp_path_factory.mktemp("clip")
    write_images(root / "frames", [f"{k}.png" for k in range(1, 13)])
    write_sound(root / "horn.wav", 3)
    return root


def parts(folder: Path, sound: Path | None) -> list[tuple[str, Any]]:
    found = [("frames", (path.name, path.read_bytes())) for path in sorted(folder.iterdir())]
    return found + ([("audio", (sound.name, sound.read_bytes()))] if sound else [])


def send(served: Served, folder: Path, sound: Path | None, **fields: str) -> httpx.Response:
    return served.client.post("/v1/segment", files=parts(folder, sound), data=fields)


def ended(served: Served, folder: Path, sound: Path, **fields: str) -> dict[str, Any]:
    answer = send(served, folder, sound, **fields)
    assert answer.status_code == 202, answer.text
    return served.ended(answer.json()["id"])


@pytest.mark.parametrize("fps", ["native", "2"])
def test_masks_are_those_of_the_command_on_the_same_folder(fps, served, tiny, clip, tmp_path):
    sound, options = clip / "horn.wav", ["--fps", fps, "--device", "cpu", "--precision", "fp32"]
    command = ["segment", clip / "frames", "--audio", sound, "--model", tiny, "--output", tmp_path, *options]
    assert main([str(word) for word in command]) == 0
    (folder,) = tmp_path.iterdir()
    expected = json.loads((folder / "masks.json").read_text())["frames"]
    job = ended(served, clip / "frames", sound, fps=fps)
    assert (job["state"], job["name"], job["frames"], job["url"]) == ("done", "horn.wav", 12, None)
    written = served.client.get(job["results"]["masks.json"]).json()
    assert written["frames"] == expected and len(expected) == (12 if fps == "native" else 6)
    assert any(frame["score"] > 0 for frame in expected)
    assert written["video"]["path"] == "frames"
    assert served.client.get(job["results"]["summary.json"]).json()["source"] == "horn.wav"
    assert served.client.get(job["results"]["overlay.mp4"]).content[4:8] == b"ftyp"
    (left,) = names(served.service.files.folder(job["id"]))
    assert left.startswith("result-")  # images and sound are gone


def test_warnings_do_not_show_where_the_images_are(served, clip, tmp_path):
    waveform, rate = soundfile.read(clip / "horn.wav")
    soundfile.write(tmp_path / "quiet.wav", waveform / 1000, rate)
    job = ended(served, clip / "frames", tmp_path / "quiet.wav", save="masks")
    (warning,) = job["warnings"]
    assert warning.startswith("frames: ") and str(served.service.files.root) not in warning


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        ("large", "frame_too_large", "frames/000011-9.png has 202 x 64 pixels"),
        ("text", "unreadable", "frames/000011-9.png: cannot be read as an image"),
        ("another size", "unreadable", "frames/000011-9.png: another size"),
        ("long", "too_long", "at least 21.0 s long"),
        ("no sound", "unreadable", "horn.wav: cannot be read as audio"),
        ("empty sound", "unreadable", "the file is empty"),
    ],
)
def test_unusable_files_fail_with_the_reason(damage, code, message, served, clip, tmp_path):
    folder, sound = tmp_path / "frames", tmp_path / "horn.wav"
    write_images(folder, [f"{k}.png" for k in range(1, 13)])
    write_sound(sound, 21 if damage == "long" else 3)
    match damage:
        case "large":
            Image.new("RGB", (202, 64)).save(folder / "9.png")
        case "another size":
            Image.new("RGB", (64, 96)).save(folder / "9.png")
        case "text":
            (folder / "9.png").write_text("no image")
        case "no sound":
            sound.write_text("no sound")
        case "empty sound":
            sound.write_bytes(b"")
    job = ended(served, folder, sound, save="masks")
    assert job["state"] == "failed" and job["error"]["code"] == code
    assert (
        message in job["error"]["message"] and str(served.service.files.root) not in job["error"]["message"]
    )


def test_an_image_that_declares_gigabytes_is_not_decoded(served, clip, tmp_path):
    """A PNG whose header alone says 40,000 x 1: refused from the header, whatever its data."""
    write_images(tmp_path / "frames", ["1.png"])
    png = (tmp_path / "frames" / "1.png").read_bytes()
    header = b"IHDR" + (40_000).to_bytes(4) + (1).to_bytes(4) + png[24:29]
    damaged = png[:12] + header + zlib.crc32(header).to_bytes(4) + png[33:]
    (tmp_path / "frames" / "1.png").write_bytes(damaged)
    job = ended(served, tmp_path / "frames", clip / "horn.wav")
    assert job["error"]["code"] == "frame_too_large" and "40000 x 1" in job["error"]["message"]


def test_other_combinations_of_parts_are_refused(served, clip, video):
    frames = parts(clip / "frames", None)
    sound = parts(clip / "frames", clip / "horn.wav")[-1:]
    file = [("file", ("clip.mp4", video.read_bytes()))]
    url = [("url", (None, "http://example.org/a.mp4"))]
    for sent in (frames, sound, file + sound, file + frames, file + frames + sound, url + frames + sound):
        answer = served.client.post("/v1/segment", files=sent)
        assert answer.status_code == 422, sent[0][0]
        assert "images in 'frames' with their sound in 'audio'" in answer.json()["error"]["message"]
    assert names(served.service.files.root / "tmp") == []


def test_images_and_sound_count_together_against_the_size_limit(served, clip, tmp_path):
    (tmp_path / "horn.wav").write_bytes(bytes(1_999_000))
    answer = send(served, clip / "frames", tmp_path / "horn.wav")
    assert answer.status_code == 413 and "limit of 2 MB" in answer.json()["error"]["message"]


@pytest.fixture
def few_handles():
    """At most 100 file handles more than now."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_handles")
def test_a_long_clip_of_images_needs_no_file_handle_per_image(served, clip):
    image = (clip / "frames" / "1.png").read_bytes()
    sent = [("frames", (f"{k}.png", image)) for k in range(400)]
    sound = parts(clip / "frames", clip / "horn.wav")[-1:]
    job = served.client.post("/v1/segment", files=sent + sound, data={"save": "masks", "fps": "1"}).json()
    assert served.ended(job["id"])["state"] == "done" and job["frames"] == 400
    times = np.array(served.client.get(f"/v1/jobs/{job['id']}/frames").json()["times"])
    assert np.allclose(np.diff(times), 1, atol=3 / 400)


def test_the_sound_may_be_that_of_a_video(served, clip, tmp_path):
    make_video(tmp_path / "horn.mp4", frames=30)
    job = ended(served, clip / "frames", tmp_path / "horn.mp4", save="masks")
    assert job["state"] == "done" and job["name"] == "horn.mp4"

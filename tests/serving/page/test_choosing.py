"""The form of the page: files, drops, recordings, several videos, and what is refused."""

from __future__ import annotations

import ast
import json
import subprocess

import pytest
from playwright.sync_api import expect

from tests.support.sample_videos import write_images, write_sound


def test_a_file_beyond_the_size_limit_is_not_uploaded(visitor):
    visitor.choose("large.mp4", b"x" * 3_100_000)
    expect(visitor.page.locator("#form-error")).to_contain_text("large.mp4: larger than 3 MB")
    visitor.submit()
    expect(visitor.page.locator("#form-error")).to_contain_text("Choose, drop or record a video")


def test_a_dropped_file_is_chosen(visitor, video):
    content = list(video.read_bytes())
    visitor.page.evaluate(
        """(content) => { const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([new Uint8Array(content)], "dropped.mp4", { type: "video/mp4" }));
        const options = { dataTransfer, bubbles: true, cancelable: true };
        document.body.dispatchEvent(new DragEvent("drop", options)); }""",
        content,
    )
    expect(visitor.page.locator("#chosen")).to_contain_text("dropped.mp4")


def test_a_recording_is_segmented(visitor):
    page = visitor.page
    page.get_by_role("button", name="Record").click()
    start = page.get_by_role("button", name="Start recording")
    expect(start).to_be_enabled()
    start.click()
    page.wait_for_timeout(1500)
    visitor.screenshot("record")
    page.get_by_role("button", name="Stop and use").click()
    expect(page.locator("#chosen")).to_contain_text("recording.")
    visitor.submit()
    visitor.heading("ound in recording.")


def test_a_job_is_cancelled(idle_visitor, video):
    visitor, _ = idle_visitor
    visitor.choose("clip.mp4", video.read_bytes())
    visitor.submit()
    visitor.heading("Starting: clip.mp4")
    visitor.page.get_by_role("button", name="Cancel").click()
    visitor.heading("Cancelled")


def test_several_videos_are_a_queue_with_states(idle_visitor, video):
    visitor, own = idle_visitor
    page, content = visitor.page, video.read_bytes()
    own.until(own.accepted(video), lambda job: job["state"] == "running")
    names = ["one.mp4", "two.mp4"]
    page.set_input_files("#file", [{"name": n, "mimeType": "video/mp4", "buffer": content} for n in names])
    expect(page.locator("#chosen")).to_contain_text("2 videos")
    visitor.submit()
    entries = page.locator("#queue li")
    expect(entries.nth(0)).to_have_text("one.mp4 waiting, next in line")
    expect(entries.nth(1)).to_contain_text("two.mp4 The server is busy")  # its queue has one place
    visitor.screenshot("queue")
    visitor.heading("one.mp4")
    id = entries.nth(0).locator("a").get_attribute("href").removeprefix("#")
    assert own.job(id)["name"] == "one.mp4"
    own.client.post(f"/v1/jobs/{id}/cancel")
    expect(entries.nth(0)).to_have_text("one.mp4 cancelled")


def test_images_and_a_sound_are_one_clip(visitor, site, tmp_path):
    page = visitor.page
    write_images(tmp_path / "frames", [f"{k} of it's.png" for k in range(1, 13)])
    write_sound(tmp_path / "it's a horn.wav", 3)
    page.set_input_files("#file", sorted((tmp_path / "frames").iterdir()))
    expect(page.locator("#chosen")).to_have_text("12 images: now choose their sound.")
    visitor.submit()
    expect(page.locator("#form-error")).to_contain_text("The images have no sound yet")
    visitor.screenshot("images-without-sound")
    page.set_input_files("#file", tmp_path / "it's a horn.wav")
    expect(page.locator("#chosen")).to_contain_text("12 images with it's a horn.wav, 0.1 MB")
    visitor.submit()
    visitor.heading("ound in it's a horn.wav")
    visitor.loaded()
    assert "of 12 frames marked" in page.locator("#view .facts").inner_text()
    job = site.job(visitor.job())
    assert job["frames"] == 12

    page.get_by_text("Repeat this from a program").click()
    expect(page.get_by_text("a folder called frames, their sound beside it")).to_be_visible()
    visitor.screenshot("images-result")
    for shell in ("sh", "bash"):
        command = [shell, "-ec", page.locator(".repeat pre").inner_text()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        again = site.ended(json.loads(done.stdout)["id"])
        assert {key: again[key] for key in ("name", "frames", "options", "state")} == {
            key: job[key] for key in ("name", "frames", "options", "state")
        }
        first, second = (site.client.get(each["results"]["masks.json"]).json() for each in (job, again))
        assert first["frames"] == second["frames"]
    page.get_by_role("button", name="Copy as Python").click()
    tree = ast.parse(page.locator(".repeat pre").inner_text())
    (call,) = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.keywords]
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert ast.literal_eval(call.args[0]) == "frames" and given["audio"] == "it's a horn.wav"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.mp4", "a.wav"], "Choose videos, or images with one sound, not both."),
        (["a.mp4", "1.png"], "Choose videos, or images with one sound, not both."),
        (["1.png", "a.wav", "b.wav"], "Choose one sound for the images, not several."),
    ],
)
def test_a_wrong_mixture_of_files_is_explained(files, message, idle_visitor, tmp_path):
    visitor, _ = idle_visitor
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    visitor.page.set_input_files("#file", [tmp_path / name for name in files])
    expect(visitor.page.locator("#form-error")).to_have_text(message)
    visitor.submit()
    expect(visitor.page.locator("#form-error")).to_contain_text("first, or use the sample")

"""The page from a video to its result: upload, progress, player, timeline, downloads, deletion."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest
from faster_coco_eval import COCO
from playwright.sync_api import expect

from save_avs.serving.api import RESULT_FILES
from tests.support.page_visitor import Visitor
from tests.support.sample_videos import make_video


def test_from_the_sample_to_the_downloads(visitor, site, tmp_path):
    page = visitor.page
    visitor.screenshot("start")
    page.get_by_role("button", name="Use the sample").click()
    page.wait_for_selector("#preview", state="visible")
    visitor.submit()
    visitor.heading("Finding sounding objects: sample.mp4")
    visitor.until("document.querySelector('#view progress')?.value > 0.2")
    assert "%" in page.locator("#view progress").get_attribute("aria-valuetext")
    visitor.screenshot("running")
    visitor.heading("Found in sample.mp4")
    visitor.loaded()
    visitor.screenshot("result")

    before = visitor.state()
    assert before["error"] is None and before["width"] == 640
    assert 0 < before["time"] < 1 and "marked, score" in before["caption"]

    # A button per sounding segment plays it, with sound; slider, mask and playhead follow.
    page.get_by_role("button", name="0.52 s to").click()
    visitor.until("document.querySelector('.stage video').currentTime > 1.2")
    playing = visitor.state()
    assert playing["sound"] > 0 and not playing["paused"]
    assert playing["caption"] != before["caption"] and playing["playhead"] != before["playhead"]
    page.evaluate("document.querySelector('.stage video').pause()")

    download = visitor.download(page.get_by_role("link", name="COCO").click)
    assert download.suggested_filename == "sample-masks.coco.json"
    links = page.locator(".files a").all()
    files = {
        link.get_attribute("download"): site.client.get(link.get_attribute("href")).content for link in links
    }
    assert Path(download.path()).read_bytes() == files["sample-masks.coco.json"]
    assert set(files) == {f"sample-{name}" for name in RESULT_FILES if name not in ("matte.mov", "mask.png")}
    assert files["sample-overlay.mp4"][4:8] == b"ftyp" and files["sample-timeline.png"].startswith(b"\x89PNG")
    assert len(json.loads(files["sample-masks.json"])["frames"]) == 200
    path = tmp_path / "coco.json"
    path.write_bytes(files["sample-masks.coco.json"])
    coco = COCO(str(path))
    assert len(coco.imgs) == 200 and coco.cats
    masks = np.load(io.BytesIO(files["sample-masks.npz"]))["masks"]
    assert masks.shape == (200, 360, 640)
    first = next(iter(coco.anns.values()))
    assert np.array_equal(coco.annToMask(first) > 0, masks[sorted(coco.imgs).index(first["image_id"])])
    assert ElementTree.fromstring(files["sample-masks.cvat.xml"]).tag == "annotations"
    assert all(task["predictions"] for task in json.loads(files["sample-masks.labelstudio.json"]))
    assert len(zipfile.ZipFile(io.BytesIO(files["sample-masks.zip"])).namelist()) == 200


def test_timeline_and_slider_show_the_same_moment(visitor, sample_job):
    page = visitor.page
    page.goto(f"{visitor.url}/#{sample_job}")
    visitor.heading("Found in sample.mp4")
    visitor.loaded()
    timeline = page.locator(".timeline")
    assert "marked: 0.52 s to" in timeline.get_attribute("aria-label")
    box = timeline.bounding_box()
    timeline.click(position={"x": box["width"] / 2, "y": 60})
    visitor.until("Math.abs(document.querySelector('.stage video').currentTime - 4) < 0.05")
    slider = page.get_by_label("Frame", exact=True)
    slider.fill("75")
    visitor.until("document.querySelector('.stage img').src.endsWith('/frames/75.png')")
    assert visitor.state()["caption"].startswith("76 of 200 · 3.00 s")
    assert visitor.state()["value"].startswith("76 of 200, 3.00 s")
    assert visitor.state()["time"] == pytest.approx(3.0, abs=0.02)
    slider.press("ArrowRight")
    visitor.until("document.querySelector('.stage img').src.endsWith('/frames/76.png')")


def test_a_matte_is_made_on_request(visitor, site, video):
    visitor.choose("clip.mp4", video.read_bytes())
    visitor.page.get_by_text("Options").click()
    visitor.page.get_by_label("Matte video").check()
    visitor.page.get_by_label("Frames per second").select_option("5")
    visitor.submit()
    expect(visitor.page.get_by_role("link", name="Matte video")).to_be_visible(timeout=60_000)
    matte = site.client.get(f"/v1/jobs/{visitor.job()}/result/matte.mov").raise_for_status()
    with av.open(io.BytesIO(matte.content)) as container:
        assert container.streams.video[0].codec_context.name.startswith("prores")
        assert "a" in container.streams.video[0].pix_fmt  # alpha
    assert "of 20 frames" in visitor.page.locator("#view .facts").inner_text()


def test_a_video_without_sound_has_a_warning(visitor, mute_video):
    visitor.choose("mute.mp4", mute_video.read_bytes())
    visitor.submit()
    visitor.heading("No sounding object found in mute.mp4")
    expect(visitor.page.locator(".warnings")).to_contain_text("has no sound: nothing in it can be marked")
    visitor.screenshot("no-sound")


def test_two_visitors_at_once_get_their_own_results(browser, site, tmp_path):
    visitors = [Visitor(browser, site.url) for _ in range(2)]
    for number, visitor in enumerate(visitors):
        clip = make_video(tmp_path / "c.mp4", frames=20 + number)
        visitor.choose(f"clip-{number}.mp4", clip.read_bytes())
    for visitor in visitors:
        visitor.submit()
    for number, visitor in enumerate(visitors):
        visitor.heading(f"ound in clip-{number}.mp4")
        assert f"of {20 + number} frames" in visitor.page.locator("#view .facts").inner_text()
    assert visitors[0].job() != visitors[1].job()
    for visitor in visitors:
        visitor.close()


def test_a_result_is_deleted_after_one_confirmation(visitor, site, video):
    id = site.ended(site.accepted(video))["id"]
    page = visitor.page
    page.goto(f"{visitor.url}/#{id}")
    page.reload()  # a job link survives
    visitor.heading("clip.mp4")
    page.locator(".keep").get_by_role("button", name="Delete").click()
    visitor.screenshot("delete")
    page.get_by_role("button", name="Keep", exact=True).click()
    assert site.client.get(f"/v1/jobs/{id}").status_code == 200
    page.locator(".keep").get_by_role("button", name="Delete").click()
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    visitor.heading("Deleted")
    assert site.client.get(f"/v1/jobs/{id}").status_code == 404
    assert page.url.endswith("/")  # it no longer names the job


def test_options_become_the_jobs_and_are_repeated_by_curl_and_python(visitor, site, video, tmp_path):
    page = visitor.page
    visitor.choose("it's.mp4", video.read_bytes())
    page.get_by_text("Options").click()
    page.get_by_label("Objects").select_option("track")
    page.get_by_label("Smoothing").select_option("0.3")
    page.get_by_label("Frames per second").select_option("5")
    visitor.submit()
    visitor.heading("ound in it's.mp4")
    options = site.job(visitor.job())["options"]
    assert (options["track"], options["smooth"], options["fps"]) == (True, 0.3, 5)

    page.get_by_text("Repeat this from a program").click()
    (tmp_path / "it's.mp4").write_bytes(video.read_bytes())
    curl = page.locator(".repeat pre").inner_text()
    done = subprocess.run(["bash", "-c", curl], cwd=tmp_path, capture_output=True, text=True, check=True)
    again = json.loads(done.stdout)
    assert again["name"] == "it's.mp4" and again["options"] == options
    page.get_by_role("button", name="Copy as Python").click()
    code = page.locator(".repeat pre").inner_text()
    (call,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and node.keywords]
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert ast.literal_eval(call.args[0]) == "it's.mp4" and given.pop("directory") == "results"
    assert given == {
        **{name: options[name] for name in ("model", "threshold", "fps", "smooth", "track")},
        "outputs": tuple(options["save"]),
    }
    page.get_by_text(re.compile(r"^(Copied\.|Selected: )")).wait_for()
    assert page.evaluate("getSelection().toString()") == code or page.get_by_text("Copied.").is_visible()
    visitor.screenshot("repeat")

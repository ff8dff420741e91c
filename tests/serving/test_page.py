"""The page in a real browser: upload, watch, play, look, download, fail, and two people at once.

Pictures of it are kept in ``runs/page/`` to be looked at.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from tests.support.sample_videos import make_video
from tests.support.service import Served, idling, serving

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium")
PICTURES = Path(__file__).parents[2] / "runs" / "page"
SAMPLE = Path(str(resources.files("save_avs"))) / "bundled" / "sample.mp4"
FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
FLAGS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("site")
    with serving(root, "save-tiny", page=True, duration=20, size=3_000_000) as served:
        yield served


@pytest.fixture(scope="module")
def browser():
    PICTURES.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """Someone at the page, and what went on between it and the world."""

    def __init__(self, browser, url: str) -> None:
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 1080}, permissions=["camera", "microphone"]
        )
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_selector("#find")
        self.url = url

    def drop(self, *, name: str, content: bytes) -> None:
        self.page.set_input_files(
            "input[type=file]", {"name": name, "mimeType": "video/mp4", "buffer": content}
        )
        self.page.wait_for_selector("video", state="visible")

    def find(self) -> None:
        self.page.click("#find")

    def heading(self, text: str) -> None:
        shown = self.page.locator("save-avs-job")
        try:
            playwright.expect(shown.locator("h2")).to_contain_text(text, timeout=60_000)
        except AssertionError as error:
            raise AssertionError(shown.inner_text()) from error

    def job(self) -> str:
        return self.page.locator("save-avs-job").get_attribute("job")

    def picture(self, name: str) -> None:
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    def state(self) -> dict:
        return self.page.evaluate(
            """() => { const job = document.querySelector("save-avs-job"), video = job.querySelector("video");
            return { time: video.currentTime, paused: video.paused, sound: video.webkitAudioDecodedByteCount,
            error: video.error?.message ?? null, width: video.videoWidth,
            caption: job.querySelector(".scrub").innerText,
            playhead: job.querySelector(".playhead").style.left } }"""
        )

    def leave(self) -> None:
        foreign = [url for url in self.asked if not url.startswith((self.url, "data:", "blob:"))]
        assert foreign == [] and self.errors == []
        self.context.close()


@pytest.fixture
def visitor(browser, site) -> Iterator[Visitor]:
    visitor = Visitor(browser, site.url)
    yield visitor
    visitor.leave()


def test_from_the_sample_to_the_files(visitor, site, tmp_path):
    page = visitor.page
    visitor.picture("1-empty")
    page.get_by_role("button", name="Take the sample").click()
    page.wait_for_selector("video", state="visible")
    visitor.find()
    visitor.heading("Finding what sounds")
    page.wait_for_function("document.querySelector('save-avs-job progress')?.value > 0.2")
    visitor.picture("2-running")
    visitor.heading("Found in sample.mp4")
    page.wait_for_function("document.querySelector('save-avs-job video').readyState >= 2")
    page.wait_for_function("document.querySelector('.stage img').naturalWidth > 0")
    page.wait_for_timeout(300)
    visitor.picture("3-result")

    seen = visitor.state()
    assert seen["error"] is None and seen["width"] == 640
    assert 0 < seen["time"] < 1 and "marked, score" in seen["caption"]

    # It plays, with sound; slider, mask and playhead go along.
    page.get_by_role("button", name="0.52 s to").click()
    page.wait_for_function("document.querySelector('save-avs-job video').currentTime > 1.2")
    playing = visitor.state()
    assert playing["sound"] > 0 and not playing["paused"]
    assert playing["caption"] != seen["caption"] and playing["playhead"] != seen["playhead"]

    # The timeline goes where it is clicked: half of its axis is half of the video.
    page.evaluate("document.querySelector('save-avs-job video').pause()")
    timeline = page.locator(".timeline")
    box = timeline.bounding_box()
    middle = box["width"] * (0.9 / 12 + 1 - 0.2 / 12) / 2  # of the axis, as timeline.png is drawn
    timeline.click(position={"x": middle, "y": 60})
    page.wait_for_function("Math.abs(document.querySelector('save-avs-job video').currentTime - 4) < 0.05")

    # The mask of any frame.
    slider = page.get_by_label("Frame", exact=True)
    slider.fill("75")
    page.wait_for_function("document.querySelector('.stage img').src.endsWith('/frames/75.png')")
    assert visitor.state()["caption"].startswith("Frame 76 of 200 · 3.00 s")
    assert visitor.state()["time"] == pytest.approx(3.0, abs=0.02)
    slider.press("ArrowRight")
    page.wait_for_function("document.querySelector('.stage img').src.endsWith('/frames/76.png')")

    # The files, as they are saved.
    files = {}
    for label in ("Overlay video", "Masks (COCO JSON)", "Masks (PNG, zip)", "Timeline", "Summary"):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=label, exact=True).click()
        files[waiting.value.suggested_filename] = Path(waiting.value.path()).read_bytes()
    assert set(files) == {
        f"sample-{name}"
        for name in ("overlay.mp4", "masks.json", "masks.zip", "timeline.png", "summary.json")
    }
    assert files["sample-overlay.mp4"][4:8] == b"ftyp" and files["sample-timeline.png"].startswith(b"\x89PNG")
    assert len(json.loads(files["sample-masks.json"])["frames"]) == 200
    assert len(zipfile.ZipFile(io.BytesIO(files["sample-masks.zip"])).namelist()) == 200

    # A page loaded anew shows its job again; deleted, it is gone.
    id = visitor.job()
    page.reload()
    visitor.heading("Found in sample.mp4")
    page.get_by_role("button", name="Delete now").click()
    visitor.heading("Deleted")
    assert site.client.get(f"/v1/jobs/{id}").status_code == 404
    assert page.url.endswith("/")  # it no longer names what is gone


def test_two_people_at_once(browser, site, tmp_path):
    visitors = [Visitor(browser, site.url) for _ in range(2)]
    for number, visitor in enumerate(visitors):
        visitor.drop(
            name=f"clip-{number}.mp4", content=make_video(tmp_path / "c.mp4", frames=20 + number).read_bytes()
        )
    for visitor in visitors:
        visitor.find()
    for number, visitor in enumerate(visitors):
        visitor.heading(f"in clip-{number}.mp4")
        assert f"of {20 + number} frames" in visitor.page.locator("save-avs-job").inner_text()
    assert visitors[0].job() != visitors[1].job()
    for visitor in visitors:
        visitor.leave()


def test_a_video_without_sound_is_said_to_have_none(visitor, mute_video):
    visitor.drop(name="mute.mp4", content=mute_video.read_bytes())
    visitor.find()
    visitor.heading("Nothing that sounds was found in mute.mp4")
    playwright.expect(visitor.page.locator(".warning")).to_contain_text(
        "has no sound: nothing in it can be marked"
    )
    visitor.picture("4-no-sound")


def test_a_video_that_is_too_long_is_said_to_be(visitor, tmp_path):
    visitor.drop(name="long.mp4", content=make_video(tmp_path / "long.mp4", frames=50, fps=2).read_bytes())
    visitor.find()
    visitor.heading("This video could not be done")
    assert "this server takes up to 20 s. Cut it" in visitor.page.locator("save-avs-job").inner_text()
    visitor.picture("5-too-long")


def test_a_video_that_is_too_large_is_not_taken(visitor):
    visitor.page.set_input_files(
        "input[type=file]", {"name": "large.mp4", "mimeType": "video/mp4", "buffer": b"x" * 3_100_000}
    )
    visitor.page.wait_for_selector("text=/exceeds|too large|maximum/i")
    visitor.page.wait_for_timeout(500)  # it fades in
    visitor.picture("6-too-large")


def test_nothing_dropped_is_said(visitor):
    visitor.find()
    visitor.page.wait_for_selector("text=Drop a video first")


def test_the_page_hands_out_no_job_by_its_path(site, mute_video):
    job = site.ended(site.accepted(mute_video))
    folder = site.service.store.root / "jobs" / job["id"]
    uploads = site.service.store.uploads
    for path in (
        folder / "job.json",
        folder / "result" / "overlay.mp4",
        uploads / ".." / "jobs" / job["id"] / "job.json",
    ):
        assert site.client.get(f"/gradio_api/file={path}").status_code in (403, 404)
    assert site.client.get("/gradio_api/info").json()["named_endpoints"] == {}


def test_a_job_can_be_cancelled(visitor):
    content = SAMPLE.read_bytes()
    visitor.drop(name="sample.mp4", content=content)
    visitor.find()
    visitor.page.get_by_role("button", name="Cancel").click()
    visitor.heading("Cancelled")


def test_a_video_can_be_recorded(visitor):
    page = visitor.page
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("[...document.querySelectorAll('video')].some(video => video.currentTime > 0.3)")
    record = page.get_by_label("start recording")
    record.click()
    page.wait_for_timeout(2500)
    playwright.expect(record).to_contain_text("Stop")
    record.click()
    page.wait_for_selector("video[src]", state="visible")
    visitor.find()
    visitor.heading("in sample")


def test_with_a_token_the_page_asks_for_it_once(browser, video, tmp_path):
    with idling(tmp_path, page=True, token="correct-horse-battery") as own:
        page = browser.new_context().new_page()
        page.goto(own.url)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        page.wait_for_selector("text=That was not the token.")
        page.screenshot(path=PICTURES / "7-token.png")
        page.get_by_label("Token").fill("correct-horse-battery")
        page.get_by_role("button", name="Open").click()
        page.set_input_files("input[type=file]", str(video))
        page.wait_for_selector("video", state="visible")
        page.click("#find")
        page.wait_for_selector("text=Starting: clip.mp4")

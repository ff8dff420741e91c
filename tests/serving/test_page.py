"""The page in Chromium: upload, progress, result, downloads, errors, keyboard, narrow and dark screens.

Screenshots are kept in ``runs/page/``.
"""

from __future__ import annotations

import ast
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from save_avs._extras import models_folder
from save_avs.serving.api import RESULT_FILES
from tests.support.page_visitor import SCREENSHOTS, Visitor
from tests.support.sample_videos import make_video
from tests.support.service import Served, idle_service, serving

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium")
SAMPLE = models_folder() / "sample.mp4"
FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
FLAGS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
TOKEN = "correct-horse-battery"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt install chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("site")
    with serving(root, "save-tiny", page=True, duration=20, size=3_000_000) as served:
        yield served


@pytest.fixture(scope="module")
def browser():
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser, site) -> Iterator[Visitor]:
    visitor = Visitor(browser, site.url)
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def sample_job(site) -> str:
    """A job of the sample with every file but the matte."""
    save = "overlay,masks,timeline,png,coco,npz,cvat,labelstudio"
    return site.ended(site.accepted(SAMPLE, name="sample.mp4", save=save))["id"]


def test_from_the_sample_to_the_downloads(visitor, site):
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

    files = {}
    for link in page.locator(".files a").all():
        with page.expect_download() as download:
            link.click()
        files[download.value.suggested_filename] = Path(download.value.path()).read_bytes()
    assert set(files) == {f"sample-{name}" for name in RESULT_FILES if name != "matte.mov"}
    assert files["sample-overlay.mp4"][4:8] == b"ftyp" and files["sample-timeline.png"].startswith(b"\x89PNG")
    assert len(json.loads(files["sample-masks.json"])["frames"]) == 200
    assert json.loads(files["sample-masks.coco.json"])["categories"]
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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_a_linked_result_fits_the_screen(browser, site, sample_job, width, dark):
    visitor = Visitor(browser, f"{site.url}/#{sample_job}", width=width, dark=dark)
    visitor.heading("Found in sample.mp4")
    visitor.loaded()
    visitor.page.wait_for_timeout(200)
    visitor.screenshot(f"result-{width}-{'dark' if dark else 'light'}")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
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


@pytest.mark.parametrize("fragment", ["0" * 32, "no-id", "%2e%2e"])
def test_a_link_to_a_missing_job_is_explained(visitor, fragment):
    visitor.page.goto(f"{visitor.url}/#{fragment}")
    visitor.heading("This job is no longer here")


def test_keyboard_alone_is_enough(visitor, video):
    page = visitor.page
    visitor.choose("clip.mp4", video.read_bytes())  # the dialog of the system is not the page's

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText"
            )
            if (focused or "").startswith(name):
                return
        raise AssertionError(f"{name} is not reached by the Tab key")

    tab_to("Options")
    page.keyboard.press("Enter")
    tab_to("Threshold")
    page.keyboard.press("ArrowRight")
    assert page.locator("#threshold").get_attribute("aria-valuetext") == "0.55"
    tab_to("Find sounding objects")
    page.keyboard.press("Enter")
    visitor.heading("clip.mp4")
    playwright.expect(page.locator(".keep")).to_be_visible(timeout=60_000)
    assert page.evaluate("document.activeElement.matches('#view h2')")  # the focus goes to the result
    tab_to("Frame")
    page.keyboard.press("ArrowRight")
    assert visitor.state()["value"].startswith("2 of ")
    tab_to("Delete")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.innerText") == "Keep"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    visitor.heading("Deleted")


def test_every_control_has_a_name(visitor, sample_job):
    page = visitor.page
    page.goto(f"{visitor.url}/#{sample_job}")
    visitor.heading("Found in sample.mp4")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, progress, img")].filter((control) =>
        !control.labels?.length && !control.ariaLabel && !control.textContent.trim()
        && !control.alt).map((control) => control.outerHTML)"""
    )
    assert nameless == []


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


def test_a_video_without_sound_has_a_warning(visitor, mute_video):
    visitor.choose("mute.mp4", mute_video.read_bytes())
    visitor.submit()
    visitor.heading("No sounding object found in mute.mp4")
    playwright.expect(visitor.page.locator(".warnings")).to_contain_text(
        "has no sound: nothing in it can be marked"
    )
    visitor.screenshot("no-sound")


def test_a_video_that_is_too_long_is_refused_in_plain_words(visitor, tmp_path):
    visitor.choose("long.mp4", make_video(tmp_path / "long.mp4", frames=50, fps=2).read_bytes())
    visitor.submit()
    visitor.heading("This video is too long")
    assert "limit of 20 s: cut it into parts" in visitor.page.locator("#view").inner_text()
    visitor.screenshot("error")


def test_a_file_that_is_no_video_is_refused_in_plain_words(visitor):
    visitor.choose("text.mp4", b"no video")
    playwright.expect(visitor.page.locator("#chosen")).to_contain_text("this browser cannot play it")
    visitor.submit()
    visitor.heading("This file cannot be read as a video")


def test_a_file_beyond_the_size_limit_is_not_uploaded(visitor):
    visitor.choose("large.mp4", b"x" * 3_100_000)
    playwright.expect(visitor.page.locator("#form-error")).to_contain_text("large.mp4 is larger than 3 MB")
    visitor.submit()
    playwright.expect(visitor.page.locator("#form-error")).to_contain_text("Choose, drop or record a video")


def test_a_dropped_file_is_chosen(visitor, video):
    content = list(video.read_bytes())
    visitor.page.evaluate(
        """(content) => { const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([new Uint8Array(content)], "dropped.mp4", { type: "video/mp4" }));
        const options = { dataTransfer, bubbles: true, cancelable: true };
        document.body.dispatchEvent(new DragEvent("drop", options)); }""",
        content,
    )
    playwright.expect(visitor.page.locator("#chosen")).to_contain_text("dropped.mp4")


def test_a_recording_is_segmented(visitor):
    page = visitor.page
    page.get_by_role("button", name="Record").click()
    start = page.get_by_role("button", name="Start recording")
    playwright.expect(start).to_be_enabled()
    start.click()
    page.wait_for_timeout(1500)
    visitor.screenshot("record")
    page.get_by_role("button", name="Stop and use").click()
    playwright.expect(page.locator("#chosen")).to_contain_text("recording.")
    visitor.submit()
    visitor.heading("ound in recording.")


def test_a_matte_is_made_on_request(visitor, video):
    visitor.choose("clip.mp4", video.read_bytes())
    visitor.page.get_by_text("Options").click()
    visitor.page.get_by_label("Matte video").check()
    visitor.page.get_by_label("Frames per second").select_option("5")
    visitor.submit()
    playwright.expect(visitor.page.get_by_role("link", name="Matte video")).to_be_visible(timeout=60_000)
    assert "of 20 frames" in visitor.page.locator("#view .facts").inner_text()


@pytest.fixture
def idle_visitor(browser, tmp_path) -> Iterator[tuple[Visitor, Served]]:
    with idle_service(tmp_path, page=True, queue=1) as own:
        visitor = Visitor(browser, own.url)
        yield visitor, own
        visitor.close()


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
    playwright.expect(page.locator("#chosen")).to_contain_text("2 videos")
    visitor.submit()
    entries = page.locator("#queue li")
    playwright.expect(entries.nth(0)).to_have_text("one.mp4 waiting, next in line")
    playwright.expect(entries.nth(1)).to_contain_text("two.mp4 The server is busy")  # its queue has one place
    visitor.screenshot("queue")
    visitor.heading("one.mp4")
    id = entries.nth(0).locator("a").get_attribute("href").removeprefix("#")
    assert own.job(id)["name"] == "one.mp4"
    own.client.post(f"/v1/jobs/{id}/cancel")
    playwright.expect(entries.nth(0)).to_have_text("one.mp4 cancelled")


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
    assert page.evaluate("getSelection().toString()") == code or page.get_by_text("Copied.").is_visible()
    visitor.screenshot("repeat")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_start_shows_an_example_and_fits_the_screen(browser, tmp_path, width, dark):
    with idle_service(tmp_path, page=True) as own:
        visitor = Visitor(browser, own.url, width=width, dark=dark)
        visitor.until("document.querySelector('.start img').naturalWidth === 880")
        visitor.screenshot(f"start-{width}-{'dark' if dark else 'light'}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        visitor.close()


def test_a_full_queue_is_explained(idle_visitor, video):
    visitor, own = idle_visitor
    own.until(own.accepted(video), lambda job: job["state"] == "running")
    own.accepted(video)
    visitor.choose("clip.mp4", video.read_bytes())
    visitor.submit()
    visitor.heading("The server is busy")
    assert "try again in" in visitor.page.locator("#view").inner_text()


def test_with_a_token_the_page_requires_a_login_once(browser, video, tmp_path):
    with idle_service(tmp_path, page=True, token=TOKEN) as own:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        own.client.headers.update(headers)
        id = own.accepted(video)
        visitor = Visitor(browser, f"{own.url}/#{id}")
        page = visitor.page
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("text=Wrong token")
        visitor.screenshot("login")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        visitor.heading("Starting: clip.mp4")  # the link to the job has survived the login
        visitor.context.clear_cookies()
        visitor.heading("You are logged out")
        visitor.close()

"""The threshold slider of a result: masks drawn at once, by no new job, as the server would make them."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from playwright.sync_api import expect

from tests.support.page_visitor import Visitor
from tests.support.service import Served

# The pixels as text: playwright checks each number of a list by itself, which takes seconds.
CANVAS = """(selector) => { const canvas = document.querySelector(selector);
const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
let text = "";
for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
return [canvas.hidden, canvas.width, canvas.height, btoa(text)] }"""


def canvas(visitor: Visitor, selector: str) -> np.ndarray:
    """The pixels of a visible canvas, RGBA u8 [H,W,4]."""
    hidden, width, height, data = visitor.page.evaluate(CANVAS, selector)
    assert not hidden
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)


def upscaled(site: Served, id: str, frame: int, size: tuple[int, int], *, pad: bool) -> np.ndarray:
    """The logits that the server has of a frame, at its size, f32 [H,W]."""
    png = site.client.get(f"/v1/jobs/{id}/frames/{frame}/logits.png").raise_for_status().content
    levels = torch.from_numpy(np.asarray(Image.open(io.BytesIO(png))).astype(np.float32))[None, None]
    full = (max(size), max(size)) if pad else size
    logits = F.interpolate((levels - 128) / 8, size=full, mode="bilinear", align_corners=False)[0, 0]
    return logits[: size[0], : size[1]].numpy()


def move_to(visitor: Visitor, threshold: float) -> None:
    visitor.page.locator("#cut").fill(str(threshold))
    visitor.until("!document.querySelector('.overlay canvas').hidden")
    visitor.until("document.querySelector('.stage video').currentSrc.endsWith('video.mp4')")
    visitor.until("document.querySelector('.stage video').readyState >= 2")
    visitor.until("!document.querySelector('.stage video').seeking")
    visitor.page.wait_for_timeout(100)


def test_another_threshold_is_drawn_at_once_without_a_job(visitor, site, sample_job):
    page = visitor.page
    page.goto(f"{visitor.url}/#{sample_job}")
    visitor.heading("Found in sample.mp4")
    visitor.loaded()
    page.get_by_label("Frame", exact=True).fill("100")
    visitor.until("document.querySelector('.stage img').src.endsWith('/frames/100.png')")
    before = visitor.state()
    move_to(visitor, 0.8)
    visitor.screenshot("threshold")
    after = visitor.state()
    assert after["error"] is None and after["time"] == pytest.approx(before["time"], abs=0.05)

    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    logits = upscaled(site, sample_job, 100, (360, 640), pad=False)
    for threshold in (0.2, 0.9, 0.65):
        page.locator("#cut").fill(str(threshold))
        expected = logits > math.log(threshold / (1 - threshold))
        expect(page.locator(".scrub .caption")).to_contain_text(f"{100 * expected.mean():.1f} % marked")
        drawn, over = canvas(visitor, ".mask canvas"), canvas(visitor, ".overlay canvas")
        assert (drawn[..., 0] > 0).sum() > 1000
        assert ((drawn[..., 0] > 0) != expected).mean() < 1e-4
        assert np.array_equal(over[..., 3] > 0, drawn[..., 0] > 0)
    assert requests == []  # all of it is computed in the page

    # The texts, the commands and a new job follow; the reset shows the server's own mask again.
    expect(page.locator(".held")).to_contain_text("You see the masks at 0.65; the files hold those at 0.50.")
    page.get_by_text("Repeat this from a program").click()
    expect(page.locator(".repeat pre")).to_contain_text("threshold=0.65")
    page.get_by_role("button", name="Segment again at 0.65").click()
    expect(page.locator("#form-error")).to_contain_text("choose it again to segment it at 0.65")
    assert page.locator("#threshold").input_value() == "0.65"
    visitor.screenshot("choose-again")
    page.get_by_role("button", name="Reset").click()
    visitor.until("document.querySelector('.stage video').currentSrc.endsWith('overlay.mp4')")
    visitor.until("document.querySelector('.overlay canvas').hidden")
    expect(page.locator(".stage img")).to_be_visible()
    expect(page.locator(".repeat pre")).to_contain_text("threshold=0.5'")


def test_a_padded_model_is_drawn_in_place_and_segmented_again(visitor, site):
    page = visitor.page
    page.get_by_label("Model", exact=True).select_option("padded")
    expect(page.locator("#model-about")).to_have_text("Knows nothing: real recordings are beyond it.")
    page.get_by_text("The 60 sounds it was taught").click()
    expect(page.locator("#model-sounds")).to_contain_text("rooster")
    visitor.screenshot("two-models")
    page.get_by_text("Options").click()
    page.get_by_label("Frames per second").select_option("2")
    page.get_by_role("button", name="Use the sample").click()
    page.wait_for_selector("#preview", state="visible")
    visitor.submit()
    visitor.heading("ound in sample.mp4")
    first = visitor.job()
    page.get_by_label("Frame", exact=True).fill("8")
    move_to(visitor, 0.3)
    logits = upscaled(site, first, 8, (360, 640), pad=True)
    expected = logits > math.log(0.3 / 0.7)
    drawn = canvas(visitor, ".mask canvas")[..., 0] > 0
    assert 0.01 < expected.mean() < 0.9
    assert (drawn != expected).mean() < 1e-4
    page.get_by_role("button", name="Segment again at 0.30").click()
    visitor.until(f"location.hash.length > 1 && location.hash !== '#{first}'")
    visitor.heading("ound in sample.mp4")
    options = site.job(visitor.job())["options"]
    assert options == {**site.job(first)["options"], "threshold": 0.3}


def test_the_masks_follow_the_playing_video(visitor, sample_job):
    page = visitor.page
    page.goto(f"{visitor.url}/#{sample_job}")
    visitor.heading("Found in sample.mp4")
    visitor.loaded()
    page.get_by_role("button", name="0.52 s to").click()
    move_to(visitor, 0.8)  # while it plays, which continues with the other video
    visitor.until("document.querySelector('.stage video').currentTime > 3.2")
    assert not visitor.state()["paused"]
    page.evaluate("document.querySelector('.stage video').pause()")
    visitor.until(
        "Math.abs(document.querySelector('#frame').value"
        " - 25 * document.querySelector('.stage video').currentTime) < 1.5"
    )
    assert canvas(visitor, ".mask canvas")[..., 0].any()


def test_a_job_without_logits_has_no_slider(visitor, site, video):
    visitor.page.goto(f"{visitor.url}/#{site.ended(site.accepted(video))['id']}")
    visitor.heading("ound in clip.mp4")
    assert visitor.page.locator("#cut").count() == 0
    expect(visitor.page.locator(".held")).to_be_hidden()

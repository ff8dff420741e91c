"""One object in an image: shown by a click, a box, or the keyboard."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.page_visitor import Visitor
from tests.support.service import Served, serving


@pytest.fixture(scope="module")
def prompted(tiny, tmp_path_factory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("prompted"), tiny, page=True, prompt_model=tiny) as served:
        yield served


@pytest.fixture
def photo() -> dict:
    pixels = np.random.default_rng(3).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).resize((900, 600)).save(content, "png")
    return {"name": "photo.png", "mimeType": "image/png", "buffer": content.getvalue()}


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)], ids=["wide", "phone"])
def test_a_click_or_a_box_gives_a_mask(prompted, browser, photo, width, dark):
    visitor = Visitor(browser, prompted.url, width=width, dark=dark)
    page = visitor.page
    page.get_by_role("button", name="Mask this object").click()
    expect(page.locator("#prompt-error")).to_have_text("Choose an image first.")
    page.set_input_files("#prompt-file", photo)
    page.get_by_role("button", name="Mask this object").click()
    expect(page.locator("#prompt-error")).to_contain_text("Click on the object")
    canvas = page.locator("#prompt-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] / 3, "y": box["height"] / 2})
    x, y = map(int, page.get_by_label("Point").input_value().split(","))
    assert abs(x - 300) <= 4 and abs(y - 300) <= 4  # pixels of the image, not of the screen
    assert page.get_by_label("Box").input_value() == ""
    visitor.screenshot(f"prompt-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Mask this object").click()
    visitor.heading("The object in photo.png")
    job = prompted.job(visitor.job())
    assert job["options"]["point"] == [[x, y]] and job["options"]["box"] is None
    visitor.until("document.querySelector('#view .cutout .mask').naturalWidth === 900")
    visitor.screenshot(f"prompt-result-{width}")
    download = visitor.download(page.get_by_role("link", name="Mask (PNG)").click)
    assert download.suggested_filename == "photo-mask.png"
    assert np.asarray(Image.open(download.path())).shape == (600, 900)

    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 9, box["y"] + box["height"] / 6)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 2 / 3, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    corners = [int(word) for word in page.get_by_label("Box").input_value().split(",")]
    assert np.allclose(corners, [100, 100, 600, 300], atol=5)
    assert page.get_by_label("Point").input_value() == ""
    visitor.close()


def test_the_keyboard_suffices(prompted, browser, photo):
    visitor = Visitor(browser, prompted.url)
    page = visitor.page
    with page.expect_file_chooser() as chooser:
        visitor.tab_to("Choose an image")
        page.keyboard.press("Enter")
    chooser.value.set_files(photo)
    visitor.tab_to("Point")
    page.keyboard.type("none")
    page.keyboard.press("Enter")
    expect(page.locator("#prompt-error")).to_contain_text("two numbers")
    page.get_by_label("Point").fill("")
    page.keyboard.press("Tab")
    page.keyboard.type("100,100,600,300")
    page.keyboard.press("Enter")
    visitor.heading("The object in photo.png")
    assert prompted.job(visitor.job())["options"]["box"] == [100, 100, 600, 300]
    visitor.tab_to("Delete")
    page.keyboard.press("Enter")
    visitor.heading("Deleted")
    visitor.close()


def test_a_server_without_a_model_for_prompts_offers_none(idle_visitor):
    visitor, _ = idle_visitor
    expect(visitor.page.locator("#model option").first).to_be_attached()
    expect(visitor.page.locator("#prompt")).to_be_hidden()

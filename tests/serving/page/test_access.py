"""The page by keyboard alone, on narrow and dark screens, and under axe."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.page_visitor import Visitor
from tests.support.service import idle_service


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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_start_shows_an_example_and_fits_the_screen(browser, tmp_path, width, dark):
    with idle_service(tmp_path, page=True) as own:
        visitor = Visitor(browser, own.url, width=width, dark=dark)
        visitor.until("document.querySelector('.start img').naturalWidth === 880")
        visitor.screenshot(f"start-{width}-{'dark' if dark else 'light'}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        visitor.close()


def choose_by_keyboard(visitor: Visitor, content: bytes) -> None:
    with visitor.page.expect_file_chooser() as chooser:  # the dialog of the system is not the page's
        visitor.tab_to("Choose files")
        visitor.page.keyboard.press("Enter")
    chooser.value.set_files({"name": "clip.mp4", "mimeType": "video/mp4", "buffer": content})
    expect(visitor.page.locator("#chosen")).to_contain_text("clip.mp4")


def test_a_job_is_started_and_cancelled_by_keyboard(idle_visitor, video):
    visitor, _ = idle_visitor
    choose_by_keyboard(visitor, video.read_bytes())
    visitor.tab_to("Options")
    visitor.page.keyboard.press("Enter")
    visitor.tab_to("Threshold")
    visitor.page.keyboard.press("ArrowRight")
    assert visitor.page.locator("#threshold").get_attribute("aria-valuetext") == "0.51"
    visitor.screenshot("options")
    visitor.tab_to("Find sounding objects")
    visitor.page.keyboard.press("Enter")
    visitor.heading("Starting: clip.mp4")
    assert visitor.page.evaluate("document.activeElement.matches('#view h2')")  # the focus goes to the job
    visitor.tab_to("Cancel")
    visitor.page.keyboard.press("Enter")
    visitor.heading("Cancelled")
    visitor.screenshot("cancelled")


def test_a_result_is_viewed_adjusted_downloaded_and_deleted_by_keyboard(visitor, video):
    page = visitor.page
    choose_by_keyboard(visitor, video.read_bytes())
    visitor.tab_to("Find sounding objects")
    page.keyboard.press("Enter")
    visitor.heading("ound in clip.mp4")
    assert page.evaluate("document.activeElement.matches('#view h2')")
    visitor.tab_to("Frame")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#frame")).to_have_attribute("aria-valuetext", re.compile(r"^2 of "))
    visitor.tab_to("Threshold")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#cut").get_attribute("aria-valuetext") == "0.49; 0.50 in the files"
    visitor.tab_to("Reset")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "cut"  # its button is disabled now
    assert page.locator("#cut").get_attribute("aria-valuetext") == "0.50, as in the files"
    visitor.tab_to("COCO")
    download = visitor.download(lambda: page.keyboard.press("Enter"))
    assert download.suggested_filename == "clip-masks.coco.json"
    visitor.tab_to("Delete")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.innerText") == "Keep"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    visitor.heading("Deleted")
    assert page.evaluate("document.activeElement.matches('#view h2')")

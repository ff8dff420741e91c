"""Make the images of the web page in docs/images: page-result, -running, -phone and -error.webp.

    save-avs serve
    python scripts/make_page_images.py http://127.0.0.1:7860

Needs playwright and Chromium (`make dev`, `make system`).
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
LONGEST = 240_000  # ms for a job
WAIT = 400  # ms in which the page draws


def open_page(browser: Browser, url: str, *, width: int = 1440, dark: bool = False) -> Page:
    """Open the page in a window of its own."""
    scheme = "dark" if dark else "light"
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    page.set_default_timeout(LONGEST)
    page.goto(url)
    return page


def save(png: bytes, name: str, width: int) -> None:
    """Save a screenshot as docs/images/page-NAME.webp, so many pixels wide."""
    path = IMAGES / f"page-{name}.webp"
    with Image.open(io.BytesIO(png)) as image:
        height = round(image.height * width / image.width)
        image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).save(
            path, quality=80, method=6
        )
    print(f"{path}: {path.stat().st_size / 1e3:.0f} KB")


def show_threshold(page: Page, threshold: float) -> None:
    """Show frame 101 of the result at another threshold."""
    page.get_by_text("Mask of this frame").wait_for()
    page.get_by_label("Frame", exact=True).fill("100")
    page.wait_for_timeout(WAIT)
    page.locator("#cut").fill(str(threshold))
    page.locator("#cut").blur()
    page.locator(".overlay canvas").wait_for(state="visible")
    page.wait_for_timeout(5 * WAIT)


def main(url: str) -> None:
    """Save the four images of a service that runs at ``url``."""
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = open_page(browser, url, dark=True)
        page.get_by_role("button", name="Use the sample").click()
        page.locator("#preview").wait_for()
        page.get_by_role("button", name="Find sounding objects").click()
        page.get_by_role("heading", name="Finding sounding objects").wait_for()
        while page.evaluate("document.querySelector('#view progress').value") < 0.3:
            page.wait_for_timeout(20)
        save(page.screenshot(full_page=True), "running", 800)
        page.get_by_text("Mask of this frame").wait_for()
        result = page.url

        page = open_page(browser, result)
        show_threshold(page, 0.8)
        save(page.screenshot(full_page=True), "result", 1000)

        page = open_page(browser, result, width=390, dark=True)
        show_threshold(page, 0.65)
        card = page.locator("#view .card").first.bounding_box()
        assert card is not None
        top = card["y"] + page.evaluate("scrollY") - 12
        clip = {"x": 0, "y": top, "width": 390, "height": card["height"] + 24}
        save(page.screenshot(full_page=True, clip=clip), "phone", 390)  # type: ignore[arg-type]

        page = open_page(browser, url)
        text = {"name": "notes.mp4", "mimeType": "video/mp4", "buffer": b"no video"}
        page.set_input_files("#file", text)  # type: ignore[arg-type]
        page.get_by_text("this browser cannot play it").wait_for()
        page.get_by_role("button", name="Find sounding objects").click()
        page.locator("#view").get_by_text("cannot be read as video").wait_for()
        save(page.screenshot(full_page=True), "error", 800)


if __name__ == "__main__":
    main(sys.argv[1])

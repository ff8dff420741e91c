"""A browser window on the service's page, for tests."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

SCREENSHOTS = Path(__file__).parents[2] / "runs" / "page"


class Visitor:
    """A browser window on the page; records requests to other servers, and errors of the page."""

    def __init__(self, browser, url: str, *, width: int = 1440, dark: bool = False) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            permissions=["camera", "microphone"],
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(90_000)
        self.url = url.partition("#")[0].rstrip("/")
        self.problems: list[str] = []
        self.page.on("request", lambda request: self._check(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._listen)
        self.page.goto(url)

    def _check(self, url: str) -> None:
        if not url.startswith((self.url, "blob:")):
            self.problems.append(f"foreign request: {url}")

    def _listen(self, message) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)  # what the Content-Security-Policy blocks, among others

    def choose(self, name: str, content: bytes) -> None:
        self.page.set_input_files("#file", {"name": name, "mimeType": "video/mp4", "buffer": content})

    def submit(self) -> None:
        self.page.get_by_role("button", name="Find sounding objects").click()

    def heading(self, text: str, timeout: float = 60_000) -> None:
        from playwright.sync_api import expect

        expect(self.page.locator("#view h2").first).to_contain_text(text, timeout=timeout)

    def job(self) -> str:
        return self.page.evaluate("location.hash.slice(1)")

    def until(self, condition: str, timeout: float = 90) -> None:
        """Wait for a condition in the page; ``wait_for_function`` would need unsafe-eval."""
        end = time.monotonic() + timeout
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(20)

    def loaded(self) -> None:
        """Wait until the result's player and mask show something."""
        self.until("document.querySelector('.stage video').readyState >= 2")
        self.until("document.querySelector('.stage img').naturalWidth > 0")

    def screenshot(self, name: str) -> None:
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def state(self) -> dict[str, Any]:
        return self.page.evaluate(
            """() => { const video = document.querySelector(".stage video");
            return { time: video.currentTime, paused: video.paused, sound: video.webkitAudioDecodedByteCount,
            error: video.error?.message ?? null, width: video.videoWidth,
            caption: document.querySelector(".scrub .caption").innerText,
            value: document.querySelector("#frame").getAttribute("aria-valuetext"),
            playhead: document.querySelector(".playhead").style.left } }"""
        )

    def close(self) -> None:
        self.context.close()
        assert self.problems == []

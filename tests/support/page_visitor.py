"""A browser window on the service's page, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Download, TimeoutError, expect

SCREENSHOTS = Path(__file__).parents[2] / "runs" / "page"

_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": _WCAG},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}


class Visitor:
    """A browser window on the page; records requests to other servers, errors, and what axe finds."""

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
        self.context.on("request", lambda request: self._check(request.url))
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

    def heading(self, text: str, timeout: float = 120_000) -> None:
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
        """Keep a picture of this state, and have axe look at it."""
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
        for found in Axe().run(self.page, options=_AXE_OPTIONS).response["violations"]:
            places = [node["target"] for node in found["nodes"]]
            self.problems.append(f"axe, {name}: {found['id']}, {found['help']}: {places}")

    def tab_to(self, name: str) -> None:
        """Press Tab until the focus is on the control with this name."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            focused = self.page.evaluate(
                "document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText"
            )
            if (focused or "").startswith(name):
                return
        raise AssertionError(f"{name} is not reached by the Tab key")

    def state(self) -> dict[str, Any]:
        return self.page.evaluate(
            """() => { const video = document.querySelector(".stage video");
            return { time: video.currentTime, paused: video.paused, sound: video.webkitAudioDecodedByteCount,
            error: video.error?.message ?? null, width: video.videoWidth,
            caption: document.querySelector(".scrub .caption").innerText,
            value: document.querySelector("#frame").getAttribute("aria-valuetext"),
            playhead: document.querySelector(".playhead").style.left } }"""
        )

    def download(self, start: Callable[[], None]) -> Download:
        """The download that something starts; a loaded machine may lose the first one's event."""
        for _ in range(3):
            try:
                with self.page.expect_download(timeout=20_000) as download:
                    start()
                return download.value
            except TimeoutError:
                continue
        raise AssertionError("no download has started")

    def close(self) -> None:
        self.context.close()
        assert not self.problems, "\n".join(self.problems)

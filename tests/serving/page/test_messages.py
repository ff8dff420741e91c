"""What the page says: errors in plain words, missing jobs, full queues, logins."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.page_visitor import Visitor
from tests.support.sample_videos import make_video
from tests.support.service import idle_service

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize("fragment", ["0" * 32, "no-id", "%2e%2e"])
def test_a_link_to_a_missing_job_is_explained(visitor, fragment):
    visitor.page.goto(f"{visitor.url}/#{fragment}")
    visitor.heading("This job is no longer here")
    visitor.screenshot("expired")


def test_a_video_that_is_too_long_is_refused_in_plain_words(visitor, tmp_path):
    visitor.choose("long.mp4", make_video(tmp_path / "long.mp4", frames=50, fps=2).read_bytes())
    visitor.submit()
    visitor.heading("This video is too long")
    assert "limit of 20 s: cut it into parts" in visitor.page.locator("#view").inner_text()
    visitor.screenshot("error")


def test_a_file_that_is_no_video_is_refused_in_plain_words(visitor):
    visitor.choose("text.mp4", b"no video")
    expect(visitor.page.locator("#chosen")).to_contain_text("this browser cannot play it")
    visitor.submit()
    visitor.heading("This file cannot be read")


def test_a_full_queue_is_explained(idle_visitor, video):
    visitor, own = idle_visitor
    own.until(own.accepted(video), lambda job: job["state"] == "running")
    own.accepted(video)
    visitor.choose("clip.mp4", video.read_bytes())
    visitor.submit()
    visitor.heading("The server is busy")
    assert "try again in" in visitor.page.locator("#view").inner_text()
    visitor.screenshot("busy")


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

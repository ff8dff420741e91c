"""The form of the page: files, drops, recordings, several videos, and what is refused."""

from __future__ import annotations

from playwright.sync_api import expect


def test_a_file_beyond_the_size_limit_is_not_uploaded(visitor):
    visitor.choose("large.mp4", b"x" * 3_100_000)
    expect(visitor.page.locator("#form-error")).to_contain_text("large.mp4 is larger than 3 MB")
    visitor.submit()
    expect(visitor.page.locator("#form-error")).to_contain_text("Choose, drop or record a video")


def test_a_dropped_file_is_chosen(visitor, video):
    content = list(video.read_bytes())
    visitor.page.evaluate(
        """(content) => { const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([new Uint8Array(content)], "dropped.mp4", { type: "video/mp4" }));
        const options = { dataTransfer, bubbles: true, cancelable: true };
        document.body.dispatchEvent(new DragEvent("drop", options)); }""",
        content,
    )
    expect(visitor.page.locator("#chosen")).to_contain_text("dropped.mp4")


def test_a_recording_is_segmented(visitor):
    page = visitor.page
    page.get_by_role("button", name="Record").click()
    start = page.get_by_role("button", name="Start recording")
    expect(start).to_be_enabled()
    start.click()
    page.wait_for_timeout(1500)
    visitor.screenshot("record")
    page.get_by_role("button", name="Stop and use").click()
    expect(page.locator("#chosen")).to_contain_text("recording.")
    visitor.submit()
    visitor.heading("ound in recording.")


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
    expect(page.locator("#chosen")).to_contain_text("2 videos")
    visitor.submit()
    entries = page.locator("#queue li")
    expect(entries.nth(0)).to_have_text("one.mp4 waiting, next in line")
    expect(entries.nth(1)).to_contain_text("two.mp4 The server is busy")  # its queue has one place
    visitor.screenshot("queue")
    visitor.heading("one.mp4")
    id = entries.nth(0).locator("a").get_attribute("href").removeprefix("#")
    assert own.job(id)["name"] == "one.mp4"
    own.client.post(f"/v1/jobs/{id}/cancel")
    expect(entries.nth(0)).to_have_text("one.mp4 cancelled")

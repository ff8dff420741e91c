"""A browser, a service with two models, and visitors of its page. Screenshots are kept in ``runs/page/``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from save_avs._extras import models_folder
from tests.support.page_visitor import SCREENSHOTS, Visitor
from tests.support.service import Served, idle_service, serving

CHROMIUM = shutil.which("chromium")
SAMPLE = models_folder() / "sample.mp4"
FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
FLAGS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="session")
def padded(tmp_path_factory) -> Path:
    """The bundled model as if it had been trained on padded frames; its card says what it is good for."""
    folder = shutil.copytree(models_folder() / "save-tiny", tmp_path_factory.mktemp("models") / "padded")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "name": "padded", "resize": "pad"}))
    (folder / "README.md").write_text(
        "# padded\n\nKnows *nothing*: real recordings\nare beyond it.\n\nMore.\n"
    )
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory, padded) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("site")
    with serving(root, "save-tiny", padded, page=True, duration=20, size=3_000_000) as served:
        yield served


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium: apt install chromium")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as engine:
        playwright.expect.set_options(timeout=60_000)
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser, site) -> Iterator[Visitor]:
    visitor = Visitor(browser, site.url)
    yield visitor
    visitor.close()


@pytest.fixture(scope="session")
def sample_job(browser, site) -> str:
    """A job of the sample with every file but the matte."""
    save = "overlay,video,masks,logits,timeline,png,coco,npz,cvat,labelstudio"
    return site.ended(site.accepted(SAMPLE, name="sample.mp4", save=save), wait=240)["id"]


@pytest.fixture
def idle_visitor(browser, tmp_path) -> Iterator[tuple[Visitor, Served]]:
    """A visitor of a service in which no job is ever done."""
    with idle_service(tmp_path, page=True, queue=1) as own:
        visitor = Visitor(browser, own.url)
        yield visitor, own
        visitor.close()

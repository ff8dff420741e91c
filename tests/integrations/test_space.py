"""The Gradio Space, with a stand-in for gradio that keeps what the app gives it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
import yaml
from PIL import Image

SPACE = Path(__file__).parents[2] / "integrations" / "space"


class Error(Exception):
    """gradio's, which a Space shows to its visitor."""


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def component(*args: Any, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(args=args, **options)

    names = dict.fromkeys(("Interface", "Video", "Slider", "Image", "Textbox"), component)
    monkeypatch.setitem(sys.modules, "gradio", SimpleNamespace(Error=Error, **names))
    return runpy.run_path(str(SPACE / "app.py"))


def test_video_gives_an_overlay_a_timeline_and_a_line(app, video):
    demo = app["demo"]
    (function,) = demo.args
    assert len(demo.inputs) == 2 and len(demo.outputs) == 3
    overlay, timeline, text = function(str(video), 2)
    with av.open(overlay) as media:
        assert media.streams.video[0].frames > 0 and media.streams.audio
    with Image.open(timeline) as image:
        assert image.format == "PNG"
    assert text.startswith("SegmentationResult(") and "\n" not in text


def test_file_that_is_no_video_is_said_to_the_visitor(app, tmp_path):
    (tmp_path / "words.mp4").write_text("words")
    with pytest.raises(Error, match=r"words\.mp4"):
        app["segment"](str(tmp_path / "words.mp4"), 2)


def test_readme_is_the_config_of_a_gradio_space():
    _, front, _ = (SPACE / "README.md").read_text("utf-8").split("---\n", 2)
    config = yaml.safe_load(front)
    assert config["sdk"] == "gradio" and (SPACE / config["app_file"]).is_file()

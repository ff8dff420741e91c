"""The web page: gradio takes the video and the wishes, the element in job.js shows what becomes of them."""

from __future__ import annotations

import os
import shutil
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic import ValidationError

from save_avs.errors import SaveAvsError
from save_avs.serving.auth import STATIC
from save_avs.serving.job import Job, JobOptions
from save_avs.serving.job_store import VIDEO, safe_name
from save_avs.serving.limits import Limits
from save_avs.serving.service import Service
from save_avs.visualization.timeline import TIME_AXIS_EXTENT

if TYPE_CHECKING:
    import gradio

_EVERY_FRAME = "every frame"
_RATES = [_EVERY_FRAME, "25", "10", "5", "2", "1"]
_OUTPUTS = ["overlay", "masks", "timeline", "png"]
_HEAD = f"""<link rel="stylesheet" href="{STATIC}page.css">
<script type="module" src="{STATIC}job.js"></script>"""
_TITLE = """<header class="save-avs-title"><h1>What makes the sound?</h1>
<p>A video goes in, and the things in it that make its sound come out marked.</p></header>"""
_EMPTY = """<section class="save-avs-empty"><ol>
<li><b>Drop</b> a video on the left, or record one. No video at hand? Take the sample.</li>
<li><b>Find</b> what sounds. The video is looked at frame by frame, each with the sound around it.</li>
<li><b>Look</b>: the overlay with its sound, a timeline to click, the mask of any frame, files to keep.</li>
</ol></section>"""
_PROBLEM = """<section class="save-avs-problem" role="alert"><h2>Not taken</h2><p>{text}</p></section>"""
_WANTED = "() => window.location.hash.slice(1)"


def make_page(service: Service) -> FastAPI:
    """The page as an application at the root; it asks no other server for anything."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(service.store.uploads.resolve())
    import gradio as gr
    from gradio.themes import Base

    return gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        _blocks(service),
        path="/",
        head=_HEAD,
        theme=Base(
            primary_hue="orange",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        allowed_paths=[str(_sample())],
        max_file_size=service.limits.size,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
    )


def _sample() -> Path:
    return Path(str(resources.files("save_avs"))) / "bundled" / "sample.mp4"


def _blocks(service: Service) -> gradio.Blocks:
    import gradio as gr

    def submit(video: str | None, model: str, rate: str, threshold: float) -> str:
        try:
            return show(_submit(service, video, model=model, rate=rate, threshold=threshold).id)
        except SaveAvsError as error:
            return _PROBLEM.format(text=escape(str(error)))

    def show(id: str) -> str:
        return _EMPTY if service.find(id) is None else _element(id)

    keep = int(service.limits.keep)
    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    plain: dict[str, Any] = {"apply_default_css": False, "padding": False}
    names = [str(model["name"]) for model in service.models]
    with gr.Blocks(title="save-avs", fill_width=True, delete_cache=(min(keep, 3600), keep)) as blocks:
        gr.HTML(_TITLE, **plain)
        with gr.Row(elem_classes="save-avs-columns"):
            with gr.Column(scale=2, min_width=320):
                video = gr.Video(label="Video", sources=["upload", "webcam"], height=300, buttons=[])
                sample = gr.Button("Take the sample: a rooster, then an elephant", size="sm")
                model = gr.Dropdown(names, value=names[0], label="Model")
                with gr.Accordion("Options", open=False):
                    rate = gr.Dropdown(_RATES, value=_EVERY_FRAME, label="Frames a second to look at")
                    threshold = gr.Slider(
                        0.05, 0.95, 0.5, step=0.05, label="Threshold", info="Higher marks less, and surer."
                    )
                find = gr.Button("Find what sounds", variant="primary", size="lg", elem_id="find")
                gr.HTML(f'<p class="save-avs-limits">{_limits(service.limits)}</p>', **plain)
            with gr.Column(scale=5, min_width=480):
                shown = gr.HTML(_EMPTY, elem_id="shown", **plain)
        sample.click(lambda: str(_sample()), None, video, **hidden)
        find.click(submit, [video, model, rate, threshold], shown, concurrency_limit=None, **hidden)
        wanted = gr.Textbox(visible="hidden")
        blocks.load(show, wanted, shown, js=_WANTED, **hidden)  # a page loaded anew shows its job again
    return blocks


def _submit(service: Service, video: str | None, *, model: str, rate: str, threshold: float) -> Job:
    if video is None:
        raise SaveAvsError("Drop a video first, record one, or take the sample.")
    fps = "native" if rate == _EVERY_FRAME else rate
    wishes = {"model": model, "fps": fps, "threshold": threshold, "save": _OUTPUTS}
    try:
        options = JobOptions.model_validate(wishes)
    except ValidationError as error:
        raise SaveAvsError("These options do not go together.") from error
    name = safe_name(Path(video).name)
    with service.arriving() as folder:
        _bring(Path(video), folder / VIDEO / name)
        return service.accept(folder, name, options)


def _bring(video: Path, to: Path) -> None:
    """Give a job its video without a second copy where the disk can; the page still shows the first."""
    try:
        os.link(video, to)
    except OSError:
        shutil.copyfile(video, to)


def _element(id: str) -> str:
    left, right = TIME_AXIS_EXTENT
    return f'<save-avs-job job="{id}" left="{left:.4f}" right="{right:.4f}"></save-avs-job>'


def _limits(limits: Limits) -> str:
    minutes = f"{limits.duration / 60:g} min" if limits.duration >= 120 else f"{limits.duration:g} s"
    hours = f"{limits.keep / 3600:.3g} h"
    return (
        f"Up to {minutes}, {limits.size / 1e6:g} MB, {limits.side} pixels a side. "
        f"Videos are removed when they are done, results after {hours}."
    )

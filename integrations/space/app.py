"""A Gradio Space: a video goes in, an overlay and a timeline of its sounding objects come out."""

import os
import tempfile
from pathlib import Path

import gradio as gr

import save_avs

MODEL = save_avs.from_pretrained(os.environ.get("SAVE_AVS_MODEL", "save-small"))
MAX_SECONDS = 30.0


def segment(video: str, fps: float) -> tuple[str, str, str]:
    """Segment an uploaded video; return the paths of overlay and timeline, and a summary."""
    folder = Path(tempfile.mkdtemp())
    files = {"outputs": ("overlay", "timeline"), "directory": folder, "overwrite": True}
    try:
        result = save_avs.segment(video, model=MODEL, fps=fps, end=MAX_SECONDS, **files)
    except save_avs.errors.SaveAvsError as error:
        raise gr.Error(str(error).replace(f"{Path(video).parent}/", "")) from error
    return str(folder / "overlay.mp4"), str(folder / "timeline.png"), repr(result)


demo = gr.Interface(
    segment,
    inputs=[gr.Video(label="Video with sound"), gr.Slider(1, 25, value=5, step=1, label="Frames per second")],
    outputs=[gr.Video(label="Overlay"), gr.Image(label="Timeline"), gr.Textbox(label="Result")],
    title="What makes the sound?",
    description=f"{MODEL.name} marks the sounding objects in the first {MAX_SECONDS:.0f} s of your video.",
    flagging_mode="never",
)

if __name__ == "__main__":
    demo.launch()

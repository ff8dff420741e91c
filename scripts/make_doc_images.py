"""Make images of what the bundled model marks.

    save-avs demo -o runs/doc-images
    python -m scripts.build_real_set photographs --esc50 ESC-50
    python scripts/make_doc_images.py runs/doc-images/sample/overlay.mp4 photographs

They are written to docs/images: sample.webp, the overlay as an animation, with its waveform drawn below since
WebP has no audio; photographs.webp, photographs while recordings are heard, drawn alike;
same-frame-two-sounds.webp, masks; social.jpg, what other sites show of a link.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import save_avs
from save_avs._extras import models_folder
from save_avs.types import F32, U8
from save_avs.video import probe
from save_avs.video.audio_reader import load_audio
from save_avs.visualization.overlay import MASK_COLOR, draw_mask
from save_avs.visualization.plots import TEXT_COLOR

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SAMPLE = models_folder() / "sample.mp4"
FPS, WIDTH, STRIP, QUALITY = 10, 480, 48, 55
DPI = 160
RATE = 16_000
SLATE, GRID_COLOR = (24, 27, 32), (110, 118, 130)
# photograph, recording, and its part in seconds
PHOTOGRAPHS = (
    ("dog/grass.png", "dog/esc50-5-231762-A.opus", 0.4, 2.8),
    ("cow/pasture.png", "cow/esc50-5-194899-A.opus", 0.0, 2.6),
    ("dog/roots.png", "dog/esc50-5-9032-A.opus", 1.6, 3.6),
)
MOMENTS = ((1.6, "a rooster calls"), (4.0, "an elephant calls"))


def save_animation(overlay: Path) -> Path:
    """Save the overlay as an animated WebP, with the waveform and a playhead below."""
    waveform, duration = load_audio(overlay, sample_rate=RATE), probe(overlay).duration or 0.0
    frames = [_add_waveform(image, time / duration, waveform) for time, image in _frames(overlay)]
    return _save_animation("sample.webp", frames)


def _save_animation(name: str, frames: list[Image.Image]) -> Path:
    path = IMAGES / name
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=1000 // FPS, loop=0, quality=QUALITY, method=6
    )
    return path


def _frames(video: Path) -> Iterator[tuple[float, Image.Image]]:
    for clip in save_avs.read_video_chunks(video, fps=FPS):
        for time, frame in zip(clip.times, clip.frames, strict=True):
            height = round(WIDTH * frame.shape[0] / frame.shape[1])
            yield float(time), Image.fromarray(frame).resize((WIDTH, height), Image.Resampling.LANCZOS)


def _add_waveform(image: Image.Image, share: float, waveform: F32) -> Image.Image:
    """Draw the waveform below a frame, with the playhead at ``share`` of its duration."""
    canvas = Image.new("RGB", (WIDTH, image.height + STRIP), SLATE)
    canvas.paste(image)
    pen, middle, now = ImageDraw.Draw(canvas), image.height + STRIP // 2, round(share * WIDTH)
    peaks = [float(np.abs(part).max()) for part in np.array_split(waveform, WIDTH)]
    loudest = max(peaks)
    for x, peak in enumerate(peaks):
        reach = peak / loudest * (STRIP / 2 - 5)
        pen.line((x, middle - reach, x, middle + reach), MASK_COLOR if x <= now else GRID_COLOR)
    pen.line((now, image.height, now, canvas.height), (255, 255, 255), 2)
    return canvas


def save_photographs(root: Path) -> Path:
    """Save an animation of photographs, marked while their recordings are heard."""
    model, frames = save_avs.load_model(), []
    for photograph, recording, start, end in PHOTOGRAPHS:
        with Image.open(root / "images" / photograph) as image:
            pixels = np.asarray(
                image.convert("RGB").resize((WIDTH, WIDTH * 2 // 3), Image.Resampling.LANCZOS)
            )
        waveform = load_audio(root / "sounds" / recording, sample_rate=RATE)
        heard = waveform[round(start * RATE) : round(end * RATE)]
        still = np.broadcast_to(pixels, (round(FPS * end), *pixels.shape))
        result = save_avs.segment_arrays(still, waveform, fps=FPS, model=model, start=start)
        for frame in result:
            marked = Image.fromarray(draw_mask(pixels, frame.mask))
            frames.append(_add_waveform(marked, (frame.time - start) / (end - start), heard))
    return _save_animation("photographs.webp", frames)


def save_comparison() -> Path:
    """Save a figure of the same objects under two sounds: frame, log-mel spectrogram, mask."""
    from matplotlib.figure import Figure

    model = save_avs.load_model("save-small")
    results = list(save_avs.stream(SAMPLE, model=model))
    waveform = load_audio(SAMPLE, sample_rate=RATE)
    figure = Figure(figsize=(9.6, 4.1), layout="constrained")
    axes = figure.subplots(len(MOMENTS), 3, width_ratios=(16, 9, 16))
    for row, (moment, sound) in zip(axes, MOMENTS, strict=True):
        frame = min(results, key=lambda frame: abs(frame.time - moment))
        start = round((frame.time - 0.4875) * RATE)
        patch = save_avs.audio.log_mel(waveform[start : start + round(0.975 * RATE)], RATE)[0]
        panels: tuple[U8 | F32, ...] = (frame.image, patch.T, draw_mask(frame.image, frame.mask))
        titles = ("frame", f"log-mel: {sound}", "mask")
        for cell, panel, title in zip(row, panels, titles, strict=True):
            aspect, origin = ("equal", "upper") if panel.ndim == 3 else ("auto", "lower")
            cell.imshow(panel, aspect=aspect, origin=origin)
            cell.set_title(title, loc="left", fontsize=9, color=TEXT_COLOR)
            cell.set_axis_off()
    path = IMAGES / "same-frame-two-sounds.webp"
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    with Image.open(file) as image:
        image.convert("RGB").save(path, quality=80, method=6)
    return path


def save_social_card() -> Path:
    """Save the card of 1200 x 630 px that other sites show with a link: a frame with its mask, and a line."""
    from matplotlib.figure import Figure

    frame = min(
        save_avs.stream(SAMPLE, model="save-small"), key=lambda frame: abs(frame.time - MOMENTS[1][0])
    )
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="#181b20")
    picture = figure.add_axes((0, 0.22, 1, 0.78))
    height = round(frame.image.shape[1] * 630 * 0.78 / 1200)
    top = round(0.8 * (frame.image.shape[0] - height))
    picture.imshow(draw_mask(frame.image, frame.mask)[top : top + height], aspect="auto")
    picture.set_axis_off()
    figure.text(
        0.04,
        0.13,
        "save-avs: masks for what makes the sound",
        color="white",
        size=30,
        weight="bold",
        va="center",
    )
    figure.text(
        0.04,
        0.055,
        "A video goes in, pixel masks of the sounding objects come out.",
        color="#b9c2cc",
        size=20,
        va="center",
    )
    path = IMAGES / "social.jpg"
    figure.savefig(path, pil_kwargs={"quality": 85, "optimize": True})
    return path


def main(overlay: Path, photographs: Path) -> None:
    """Save the images, and print their sizes."""
    animations = (save_animation(overlay), save_photographs(photographs))
    for path in (*animations, save_comparison(), save_social_card()):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

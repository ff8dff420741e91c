"""Draw the documents' pictures of the bundled sample: sample.webp, same-picture-two-sounds.webp.

    save-avs demo -o runs/pictures
    python scripts/make_pictures.py runs/pictures/sample/overlay.mp4

Both go to docs/images. The first is that overlay, its sound drawn below it, for a moving picture is mute;
for the second save-tiny is asked.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import save_avs
from save_avs.types import F32, U8
from save_avs.video import probe
from save_avs.video.audio_reader import read_audio_file
from save_avs.visualization import draw_mask
from save_avs.visualization.overlay import MASK_COLOR
from save_avs.visualization.plots import TEXT_COLOR, figure_to_png

PICTURES = Path(__file__).parents[1] / "docs" / "images"
SAMPLE = Path(str(files("save_avs") / "bundled" / "sample.mp4"))
FPS, WIDTH, STRIP, QUALITY = 10, 480, 48, 55
RATE = 16_000
SLATE, GRID_COLOR = (24, 27, 32), (110, 118, 130)
MOMENTS = ((1.6, "a rooster calls"), (4.0, "an elephant calls"))


def moving_picture(overlay: Path) -> Path:
    """The overlay as animated WebP, the sound's outline below it with a line where it is."""
    waveform, duration = read_audio_file(overlay, sample_rate=RATE), probe(overlay).duration or 0.0
    frames = [_with_sound(image, time / duration, waveform) for time, image in _frames(overlay)]
    path = PICTURES / "sample.webp"
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=1000 // FPS, loop=0, quality=QUALITY, method=6
    )
    return path


def _frames(video: Path) -> Iterator[tuple[float, Image.Image]]:
    for clip in save_avs.read_video_chunks(video, fps=FPS):
        for time, frame in zip(clip.times, clip.frames, strict=True):
            height = round(WIDTH * frame.shape[0] / frame.shape[1])
            yield float(time), Image.fromarray(frame).resize((WIDTH, height), Image.Resampling.LANCZOS)


def _with_sound(image: Image.Image, share: float, waveform: F32) -> Image.Image:
    """A frame above the outline of the whole sound; ``share`` of it is over."""
    whole = Image.new("RGB", (WIDTH, image.height + STRIP), SLATE)
    whole.paste(image)
    pen, middle, now = ImageDraw.Draw(whole), image.height + STRIP // 2, round(share * WIDTH)
    peaks = [float(np.abs(part).max()) for part in np.array_split(waveform, WIDTH)]
    loudest = max(peaks)
    for x, peak in enumerate(peaks):
        reach = peak / loudest * (STRIP / 2 - 5)
        pen.line((x, middle - reach, x, middle + reach), MASK_COLOR if x <= now else GRID_COLOR)
    pen.line((now, image.height, now, whole.height), (255, 255, 255), 2)
    return whole


def two_sounds() -> Path:
    """The same things in view under two sounds: picture, log-mel, what is marked."""
    from matplotlib.figure import Figure

    model = save_avs.load_model("save-tiny")
    found = list(save_avs.stream(SAMPLE, model=model))
    waveform = read_audio_file(SAMPLE, sample_rate=RATE)
    figure = Figure(figsize=(9.6, 4.1), layout="constrained")
    axes = figure.subplots(len(MOMENTS), 3, width_ratios=(16, 9, 16))
    for row, (moment, heard) in zip(axes, MOMENTS, strict=True):
        frame = min(found, key=lambda frame: abs(frame.time - moment))
        start = round((frame.time - 0.4875) * RATE)
        patch = save_avs.audio.log_mel(waveform[start : start + round(0.975 * RATE)], RATE)[0]
        pictures: tuple[U8 | F32, ...] = (frame.image, patch.T, draw_mask(frame.image, frame.mask))
        titles = ("what is seen", f"what is heard: {heard}", "what is marked")
        for cell, picture, title in zip(row, pictures, titles, strict=True):
            aspect, origin = ("equal", "upper") if picture.ndim == 3 else ("auto", "lower")
            cell.imshow(picture, aspect=aspect, origin=origin)
            cell.set_title(title, loc="left", fontsize=9, color=TEXT_COLOR)
            cell.set_axis_off()
    path = PICTURES / "same-picture-two-sounds.webp"
    with Image.open(io.BytesIO(figure_to_png(figure))) as image:
        image.convert("RGB").save(path, quality=80, method=6)
    return path


def main(overlay: Path) -> None:
    """Draw both, and say how large they are."""
    for path in (moving_picture(overlay), two_sounds()):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What is broken by the cases, as long as it is whole: a model, videos in many containers, weight files."""

from __future__ import annotations

import atexit
import io
import shutil
import tempfile
from functools import cache
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from save_avs.models import save_model
from save_avs.video.codecs import scheduling_kept
from tests.support.media_files import tone
from tests.support.tiny_model import shake, tiny_model

VIDEOS = {  # name: video codec, audio codec
    "v.mp4": ("libx264", "aac"),
    "fast.mp4": ("libx264", "aac"),
    "pieces.mp4": ("libx264", "aac"),
    "v.mkv": ("libx264", "libopus"),
    "v.webm": ("libvpx", "libopus"),
    "v.avi": ("mpeg4", "libmp3lame"),
    "v.ts": ("mpeg2video", "aac"),
    "v.mov": ("mjpeg", "pcm_s16le"),
    "v.flv": ("flv", "aac"),
    "v.gif": ("gif", ""),
}
_OPTIONS = {
    "fast.mp4": {"movflags": "+faststart"},
    "pieces.mp4": {"movflags": "frag_keyframe+empty_moov+default_base_moof"},
}
_PIXELS = {"gif": "rgb8", "mjpeg": "yuvj420p"}
_RATES = {"libopus": 48000, "aac": 44100, "libmp3lame": 44100}


@cache
def shelf() -> Path:
    """A folder for what is made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-whole-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def model() -> Path:
    """The folder of a model that computes in a moment."""
    network = tiny_model()
    shake(network)
    return save_model(network, shelf() / "tiny")


@cache
def video(name: str) -> bytes:
    """One second of different frames, with a tone."""
    codec, sound = VIDEOS[name]
    path = film(
        shelf() / name, codec, _PIXELS.get(codec, "yuv420p"), sound=sound, options=_OPTIONS.get(name, {})
    )
    return path.read_bytes()


def film(
    path: Path,
    codec: str,
    pix_fmt: str,
    *,
    size: tuple[int, int] = (64, 48),
    sound: str = "",
    options: dict[str, str] | None = None,
) -> Path:
    """One second at ten frames per second, in the time base that most encoders require."""
    with scheduling_kept(), av.open(str(path), "w", options=options or {}) as container:
        video_stream = container.add_stream(codec, rate=10)
        video_stream.width, video_stream.height, video_stream.pix_fmt = *size, pix_fmt
        sample_rate = _RATES.get(sound, 16000)
        tones = container.add_stream(sound, rate=sample_rate, layout="mono") if sound else None
        rng = np.random.default_rng(0)
        for _ in range(10):
            noise = av.VideoFrame.from_ndarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
            container.mux(video_stream.encode(noise.reformat(format=pix_fmt)))
        if tones is not None:
            frame = av.AudioFrame.from_ndarray(tone(1.0, sample_rate), "fltp", "mono")
            frame.sample_rate = sample_rate
            container.mux(tones.encode(frame))
        for stream in filter(None, (video_stream, tones)):
            container.mux(stream.encode(None))
    return path


@cache
def image(format: str) -> bytes:
    """An image of noise, 40 x 30."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format)
    return out.getvalue()


STATE = {"a.weight": torch.arange(600.0).view(20, 30), "b": torch.ones(7)}
WEIGHTS = ("zip", "older", "safetensors")


@cache
def weights(form: str) -> bytes:
    """A state dict in a form of file."""
    path = shelf() / f"weights-{form}"
    if form == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == "zip")
    return path.read_bytes()

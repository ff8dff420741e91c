"""Masks and images name the frame of the video that they belong to: frames that carry their own number."""

from __future__ import annotations

import json
from fractions import Fraction
from xml.etree import ElementTree

import av
import numpy as np
import pytest
from PIL import Image

from save_avs.inference.pipeline import segment
from save_avs.video import read_video_chunks
from tests.support.media_files import TICK, AudioTrack, gray, make, tone
from tests.support.sample_videos import BrightWhereLoud

BITS, SIDE = 8, 16
RNG = np.random.default_rng(17)
TIMES = {
    "24": np.arange(72) / 24,
    "25": np.arange(75) / 25,
    "29.97": np.arange(90) * 1001 / 30000,
    "variable": np.cumsum(RNG.choice([0.02, 0.04, 0.05, 0.5], size=60)),
    "hole": np.delete(np.arange(100) / 25, np.s_[20:70]),
}
CODECS = {
    "v.mp4": ("libx264", "yuv420p", {"crf": "10", "bf": "2"}),
    "v.mkv": ("ffv1", "yuv420p", {}),
    "v.ts": ("libx264", "yuv420p", {"crf": "10", "bf": "3"}),
    "v.webm": ("libvpx-vp9", "yuv420p", {"crf": "10", "cpu-used": "8", "deadline": "realtime"}),
}


def number_image(number: int) -> np.ndarray:
    """Bits of the number as white and black squares from left to right, RGB [16,128,3]."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    return np.repeat(np.repeat(np.array(bits, np.uint8), SIDE)[None, :, None], 3, axis=2).repeat(SIDE, axis=0)


def number_of(image: np.ndarray) -> int:
    cells = image[4:12, :, 0].reshape(8, BITS, SIDE).mean(axis=(0, 2)) > 127
    return int(np.dot(cells, 1 << np.arange(BITS)))


def write_numbered(path, times, codec, pix_fmt, options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = BITS * SIDE, SIDE, pix_fmt
        stream.codec_context.time_base = stream.time_base = TICK
        sound = container.add_stream("mp2" if path.suffix == ".ts" else "libopus", rate=48000, layout="mono")
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(number_image(number), format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = round(time / TICK), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        data = (tone(float(times[-1]) + 0.1, 48000) * 32767).astype(np.int16)
        audio = av.AudioFrame.from_ndarray(data, "s16", "mono")
        audio.sample_rate, audio.pts, audio.time_base = 48000, 0, Fraction(1, 48000)
        resampler = av.AudioResampler(sound.format, "mono", 48000, frame_size=960)
        for part in [*resampler.resample(audio), *resampler.resample(None), None]:
            container.mux(sound.encode(part))
    return path


@pytest.mark.parametrize("rate", TIMES)
@pytest.mark.parametrize("name", CODECS)
def test_source_index_is_the_number_in_the_image(tmp_path, name, rate):
    times = TIMES[rate]
    path = write_numbered(tmp_path / name, times, *CODECS[name])
    for fps in (None, 1, 4, 10, 24, 30):
        chunks = list(read_video_chunks(path, fps=fps))
        seen = [number_of(frame) for chunk in chunks for frame in chunk.frames]
        assert seen == [int(i) for chunk in chunks for i in chunk.source_indices]
        assert fps is not None or sorted(set(seen)) == list(range(len(times)))


@pytest.mark.parametrize("fps", [None, 4, 30])
def test_outputs_name_the_frame_that_was_segmented(tmp_path, fps):
    path = write_numbered(tmp_path / "v.mp4", TIMES["hole"], *CODECS["v.mp4"])
    outputs = ("masks", "coco", "cvat", "frames", "png")
    result = segment(path, model=BrightWhereLoud(), fps=fps, outputs=outputs, directory=tmp_path / "out")
    frames = json.loads((tmp_path / "out" / "masks.json").read_text())["frames"]
    numbers = {}
    for frame in frames:
        with Image.open(tmp_path / "out" / "frames" / f"{frame['index']:06d}.png") as image:
            numbers[frame["index"]] = number_of(np.asarray(image))
        assert numbers[frame["index"]] == frame["source_index"]
    assert sorted(p.name for p in (tmp_path / "out" / "frames").iterdir()) == sorted(
        p.name for p in (tmp_path / "out" / "masks").iterdir()
    )
    images = json.loads((tmp_path / "out" / "masks.coco.json").read_text())["images"]
    assert {image["id"]: image["source_index"] for image in images} == numbers
    marked = {numbers[frame.index] for frame in result if frame.mask.any()}
    document = ElementTree.parse(tmp_path / "out" / "masks.cvat.xml")
    assert {int(image.get("id", -1)) for image in document.iter("image")} == marked != set()


def test_saved_again_result_has_the_same_frames(tmp_path):
    audio = AudioTrack([(0, tone(1, 16000))])
    path = make(tmp_path / "v.mkv", gray(25), audio)
    result = segment(path, model=BrightWhereLoud(), fps=5, outputs=("frames",), directory=tmp_path / "a")
    result.save(tmp_path / "b")
    for file in sorted((tmp_path / "a" / "frames").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / "frames" / file.name).read_bytes()

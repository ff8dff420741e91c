"""Color: matrix, range, HDR and alpha, from frames of known color."""

from __future__ import annotations

import subprocess
from functools import cache

import av
import numpy as np
import pytest

from save_avs.errors import UsageError
from save_avs.video import read_video_chunks
from save_avs.video.rgb import UprightConverter
from tests.support.media_files import ffmpeg, gray, make, needs_ffmpeg

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
UNTAGGED, SD, HD = 2, (640, 480), (1280, 720)
COLORS = [(200, 40, 60), (30, 180, 90), (60, 50, 210), (128, 128, 128), (255, 255, 255), (0, 0, 0)]


def yuv_frame(rgb, weights, *, size=(64, 64), full=False, matrix=UNTAGGED, trc=2, primaries=2):
    """A flat frame, yuv444p10, of non-linear RGB in 0..1."""
    red, green, blue = rgb
    kr, kb = weights
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = [(blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))]
    scale = (1023, 1023, 0) if full else (876, 896, 64)
    codes = [scale[2] + scale[0] * luma, *(512 + scale[1] * part for part in chroma)]
    frame = av.VideoFrame(*size, "yuv444p10le")
    for plane, code in zip(frame.planes, codes, strict=True):
        value = np.clip(round(code), 0, 1023)
        plane.update(np.full((plane.height, plane.line_size // 2), value, np.uint16).tobytes())
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    frame.color_trc, frame.color_primaries = trc, primaries
    return frame


@cache  # FFmpeg takes seconds to make the table of a tone mapping
def converter(width: int, height: int, tone_map: str) -> UprightConverter:
    return UprightConverter(width, height, tone_map)


def shown(frame, tone_map: str = "auto") -> np.ndarray:
    return converter(frame.width, frame.height, tone_map)(frame)[5, 5].astype(int)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("weights", "size", "matrix"),
    [
        (BT601, SD, UNTAGGED),
        (BT601, (720, 576), UNTAGGED),
        (BT709, HD, UNTAGGED),
        (BT709, (1080, 1920), UNTAGGED),
        (BT601, HD, 6),
        (BT601, SD, 5),
        (BT709, SD, 1),
        (BT709, HD, 1),
    ],
)
def test_matrix_and_range(weights, size, matrix, full):
    for color in COLORS:
        frame = yuv_frame(np.array(color) / 255, weights, size=size, full=full, matrix=matrix)
        np.testing.assert_allclose(shown(frame), color, atol=2)


def pq(nits: float) -> float:
    """Inverse EOTF of SMPTE ST 2084."""
    power = (nits / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hdr_gray(signal: float, trc: int) -> av.VideoFrame:
    return yuv_frame([signal] * 3, BT2020, matrix=9, trc=trc, primaries=9)


@pytest.mark.slow
@pytest.mark.parametrize("nits", [0, 1, 5, 20, 50, 100, 203])
def test_pq_is_mapped_with_its_reference_white_to_white(nits):
    expected = 255 * (nits / 203) ** (1 / 2.4)
    np.testing.assert_allclose(shown(hdr_gray(pq(nits), 16)), [expected] * 3, atol=3)


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize("peak", [None, 1000, 4000])
def test_pq_file_is_mapped_alike_whatever_display_it_was_graded_on(tmp_path, peak):
    path, nits = tmp_path / "v.mkv", np.repeat([0, 5, 20, 50, 100, 203, 600, 1000], 16)
    params = "log-level=none:pools=1:crf=2:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    if peak is not None:
        display = f"G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L({peak * 10000},1)"
        params += f":hdr10=1:master-display={display}:max-cll={peak},{peak // 2}"
    row = np.round([64 + 876 * pq(each) for each in nits]).astype("<u2")
    flat = np.concatenate([np.tile(row, 64), np.full(2 * 64 * 32, 512, "<u2")])
    (tmp_path / "raw").write_bytes(flat.tobytes())
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", "128x64", "-i", tmp_path / "raw"]
    ffmpeg(*raw, "-c:v", "libx265", "-x265-params", params, path)
    command = ["ffprobe", "-v", "error", "-show_frames", path]
    stated = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ("max_luminance" in stated.stdout) == ("max_content" in stated.stdout) == (peak is not None)
    [chunk] = read_video_chunks(path)
    expected = 255 * np.minimum(nits / 203, 1) ** (1 / 2.4)
    middles = slice(8, None, 16)  # of the bars
    np.testing.assert_allclose(chunk.frames[0, 32, middles, 1], expected[middles], atol=4)


def test_pq_above_its_reference_white_is_white():
    np.testing.assert_allclose(shown(hdr_gray(pq(1000), 16)), [255] * 3, atol=3)


@pytest.mark.slow
@pytest.mark.parametrize(("signal", "nits"), [(0, 0), (0.25, 9.5), (0.5, 50.7), (0.75, 203)])
def test_hlg_is_mapped_as_on_a_display_of_1000_nits(signal, nits):
    expected = 255 * (nits / 203) ** (1 / 2.4)
    np.testing.assert_allclose(shown(hdr_gray(signal, 18)), [expected] * 3, atol=4)


@pytest.mark.slow
def test_bt2020_colors_become_those_of_bt709():
    to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    color = np.array([180, 90, 60]) / 255
    wide = (to_bt2020 @ color**2.4) ** (1 / 2.4)
    frame = yuv_frame(wide, BT2020, matrix=9, trc=14, primaries=9)
    np.testing.assert_allclose(shown(frame), color * 255, atol=8)
    assert np.abs(shown(frame, tone_map="off") - color * 255).max() > 12


def test_tone_mapping_off_keeps_the_codes():
    frame = hdr_gray(pq(100), 16)
    np.testing.assert_allclose(shown(frame, tone_map="off"), [255 * pq(100)] * 3, atol=2)


@pytest.mark.parametrize("alpha", [0, 64, 255])
def test_alpha_is_composited_over_black(alpha):
    image = np.full((8, 8, 4), (200, 100, 50, alpha), np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgba")
    np.testing.assert_allclose(shown(frame), np.array([200, 100, 50]) * alpha / 255, atol=1)


def comb(frames: np.ndarray) -> float:
    """Mean difference of each row to its two neighbors: large where fields are woven."""
    rows = frames[..., 1].astype(float)
    return float(np.abs(2 * rows[:, 1:-1] - rows[:, :-2] - rows[:, 2:]).mean())


@needs_ffmpeg
@pytest.mark.parametrize("rate", [None, 5])
def test_interlaced_frames_are_deinterlaced(tmp_path, rate):
    path = tmp_path / "v.mp4"
    moving = "color=black:s=128x96:r=50:d=2,geq=lum='if(lt(mod(X-6*N,64),32),235,16)':cb=128:cr=128"
    encoding = ["-c:v", "libx264", "-flags", "+ildct+ilme", "-crf", "5", "-colorspace", "bt709"]
    fields = f"{moving},tinterlace=interleave_top,fieldorder=tff"
    ffmpeg("-f", "lavfi", "-i", fields, "-pix_fmt", "yuv420p", *encoding, path)
    woven, smooth = (
        list(read_video_chunks(path, fps=rate, deinterlace=switch)) for switch in ("off", "auto")
    )
    for chunk, other in zip(woven, smooth, strict=True):
        np.testing.assert_array_equal(chunk.times, other.times)
        np.testing.assert_array_equal(chunk.source_indices, other.source_indices)
        assert comb(other.frames) < comb(chunk.frames) / 5
        assert abs(other.frames.mean() - chunk.frames.mean()) < 3


def test_progressive_frames_are_not_deinterlaced(tmp_path):
    path = make(tmp_path / "v.mp4", gray(10))
    first, second = (
        np.concatenate([chunk.frames for chunk in read_video_chunks(path, deinterlace=switch)])
        for switch in ("off", "auto")
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("option", ["tone_map", "deinterlace"])
def test_unknown_switch_is_refused(tmp_path, option):
    with pytest.raises(UsageError, match="auto or off"):
        read_video_chunks(tmp_path / "v.mp4", **{option: "on"})


@needs_ffmpeg
@pytest.mark.parametrize(("size", "weights"), [("1280x720", "bt709"), ("640x480", "bt601")])
def test_untagged_file_shows_the_colors_that_were_encoded(tmp_path, size, weights):
    path = tmp_path / "v.mkv"
    convert = f"scale=out_color_matrix={weights}:out_range=tv,format=yuv420p"
    source = f"color=0xC8283C:s={size}:r=5:d=0.6"
    ffmpeg("-f", "lavfi", "-i", source, "-vf", convert, "-c:v", "libx264", "-crf", "5", path)
    [chunk] = read_video_chunks(path)
    np.testing.assert_allclose(chunk.frames[0, 50, 50], [200, 40, 60], atol=7)  # BT.601 for BT.709 is 25 off

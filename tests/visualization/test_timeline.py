from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from save_avs.visualization.plots import save_figure
from save_avs.visualization.timeline import Thumbnails, WaveformEnvelope, plot_timeline

RATE = 16000


def test_envelope_has_the_extremes_of_each_bin():
    waveform = np.random.default_rng(0).uniform(-1, 1, 100_000).astype(np.float32)
    envelope = WaveformEnvelope(bins=64)
    for first in range(0, len(waveform), 3333):
        envelope.add(waveform[first : first + 3333], first / RATE, RATE)
    times, low, high = envelope.curve()
    width = 2048  # 16 samples a bin, doubled until 64 bins hold 100,000
    assert len(times) == len(low) == len(high) == 49
    for i in range(49):
        part = waveform[i * width : (i + 1) * width]
        assert times[i] == pytest.approx((i + 0.5) * width / RATE)
        # A bin that has not been filled yet counts as silence.
        assert low[i] == min(part.min(), 0)
        assert high[i] == max(part.max(), 0)


def test_overlap_and_time_before_zero_are_skipped():
    waveform = np.sin(np.arange(RATE * 4) / 300).astype(np.float32)
    plain, pieces = WaveformEnvelope(), WaveformEnvelope()
    plain.add(waveform, 0.0, RATE)
    padded = np.concatenate([np.full(RATE // 2, 0.9, np.float32), waveform])  # half a second before the start
    for first in range(0, len(padded), 5000):
        piece = padded[first : first + 9000].copy()
        piece[: 4000 if first else 0] = 0.99  # what an earlier piece covered must not be looked at again
        pieces.add(piece, first / RATE - 0.5, RATE)
    for ours, theirs in zip(pieces.curve(), plain.curve(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_gap_between_waveforms_is_silence():
    envelope = WaveformEnvelope()
    envelope.add(np.ones(1600, np.float32), 0.0, RATE)
    envelope.add(np.ones(1600, np.float32), 1.0, RATE)
    times, _, high = envelope.curve()
    assert high[(times > 0.11) & (times < 0.99)].max() == 0
    assert high[times > 1.01].min() == 1


def test_an_hour_of_audio_stays_within_the_bins():
    envelope = WaveformEnvelope(bins=128)
    for second in range(0, 3600, 60):
        envelope.add(np.full(8000 * 60, 0.5, np.float32), float(second), 8000)
    times, _, high = envelope.curve()
    assert 64 <= len(times) <= 128
    assert times[-1] == pytest.approx(3600, abs=60)
    np.testing.assert_allclose(high, 0.5)


@pytest.mark.parametrize("count", [1, 7, 64, 1000])
def test_thumbnails_are_spread_evenly(count):
    thumbnails = Thumbnails(count=8, height=10)
    for i in range(count):
        wanted = thumbnails.wants()
        thumbnails.add(float(i), np.full((40, 60, 3), i % 256, np.uint8))
        assert len(thumbnails.kept) < 16
        assert wanted or thumbnails.kept[-1][0] != i
    times = [t for t, _ in thumbnails.kept]
    assert times[0] == 0
    assert len(times) >= min(count, 8)
    assert len(set(np.diff(times))) <= 1
    assert count - times[-1] <= max(np.diff(times), default=1)
    assert all(image.shape == (10, 15, 3) and (image == t % 256).all() for t, image in thumbnails.kept)


def rendered(path, *, sound=True, areas=(0.0, 0.2, 0.4, 0.1), size=(36, 64), end=4.0, count=4, title="clip"):
    envelope = WaveformEnvelope()
    if sound:
        envelope.add(np.sin(np.arange(round(end * RATE)) / 10).astype(np.float32), 0.0, RATE)
    colors = [np.full((*size, 3), 60 * (i % 4), np.uint8) for i in range(count)]
    thumbnails = [(i * end / max(count, 1), image) for i, image in enumerate(colors)]
    times = np.arange(len(areas)) * end / max(len(areas), 1)
    figure = plot_timeline(
        envelope=envelope, times=times, areas=areas, thumbnails=thumbnails, end=end, title=title
    )
    save_figure(path, figure)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def near(image, color):
    return (np.abs(image - np.array(color)).max(axis=2) < 30).sum()


def test_timeline_shows_sound_area_and_thumbnails(tmp_path):
    blue, orange = (0x3D, 0x6B, 0x99), (0xF0, 0x70, 0x10)
    full = rendered(tmp_path / "a.png")
    assert full.shape[1] == 1440
    assert near(full, blue) > 50_000
    assert near(full, orange) > 500
    assert near(rendered(tmp_path / "b.png", sound=False), blue) < 2000
    assert near(rendered(tmp_path / "c.png", areas=(0.0,) * 4), orange) < near(full, orange)
    assert rendered(tmp_path / "d.png", count=0).shape[0] < full.shape[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "d.png"]


@pytest.mark.parametrize(
    "more",
    [
        {"areas": (), "count": 0, "sound": False},
        {"areas": (0.5,), "count": 1, "end": 0.0},
        {"size": (1, 1)},
        {"size": (640, 36)},
        {"size": (36, 6400)},
        {"areas": (1.0, 1.0), "end": 7200.0, "count": 40, "sound": False},
    ],
)
def test_timeline_of_unusual_videos(tmp_path, more):
    assert rendered(tmp_path / "t.png", **more).size


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("title", [r"a $\frac{$ b.mp4", "a\x1b[2J\n\u202e.mp4", "$x_1$"])
def test_title_is_drawn_literally(tmp_path, title):
    other = rendered(tmp_path / "t.png", title="x")
    assert (rendered(tmp_path / "u.png", title=title) != other).any()


def test_plotting_leaves_pyplot_unchanged(tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_backend()
    rendered(tmp_path / "t.png")
    assert plt.get_fignums() == []
    assert plt.get_backend() == before

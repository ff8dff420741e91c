"""Timeline of a video: its waveform, the marked area, and thumbnails, over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from save_avs._text import escape_control_chars
from save_avs.types import F32, F64, U8
from save_avs.visualization.plots import TEXT_COLOR, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SOUND_COLOR, _AREA_COLOR = "#3d6b99", "#f07010"
_WIDTH, _LEFT, _RIGHT = 12.0, 0.9, 0.2  # inches
_PANEL, _STRIP, _LABEL, _GAP, _TOP, _BOTTOM = 1.25, 1.35, 0.22, 0.22, 0.5, 0.55  # inches


class WaveformEnvelope:
    """Minimum and maximum over time of a waveform of any length, in at most ``bins``, an even number.

    When the waveform outgrows the bins, neighbors merge and each bin then covers twice the time. The first
    begins at ``start`` seconds.
    """

    def __init__(self, start: float = 0.0, bins: int = 2048) -> None:
        self._start = start
        self._low = np.zeros(bins, dtype=np.float32)
        self._high = np.zeros(bins, dtype=np.float32)
        self._width = 16  # samples per bin
        self._end = 0  # samples added so far
        self._sample_rate = 0

    def add(self, waveform: F32, start: float, sample_rate: int) -> None:
        """Add a waveform, f32 [S], that begins at ``start`` seconds.

        Waveforms come in order of time. Samples that were added before, and those before the first bin, are
        skipped, so the overlapping waveforms of successive chunks can be added as they are.
        """
        self._sample_rate = sample_rate
        first = round((start - self._start) * sample_rate)
        waveform = waveform[max(0, self._end - first) :]
        first = max(first, self._end)
        if not len(waveform):
            return
        self._end = first + len(waveform)
        while self._end > len(self._low) * self._width:
            self._halve()
        bins = np.arange(first // self._width, (self._end - 1) // self._width + 1)
        cuts = np.maximum(bins * self._width - first, 0)
        self._low[bins] = np.minimum(self._low[bins], np.minimum.reduceat(waveform, cuts))
        self._high[bins] = np.maximum(self._high[bins], np.maximum.reduceat(waveform, cuts))

    def _halve(self) -> None:
        half = len(self._low) // 2
        for values, merge in ((self._low, np.minimum), (self._high, np.maximum)):
            values[:half] = merge(values[0::2], values[1::2])
            values[half:] = 0
        self._width *= 2

    def curve(self) -> tuple[F64, F32, F32]:
        """Return the filled bins: (center of each in seconds, minimum, maximum)."""
        count = math.ceil(self._end / self._width)
        times = self._start + (np.arange(count) + 0.5) * self._width / max(self._sample_rate, 1)
        return times, self._low[:count].copy(), self._high[:count].copy()


class Thumbnails:
    """Keeps small copies of some images, spread evenly over a stream of unknown length.

    At most twice ``count`` are kept, each ``height`` pixels high.
    """

    def __init__(self, count: int = 16, height: int = 150) -> None:
        self._count = count
        self._height = height
        self._stride = 1
        self._seen = 0
        self.kept: list[tuple[float, U8]] = []

    def wants(self) -> bool:
        """Return whether the next image will be kept, so that others need not be drawn."""
        return self._seen % self._stride == 0

    def add(self, time: float, image: U8) -> None:
        """Offer the next image, u8 [H,W,3]."""
        if self.wants():
            self.kept.append((time, _shrink(image, self._height)))
            if len(self.kept) >= 2 * self._count:
                del self.kept[1::2]
                self._stride *= 2
        self._seen += 1


def _shrink(image: U8, height: int) -> U8:
    if image.shape[0] <= height:
        return image.copy()
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX, reducing_gap=1.0))


def plot_timeline(
    *,
    envelope: WaveformEnvelope,
    times: Sequence[float] | F64,
    areas: Sequence[float] | F64,
    thumbnails: Sequence[tuple[float, U8]],
    end: float,
    start: float = 0.0,
    title: str = "",
) -> Figure:
    """Plot the timeline of a video.

    Args:
        envelope: of its waveform; may be empty.
        times: of the processed frames, in seconds.
        areas: marked share of each frame, 0..1.
        thumbnails: (time, overlay image u8 [H,W,3]) in order of time; as many as fit are shown.
        end: where the time axis ends, seconds.
        start: where it begins.
        title: above the panels, such as the file's name.
    """
    # The object interface: pyplot would keep every figure, and choose a backend for the whole process.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = _TOP + 2 * _PANEL + _GAP + _BOTTOM + (_STRIP if thumbnails else 0)
    figure = Figure(figsize=(_WIDTH, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)

    def panel(top: float, tall: float) -> Axes:
        wide = _WIDTH - _LEFT - _RIGHT
        return figure.add_axes((_LEFT / _WIDTH, 1 - (top + tall) / height, wide / _WIDTH, tall / height))

    extent = (start, max(end, max(times, default=0.0), start + 1e-3))
    _plot_sound(panel(_TOP, _PANEL), envelope, extent)
    area = panel(_TOP + _PANEL + _GAP, _PANEL)
    _plot_area(area, np.asarray(times), np.asarray(areas), extent)
    if thumbnails:
        _plot_strip(panel(_TOP + 2 * _PANEL + _GAP + _BOTTOM, _STRIP), thumbnails, extent, area)
    unit = "min:s" if extent[1] > 120 else "s"
    area.set_xlabel(f"time ({unit})", color=TEXT_COLOR, fontsize=9, labelpad=1)
    if title:
        x, y = _LEFT / _WIDTH, 1 - 0.3 / height
        style = {"color": TEXT_COLOR, "fontsize": 12, "weight": "bold", "parse_math": False}
        figure.text(x, y, escape_control_chars(title), **style)
    return figure


def _style_panel(axes: Axes, extent: tuple[float, float], label: str) -> None:
    axes.set_xlim(*extent)
    axes.set_ylabel(label, color=TEXT_COLOR, fontsize=9)
    style_axes(axes, grid="x")
    if extent[1] > 120:
        axes.xaxis.set_major_formatter(lambda t, _: _format_time(t, extent[1]))


def _plot_sound(axes: Axes, envelope: WaveformEnvelope, extent: tuple[float, float]) -> None:
    _style_panel(axes, extent, "sound")
    axes.set_xticklabels([])
    axes.set_yticks([])
    center, low, high = envelope.curve()
    peak = max(float(np.abs(low).max(initial=0)), float(high.max(initial=0)))
    if peak == 0:
        axes.text(0.5, 0.5, "no sound", transform=axes.transAxes, ha="center", va="center", color="#8a909a")
        axes.set_ylim(-1, 1)
        return
    axes.fill_between(center, low, high, color=_SOUND_COLOR, linewidth=0.4)
    axes.set_ylim(-1.08 * peak, 1.08 * peak)


def _plot_area(axes: Axes, times: F64, areas: F64, extent: tuple[float, float]) -> None:
    _style_panel(axes, extent, "marked area\n(% of frame)")
    percent = 100 * areas
    axes.set_ylim(0, min(100.0, max(1.15 * float(percent.max(initial=0)), 1.0)))
    if len(times):
        # A frame lasts until the next one.
        edges = np.append(times, max(extent[1], times[-1]))
        steps = np.append(percent, percent[-1])
        axes.fill_between(edges, steps, step="post", color=_AREA_COLOR, alpha=0.25, linewidth=0)
        axes.step(edges, steps, where="post", color=_AREA_COLOR, linewidth=1.3)


def _plot_strip(
    axes: Axes, thumbnails: Sequence[tuple[float, U8]], extent: tuple[float, float], above: Axes
) -> None:
    """Plot as many thumbnails as fit next to each other, each with its time, marked on the axis above."""
    start, end = extent
    wide, tall = _WIDTH - _LEFT - _RIGHT, _STRIP
    axes.axis("off")
    first = thumbnails[0][1]
    scale = min((tall - _LABEL) / first.shape[0], wide / first.shape[1])
    size = (first.shape[1] * scale, first.shape[0] * scale)
    slots = max(1, min(len(thumbnails), int((wide + 0.08) // (size[0] + 0.08))))
    style = {"ha": "center", "va": "top", "color": TEXT_COLOR, "fontsize": 8}
    for slot in range(slots):
        wanted = start + (slot + 0.5) / slots * (end - start)
        time, image = min(thumbnails, key=lambda item: abs(item[0] - wanted))
        center = (slot + 0.5) * wide / slots
        left, right = center - size[0] / 2, center + size[0] / 2
        axes.imshow(image, extent=(left, right, tall - size[1], tall), interpolation="antialiased")
        axes.text(center, tall - size[1] - 0.05, _format_time(time, end), **style)
        above.plot(time, 0, marker="^", color=TEXT_COLOR, markersize=4.5, clip_on=False, zorder=5)
    axes.set_xlim(0, wide)
    axes.set_ylim(0, tall)
    axes.set_aspect("auto")


def _format_time(time: float, end: float) -> str:
    return f"{int(time) // 60}:{int(time) % 60:02d}" if end > 120 else f"{time:.2f} s"

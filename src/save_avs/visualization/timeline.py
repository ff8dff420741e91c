"""timeline.png: the sound, how much of the picture is marked, and what it looks like, over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from save_avs._files import atomic_path
from save_avs._text import escape_control_chars
from save_avs.types import F32, F64, U8

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT, _SOUND, _MARKED = "#2b2f36", "#d9dde3", "#3d6b99", "#f07010"
_WIDTH, _LEFT, _RIGHT = 12.0, 0.9, 0.2  # inches
TIME_AXIS_EXTENT = (
    _LEFT / _WIDTH,
    1 - _RIGHT / _WIDTH,
)  # where time begins and ends, shares of the picture's width
_PANEL, _STRIP, _LABEL, _GAP, _TOP, _BOTTOM = 1.25, 1.35, 0.22, 0.22, 0.5, 0.55


class WaveformEnvelope:
    """The outline of a sound of any length in a fixed number of bins.

    When the sound outgrows the bins, neighbors merge and each bin then covers twice the time.

    Args:
        bins: at most this many, an even number.
    """

    def __init__(self, bins: int = 2048) -> None:
        self._low = np.zeros(bins, dtype=np.float32)
        self._high = np.zeros(bins, dtype=np.float32)
        self._width = 16  # samples a bin
        self._end = 0  # samples taken so far
        self._rate = 0

    def add(self, waveform: F32, start: float, sample_rate: int) -> None:
        """Take in a wave, f32 [S], that begins at ``start`` seconds.

        Waves come in order of time. What a former one covered, and what lies before zero, is skipped, so
        the overlapping waves of successive clips can be added as they are.
        """
        self._rate = sample_rate
        first = round(start * sample_rate)
        waveform = waveform[max(0, self._end - first) :]
        first = max(first, self._end)
        if not len(waveform):
            return
        self._end = first + len(waveform)
        while self._end > len(self._low) * self._width:
            self._halve()
        numbers = np.arange(first // self._width, (self._end - 1) // self._width + 1)
        cuts = np.maximum(numbers * self._width - first, 0)
        self._low[numbers] = np.minimum(self._low[numbers], np.minimum.reduceat(waveform, cuts))
        self._high[numbers] = np.maximum(self._high[numbers], np.maximum.reduceat(waveform, cuts))

    def _halve(self) -> None:
        half = len(self._low) // 2
        for values, merge in ((self._low, np.minimum), (self._high, np.maximum)):
            values[:half] = merge(values[0::2], values[1::2])
            values[half:] = 0
        self._width *= 2

    def curve(self) -> tuple[F64, F32, F32]:
        """Return the bins that hold sound: (middle of each in seconds, lowest, highest value)."""
        count = math.ceil(self._end / self._width)
        times = (np.arange(count) + 0.5) * self._width / max(self._rate, 1)
        return times, self._low[:count].copy(), self._high[:count].copy()


class Thumbnails:
    """Keeps small copies of some pictures, spread evenly over a stream of unknown length.

    Args:
        count: at most twice this many are held.
        height: pixels of each copy.
    """

    def __init__(self, count: int = 16, height: int = 150) -> None:
        self._count = count
        self._height = height
        self._stride = 1
        self._seen = 0
        self.kept: list[tuple[float, U8]] = []

    def wants(self) -> bool:
        """Say whether the next picture will be kept: others need not be drawn for it."""
        return self._seen % self._stride == 0

    def add(self, time: float, picture: U8) -> None:
        """Offer the next picture, u8 [H,W,3]."""
        if self.wants():
            self.kept.append((time, _shrink(picture, self._height)))
            if len(self.kept) >= 2 * self._count:
                del self.kept[1::2]
                self._stride *= 2
        self._seen += 1


def _shrink(picture: U8, height: int) -> U8:
    if picture.shape[0] <= height:
        return picture.copy()
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return np.asarray(
        Image.fromarray(picture).resize((width, height), Image.Resampling.BOX, reducing_gap=1.0)
    )


def timeline(
    *,
    envelope: WaveformEnvelope,
    times: Sequence[float] | F64,
    areas: Sequence[float] | F64,
    thumbnails: Sequence[tuple[float, U8]],
    end: float,
    title: str = "",
) -> Figure:
    """Draw the timeline of a video.

    Args:
        envelope: of the sound; may be empty.
        times: of the processed frames, in seconds.
        areas: share of each frame that is marked, 0..1.
        thumbnails: (time, overlay picture u8 [H,W,3]) in order of time; as many as fit are shown.
        end: seconds at which the video ends.
        title: above the picture, such as the file's name.
    """
    # The object interface: pyplot would keep every figure, and choose a back end for the whole process.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = _TOP + 2 * _PANEL + _GAP + _BOTTOM + (_STRIP if thumbnails else 0)
    figure = Figure(figsize=(_WIDTH, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)

    def panel(top: float, tall: float) -> Axes:
        wide = _WIDTH - _LEFT - _RIGHT
        return figure.add_axes((_LEFT / _WIDTH, 1 - (top + tall) / height, wide / _WIDTH, tall / height))

    end = max(end, max(times, default=0.0), 1e-3)
    sound = panel(_TOP, _PANEL)
    _draw_sound(sound, envelope, end)
    marked = panel(_TOP + _PANEL + _GAP, _PANEL)
    _draw_area(marked, np.asarray(times), np.asarray(areas), end)
    if thumbnails:
        _draw_strip(panel(_TOP + 2 * _PANEL + _GAP + _BOTTOM, _STRIP), thumbnails, end, marked)
    marked.set_xlabel("time (min:s)" if end > 120 else "time (s)", color=_INK, fontsize=9, labelpad=1)
    if title:
        x, y = _LEFT / _WIDTH, 1 - 0.3 / height
        figure.text(
            x, y, escape_control_chars(title), color=_INK, fontsize=12, weight="bold", parse_math=False
        )
    return figure


def save_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as a picture, whole or not at all."""
    with atomic_path(path) as part:
        figure.savefig(part)


def _style(axes: Axes, end: float, label: str) -> None:
    axes.set_xlim(0, end)
    axes.set_ylabel(label, color=_INK, fontsize=9)
    axes.tick_params(colors=_INK, labelsize=8, length=3)
    axes.grid(axis="x", color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)
    if end > 120:
        axes.xaxis.set_major_formatter(lambda t, _: _clock(t, end))


def _draw_sound(axes: Axes, envelope: WaveformEnvelope, end: float) -> None:
    _style(axes, end, "sound")
    axes.set_xticklabels([])
    axes.set_yticks([])
    middle, low, high = envelope.curve()
    peak = max(float(np.abs(low).max(initial=0)), float(high.max(initial=0)))
    if peak == 0:
        axes.text(0.5, 0.5, "no sound", transform=axes.transAxes, ha="center", va="center", color="#8a909a")
        axes.set_ylim(-1, 1)
        return
    axes.fill_between(middle, low, high, color=_SOUND, linewidth=0.4)
    axes.set_ylim(-1.08 * peak, 1.08 * peak)


def _draw_area(axes: Axes, times: F64, areas: F64, end: float) -> None:
    _style(axes, end, "marked area\n(% of picture)")
    percent = 100 * areas
    top = min(100.0, max(1.15 * float(percent.max(initial=0)), 1.0))
    axes.set_ylim(0, top)
    if len(times):
        # A frame stays until the next one comes.
        edges = np.append(times, max(end, times[-1]))
        steps = np.append(percent, percent[-1])
        axes.fill_between(edges, steps, step="post", color=_MARKED, alpha=0.25, linewidth=0)
        axes.step(edges, steps, where="post", color=_MARKED, linewidth=1.3)


def _draw_strip(axes: Axes, thumbnails: Sequence[tuple[float, U8]], end: float, above: Axes) -> None:
    """Draw as many thumbnails as fit side by side, each with its time, which is marked on the axis above."""
    wide, tall = _WIDTH - _LEFT - _RIGHT, _STRIP
    axes.axis("off")
    room = tall - _LABEL
    first = thumbnails[0][1]
    scale = min(room / first.shape[0], wide / first.shape[1])
    size = (first.shape[1] * scale, first.shape[0] * scale)
    slots = max(1, min(len(thumbnails), int((wide + 0.08) // (size[0] + 0.08))))
    for slot in range(slots):
        time, picture = _nearest(thumbnails, (slot + 0.5) / slots * end)
        center = (slot + 0.5) * wide / slots
        left, right = center - size[0] / 2, center + size[0] / 2
        axes.imshow(picture, extent=(left, right, tall - size[1], tall), interpolation="antialiased")
        axes.text(
            center, tall - size[1] - 0.05, _clock(time, end), ha="center", va="top", color=_INK, fontsize=8
        )
        above.plot(time, 0, marker="^", color=_INK, markersize=4.5, clip_on=False, zorder=5)
    axes.set_xlim(0, wide)
    axes.set_ylim(0, tall)
    axes.set_aspect("auto")


def _clock(time: float, end: float) -> str:
    return f"{int(time) // 60}:{int(time) % 60:02d}" if end > 120 else f"{time:.2f} s"


def _nearest(thumbnails: Sequence[tuple[float, U8]], time: float) -> Any:
    return min(thumbnails, key=lambda item: abs(item[0] - time))

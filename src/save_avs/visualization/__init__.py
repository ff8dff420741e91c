"""Results as people see them: overlay, matte, timeline, contact sheet, plots, HTML pages."""

from __future__ import annotations

from save_avs.visualization.overlay import MaskPainter, apply_mask_as_alpha, draw_mask
from save_avs.visualization.plots import save_figure
from save_avs.visualization.timeline import Thumbnails, WaveformEnvelope, plot_timeline

__all__ = [
    "MaskPainter",
    "Thumbnails",
    "WaveformEnvelope",
    "apply_mask_as_alpha",
    "draw_mask",
    "plot_timeline",
    "save_figure",
]

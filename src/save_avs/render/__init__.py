"""What people look at and programs read on: overlay, matte, timeline, masks, summary."""

from __future__ import annotations

from save_avs.render.masks import TrackBuilder, encode, load_masks_json, write_masks_json
from save_avs.render.matte import cut_out
from save_avs.render.overlay import draw
from save_avs.render.summary import write_summary
from save_avs.render.timeline import Thumbnails, WaveEnvelope, timeline, write_figure

__all__ = [
    "Thumbnails",
    "TrackBuilder",
    "WaveEnvelope",
    "cut_out",
    "draw",
    "encode",
    "load_masks_json",
    "timeline",
    "write_figure",
    "write_masks_json",
    "write_summary",
]

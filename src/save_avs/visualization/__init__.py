"""What people look at and programs read on: overlay, matte, timeline, masks, summary."""

from __future__ import annotations

from save_avs.formats.masks_json import VideoMasksBuilder, encode_rle, load_masks_json, write_masks_json
from save_avs.formats.summary import write_summary
from save_avs.visualization.matte import apply_mask_as_alpha
from save_avs.visualization.overlay import draw_mask
from save_avs.visualization.timeline import Thumbnails, WaveformEnvelope, save_figure, timeline

__all__ = [
    "Thumbnails",
    "VideoMasksBuilder",
    "WaveformEnvelope",
    "apply_mask_as_alpha",
    "draw_mask",
    "encode_rle",
    "load_masks_json",
    "save_figure",
    "timeline",
    "write_masks_json",
    "write_summary",
]

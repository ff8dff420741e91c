"""File names in the folder of a result."""

from __future__ import annotations

OVERLAY_FILE = "overlay.mp4"
MATTE_FILE = "matte.mov"
MASKS_FILE = "masks.json"
TIMELINE_FILE = "timeline.png"
SUMMARY_FILE = "summary.json"

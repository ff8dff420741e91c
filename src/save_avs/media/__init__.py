"""Frames and sound out of any file, and back into one; timestamps kept."""

from __future__ import annotations

from save_avs.media.atomic import aside, atomic_write
from save_avs.media.files import find_media
from save_avs.media.live import read_live
from save_avs.media.live_source import is_live
from save_avs.media.probe import VideoInfo, probe
from save_avs.media.reader import read_clips
from save_avs.media.writer import VideoWriter

__all__ = [
    "VideoInfo",
    "VideoWriter",
    "aside",
    "atomic_write",
    "find_media",
    "is_live",
    "probe",
    "read_clips",
    "read_live",
]

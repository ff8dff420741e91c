"""Video files and live sources through FFmpeg: probing, reading and writing, timestamps kept."""

from save_avs.video.live import read_live_chunks
from save_avs.video.open_live_source import is_live
from save_avs.video.probe import VideoInfo, probe
from save_avs.video.reader import read_video_chunks
from save_avs.video.writer import VideoWriter

__all__ = [
    "VideoInfo",
    "VideoWriter",
    "is_live",
    "probe",
    "read_live_chunks",
    "read_video_chunks",
]

"""The videos that show a result, written frame by frame: overlay and matte, as far as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from save_avs.inference.output_files import MATTE_FILE, OVERLAY_FILE
from save_avs.inference.settings import SegmentationSettings
from save_avs.inference.sources import VideoSource
from save_avs.types import U8, Bool
from save_avs.video import VideoWriter
from save_avs.video.codecs import H264, PRORES_4444, VideoEncoding
from save_avs.visualization import apply_mask_as_alpha, draw_mask


@dataclass(frozen=True)
class VideoOutputs:
    """Open videos; None where one is not asked for."""

    overlay: VideoWriter | None
    matte: VideoWriter | None

    @property
    def any(self) -> bool:
        """Whether frames are needed at all."""
        return self.overlay is not None or self.matte is not None

    def write(self, frame: U8, mask: Bool, time: float, *, marked: U8 | None = None) -> None:
        """Add a frame, u8 [H,W,3]; ``marked`` is what the overlay shows, where it is drawn already."""
        if self.overlay is not None:
            self.overlay.write(draw_mask(frame, mask) if marked is None else marked, time)
        if self.matte is not None:
            self.matte.write(apply_mask_as_alpha(frame, mask), time)


@contextmanager
def open_video_outputs(
    folder: Path | None, video_source: VideoSource, settings: SegmentationSettings
) -> Iterator[VideoOutputs]:
    """Open those that the settings name in a folder; None of them without one."""

    def opened(name: str, file: str, encoding: VideoEncoding) -> VideoWriter | None:
        if folder is None or name not in settings.outputs:
            return None
        return stack.enter_context(open_writer(video_source, folder / file, settings.fps, encoding))

    with ExitStack() as stack:
        yield VideoOutputs(opened("overlay", OVERLAY_FILE, H264), opened("matte", MATTE_FILE, PRORES_4444))


def open_writer(
    video_source: VideoSource, path: str | Path, fps: float | None, encoding: VideoEncoding = H264
) -> VideoWriter:
    """A video to write about some footage: its size, its sound, its clock."""
    video = video_source.video
    return VideoWriter(
        path,
        width=video.width,
        height=video.height,
        fps=fps or video.fps,
        sample_aspect_ratio=video.sample_aspect_ratio,
        encoding=encoding,
        **video_source.sound,
    )

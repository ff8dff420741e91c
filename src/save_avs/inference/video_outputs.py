"""Overlay, matte and plain videos, and images of frames and logits, written frame by frame."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from save_avs._files import atomic_path
from save_avs.formats.png_npz import write_logits
from save_avs.inference.settings import OUTPUT_FILES, SegmentationSettings
from save_avs.inference.sources import VideoSource
from save_avs.types import F32, U8, FrameMask
from save_avs.video import VideoWriter
from save_avs.video.codecs import H264, PRORES_4444, VideoEncoding
from save_avs.visualization.overlay import MaskPainter, apply_mask_as_alpha


@dataclass(frozen=True)
class VideoOutputs:
    """Open video writers and folders of images, None for what is not written, and what draws masks."""

    overlay: VideoWriter | None
    matte: VideoWriter | None
    video: VideoWriter | None
    frames: Path | None
    logits: Path | None
    draw: MaskPainter

    @property
    def any(self) -> bool:
        """Whether frames are needed at all."""
        return any((self.overlay, self.matte, self.video, self.frames))

    def write(
        self, image: U8, frame: FrameMask, *, drawn: U8 | None = None, logits: F32 | None = None
    ) -> None:
        """Write an image, u8 [H,W,3], with its mask; its overlay ``drawn`` and logits [M,M], if available."""
        if self.logits is not None and logits is not None:
            write_logits(self.logits / f"{frame.index:06d}.png", logits)
        if self.frames is not None:
            with atomic_path(self.frames / f"{frame.index:06d}.png") as part:
                Image.fromarray(image).save(part, compress_level=1)
        if self.overlay is not None:
            self.overlay.write(self.draw(image, frame) if drawn is None else drawn, frame.time)
        if self.video is not None:
            self.video.write(image, frame.time)
        if self.matte is not None:
            self.matte.write(apply_mask_as_alpha(image, frame.mask), frame.time)


@contextmanager
def open_video_outputs(
    folder: Path | None, source: VideoSource, settings: SegmentationSettings
) -> Iterator[VideoOutputs]:
    """Open the videos that the settings name, in a folder; none without a folder.

    At a requested rate overlay and plain video are not among them: they have every frame of the source, and
    are written after.
    """

    def path(name: str) -> Path | None:
        return folder / OUTPUT_FILES[name] if folder is not None and name in settings.outputs else None

    def open_output(name: str, encoding: VideoEncoding = H264) -> VideoWriter | None:
        file, fps = path(name), settings.fps or source.video.fps
        return file and stack.enter_context(open_writer(source, settings, file, fps, encoding))

    with ExitStack() as stack:
        overlay = open_output("overlay") if settings.fps is None else None
        video = open_output("video") if settings.fps is None else None
        matte = open_output("matte", PRORES_4444)
        yield VideoOutputs(overlay, matte, video, path("frames"), path("logits"), settings.painter())


def open_writer(
    source: VideoSource,
    settings: SegmentationSettings,
    path: str | Path,
    fps: float | None = None,
    encoding: VideoEncoding = H264,
) -> VideoWriter:
    """Open a video of the size, sound and, unless another is given, frame rate of a part of a source."""
    video = source.video
    return VideoWriter(
        path,
        width=video.width,
        height=video.height,
        fps=fps or video.fps,
        start=settings.start,
        end=settings.end,
        sample_aspect_ratio=video.sample_aspect_ratio,
        encoding=encoding,
        **source.audio,
    )

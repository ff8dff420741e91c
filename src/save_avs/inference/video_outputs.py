"""Overlay, matte and plain videos, and images of frames and logits, written frame by frame."""

from collections.abc import Iterator, Mapping
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
    """Open writers of overlay, matte and video, folders of frames and logits, by name; what draws masks."""

    writers: Mapping[str, VideoWriter]
    folders: Mapping[str, Path]
    draw: MaskPainter

    @property
    def any(self) -> bool:
        """Whether frames are needed at all."""
        return bool(self.writers) or "frames" in self.folders

    def write(
        self, image: U8, frame: FrameMask, *, drawn: U8 | None = None, logits: F32 | None = None
    ) -> None:
        """Write an image, u8 [H,W,3], with its mask; its overlay ``drawn`` and logits [M,M], if available."""
        if "logits" in self.folders and logits is not None:
            write_logits(self.folders["logits"] / f"{frame.index:06d}.png", logits)
        if "frames" in self.folders:
            with atomic_path(self.folders["frames"] / f"{frame.index:06d}.png") as part:
                Image.fromarray(image).save(part, compress_level=1)
        for name, writer in self.writers.items():
            written = image
            if name == "overlay":
                written = self.draw(image, frame) if drawn is None else drawn
            elif name == "matte":
                written = apply_mask_as_alpha(image, frame.mask)
            writer.write(written, frame.time)


@contextmanager
def open_video_outputs(
    folder: Path | None, source: VideoSource, settings: SegmentationSettings
) -> Iterator[VideoOutputs]:
    """Open the videos that the settings name, in a folder; none without a folder.

    At a requested rate overlay and plain video are not among them: they have every frame of the source, and
    are written after.
    """
    paths = {name: folder / OUTPUT_FILES[name] for name in settings.outputs} if folder else {}
    encodings = {"matte": PRORES_4444} | ({"overlay": H264, "video": H264} if settings.fps is None else {})
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(open_writer(source, settings, path, settings.fps, encodings[name]))
            for name, path in paths.items()
            if name in encodings
        }
        folders = {name: path for name, path in paths.items() if name in ("frames", "logits")}
        yield VideoOutputs(writers, folders, settings.painter())


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

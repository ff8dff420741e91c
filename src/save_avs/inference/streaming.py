"""Segmentation frame by frame, of a file or of a live source."""

import logging
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from save_avs.errors import UsageError
from save_avs.inference.live_overlay import LiveOverlay
from save_avs.inference.predictor import FrameModel, Predictor
from save_avs.inference.prefetch import Prefetcher
from save_avs.inference.settings import SegmentationSettings
from save_avs.runtimes import load_model
from save_avs.types import U8, FrameMask, VideoChunk
from save_avs.video import is_live, read_live_chunks, read_video_chunks
from save_avs.video.container import Switch

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentedFrame(FrameMask):
    """A frame and its mask.

    Attributes:
        index: number of the frame among those read; numbers of dropped frames are missing.
        source_index: number of the frame among all frames of the source.
        time: seconds from the start.
        score: mean probability inside the mask, 0 when it is empty.
        mask: pixels of sounding objects, bool [H,W].
        objects: the connected parts of the mask, the largest first; None where they were not separated.
        image: RGB u8 [H,W,3].
    """

    image: U8 = field(repr=False)


def stream(  # noqa: PLR0913, the options of `save-avs live`
    source: str | os.PathLike[str],
    *,
    model: FrameModel | str | Path = "save-small",
    audio_source: str | None = None,
    fps: float | None = None,
    threshold: float = 0.5,
    chunk: int = 8,
    smooth: float = 0.0,
    objects: bool = False,
    track: bool = False,
    drop: bool | None = None,
    timeout: float = 5.0,
    tone_map: Switch = "auto",
    deinterlace: Switch = "auto",
    overlay: str | Path | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Generator[SegmentedFrame, None, None]:
    """Segment sounding objects frame by frame in bounded memory, in a file or live.

    A live frame comes half a second late, for the sound that follows it, and up to a chunk more. Where the
    model or the loop is slower than a live source, the oldest waiting frames are dropped; those of a file
    or a pipe are all kept. Leaving the loop stops the reading and its threads.

    Args:
        source: a file; or live: a URL (``rtsp://...``), a camera (``/dev/video0``), a named pipe.
        model: from ``load_model``, or its name or folder.
        audio_source: live: where the sound comes from if not from ``source``, such as ``alsa:default``.
        fps: frames to process per second; None for every frame.
        threshold: pixels of a higher probability are marked.
        chunk: frames per forward pass of the model, at most.
        smooth: time constant in seconds of the smoothing of the logits over time; 0 for none.
        objects: also separate each mask into objects, its connected parts.
        track: give the objects ids that persist over time; implies ``objects``.
        drop: live: drop frames rather than fall behind; None: unless the sender waits, as a pipe's does.
        timeout: live: seconds without data after which the source has ended.
        tone_map: ``auto`` maps HDR and BT.2020 to BT.709; ``off`` takes their codes as they are.
        deinterlace: ``auto`` deinterlaces the frames that are marked as interlaced; or ``off``.
        overlay: an .mp4 or .mkv to write as the frames come, with the masks and the sound as the model hears
            it; it can be played while it grows, and is complete when the loop is left, however that happens.
        on_warning: called with each warning, one line; warnings also go to the logger ``save_avs``.

    Raises:
        UsageError: wrong options, no such file, device or model.
        MediaError: the source cannot be read as video, or the connection is lost.

    Examples:
        >>> import save_avs
        >>> for frame in save_avs.stream("clip.mp4", fps=2):
        ...     if frame.index == 3:
        ...         print(f"{frame.time:.1f} s", frame.image.shape, frame.mask.any())
        ...         break
        1.5 s (360, 640, 3) True
    """

    def warn(text: str) -> None:
        _logger.warning("%s", text)
        if on_warning is not None:
            on_warning(text)

    _check_sources(source, audio_source, None if overlay is None else Path(overlay))
    writer = None if overlay is None else LiveOverlay(Path(overlay), SegmentationSettings().painter(), fps)
    network = load_model(model) if isinstance(model, str | Path) else model
    predictor = Predictor(network, threshold, chunk, smooth=smooth, objects=objects, track=track)
    reading: dict[str, Any] = {"fps": fps, "chunk": chunk, "tone_map": tone_map, "deinterlace": deinterlace}
    if is_live(source):
        reading |= {"audio_source": audio_source, "drop": drop, "timeout": timeout}
        chunks = closing(read_live_chunks(source, **reading, on_warning=warn))
    else:
        chunks = Prefetcher(read_video_chunks(source, **reading, on_warning=warn))
    return _frames(predictor, chunks, writer)


def _check_sources(source: str | os.PathLike[str], audio_source: str | None, overlay: Path | None) -> None:
    """Raise a UsageError where the overlay would replace a source, or a file is given other sound."""
    if audio_source is not None and not is_live(source):
        raise UsageError(f"{source}: a file has its own sound: segment it with --audio FILE instead")
    for each in (source, audio_source):
        if overlay and each and overlay.exists() and Path(each).exists() and overlay.samefile(each):
            raise UsageError(f"{overlay}: is a source itself: write the overlay to another file")


def _frames(
    predictor: Predictor,
    reader: AbstractContextManager[Iterable[VideoChunk]],
    overlay: LiveOverlay | None,
) -> Generator[SegmentedFrame, None, None]:
    with reader as chunks, overlay or nullcontext():
        for prediction in predictor(chunks):
            if overlay is not None:
                overlay.add(prediction)
            for i, image in enumerate(prediction.chunk.frames):
                yield SegmentedFrame(**vars(prediction.frame(i)), image=image)

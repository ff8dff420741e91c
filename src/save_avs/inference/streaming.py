"""Frames with their masks, one by one, from a file or from a source that never ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from save_avs.inference.predictor import FrameModel, Predictor
from save_avs.inference.prefetch import Prefetcher
from save_avs.models import load_model
from save_avs.types import U8, Bool, VideoChunk
from save_avs.video import is_live, read_live_chunks, read_video_chunks


@dataclass(frozen=True)
class SegmentedFrame:
    """A frame and the pixels of what sounds in it.

    Attributes:
        index: its number among the frames of the source; one is missing where frames were left out.
        time: seconds from the start.
        image: RGB u8 [H,W,3].
        mask: pixels that sound, bool [H,W].
        score: mean probability inside the mask, 0 when it is empty.
    """

    index: int
    time: float
    image: U8
    mask: Bool
    score: float


def stream(
    source: str | os.PathLike[str],
    *,
    model: FrameModel | str | Path = "save-tiny",
    audio_source: str | None = None,
    fps: float | None = None,
    threshold: float = 0.5,
    chunk: int = 8,
    drop: bool | None = None,
    timeout: float = 5.0,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[SegmentedFrame]:
    """Mark what sounds, frame by frame, in bounded memory: in a file, or live.

    A live frame comes half a second late, for the sound that follows it, and up to a chunk more. Where the
    model or the loop is slower than a live source, the oldest waiting frames are left out; those of a file
    or a pipe are all kept. Leaving the loop stops the reading and its threads.

    Args:
        source: a file; or live: a URL (``rtsp://...``), a camera (``/dev/video0``), a named pipe.
        model: from ``load_model``, or its name or folder.
        audio_source: live: where the sound comes from when not from the source itself, such as ``alsa:default``.
        fps: frames a second to process; None for every frame.
        threshold: pixels of a higher probability are marked.
        chunk: frames the model sees at once, at most.
        drop: live: leave frames out rather than fall behind; None: unless the sender waits, as a pipe's does.
        timeout: live: seconds without anything after which the source has ended.
        on_warning: called with one line for each thing worth knowing.

    Raises:
        UsageError: wrong options, no such file, device or model.
        MediaError: the source cannot be read as video, or breaks off.

    Examples:
        >>> import save_avs
        >>> for frame in save_avs.stream("clip.mp4", fps=2):
        ...     if frame.index == 3:
        ...         print(f"{frame.time:.1f} s", frame.image.shape, frame.mask.any())
        ...         break
        1.5 s (360, 640, 3) True
    """
    network = load_model(model) if isinstance(model, str | Path) else model
    predictor = Predictor(network, threshold, chunk)
    if is_live(source):
        live = read_live_chunks(
            source,
            audio_source=audio_source,
            fps=fps,
            chunk=chunk,
            drop=drop,
            timeout=timeout,
            on_warning=on_warning,
        )
        return _frames(predictor, live)
    return _ahead(predictor, read_video_chunks(source, fps=fps, chunk=chunk, on_warning=on_warning))


def _ahead(predictor: Predictor, clips: Iterable[VideoChunk]) -> Iterator[SegmentedFrame]:
    """Decode while the model works."""
    with Prefetcher(clips) as ready:
        yield from _frames(predictor, ready)


def _frames(predictor: Predictor, clips: Iterable[VideoChunk]) -> Iterator[SegmentedFrame]:
    for found in predictor(clips):
        clip = found.clip
        for i, moment in enumerate(clip.times.tolist()):
            score = float(found.scores[i])
            yield SegmentedFrame(clip.first_index + i, moment, clip.frames[i], found.masks[i], score)

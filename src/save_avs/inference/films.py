"""The videos that show a result, written frame by frame: overlay and matte, as far as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from save_avs.inference.folders import MATTE, OVERLAY
from save_avs.inference.footage import Footage
from save_avs.inference.settings import Settings
from save_avs.media import VideoWriter
from save_avs.media.film import H264, PRORES_4444, Film
from save_avs.render import cut_out, draw
from save_avs.types import U8, Bool


@dataclass(frozen=True)
class Films:
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
            self.overlay.write(draw(frame, mask) if marked is None else marked, time)
        if self.matte is not None:
            self.matte.write(cut_out(frame, mask), time)


@contextmanager
def open_films(folder: Path | None, footage: Footage, settings: Settings) -> Iterator[Films]:
    """Open those that the settings name in a folder; None of them without one."""

    def opened(name: str, file: str, film: Film) -> VideoWriter | None:
        if folder is None or name not in settings.outputs:
            return None
        return stack.enter_context(film_of(footage, folder / file, settings.fps, film))

    with ExitStack() as stack:
        yield Films(opened("overlay", OVERLAY, H264), opened("matte", MATTE, PRORES_4444))


def film_of(footage: Footage, path: str | Path, fps: float | None, film: Film = H264) -> VideoWriter:
    """A video to write about some footage: its size, its sound, its clock."""
    video = footage.video
    return VideoWriter(
        path,
        width=video.width,
        height=video.height,
        fps=fps or video.fps,
        pixel_aspect=video.pixel_aspect,
        film=film,
        **footage.sound,
    )

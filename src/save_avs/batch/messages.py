"""What goes to a worker and what comes back: a clip by its name; its masks, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from save_avs.types import VideoMasks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from save_avs.audio import Frontend
    from save_avs.models.save import Precision, Resize
    from save_avs.types import F32


@dataclass(frozen=True)
class Entry:
    """A clip of the archive.

    Attributes:
        location: a path, or an address that fsspec opens.
        name: by which results know it: an absolute path or the address, always text.
    """

    location: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a worker must know of a model that it asks elsewhere; as ``FrameModel`` has them."""

    name: str
    image_size: int
    resize: Resize
    frontend: Frontend
    precision: Precision
    runtime: str


@dataclass(frozen=True)
class Question:
    """What such a model is shown: images u8 [B,3,S,S], patches f32 [B,1,frames,bands]."""

    images: NDArray[np.uint8]
    log_mel: F32


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What every worker needs to know.

    Attributes:
        model, device, precision, runtime: as ``load_model`` takes them.
        fps, threshold: as ``segment`` takes them.
        overlays: folder for overlay videos, None to draw none.
        scratch: folder for copies of clips that lie elsewhere, None for the system's.
        lent: what is known of a model that lies elsewhere and is asked; None to load it in the worker.
    """

    model: str
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    fps: float | None = None
    threshold: float = 0.5
    overlays: str | None = None
    scratch: str | None = None
    lent: Facts | None = None


@dataclass(frozen=True, kw_only=True)
class Done:
    """A clip with its masks.

    Attributes:
        name, identity: of the clip; ``identity`` tells whether the file is still the same.
        model: what computed it: name, precision, runtime.
        video_masks: the masks.
        fps, duration: of the clip; duration None when it does not say.
        warnings: what was worth knowing, one line each.
        overlay: name of its folder among the overlays, or None.
        seconds: what it took.
    """

    name: str
    identity: str
    model: str
    video_masks: VideoMasks
    fps: float
    duration: float | None
    warnings: tuple[str, ...]
    overlay: str | None
    seconds: float


# Statuses of clips that may not be to blame themselves: it may have been memory, or the network.
PASSING = frozenset({"crashed", "system", "unreachable"})


@dataclass(frozen=True)
class Failed:
    """A clip that could not be done: ``status`` is the kind of reason, ``reason`` one line."""

    name: str
    identity: str
    status: str
    reason: str


Outcome = Done | Failed

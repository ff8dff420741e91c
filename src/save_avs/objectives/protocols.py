"""Named scoring protocols: each public code base's way of scoring masks, as one small object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from save_avs.errors import UsageError

BENCHMARK_SIZE = 224  # side at which the benchmark's code compares masks, pixels


@dataclass(frozen=True)
class View:
    """How a frame's logits meet its truth.

    Attributes:
        size: side of the square both are brought to in pixels, ``truth`` for the truth's own size, or
            ``network`` for the size the model sees. Logits are resized bilinearly, the truth by nearest
            neighbour.
        threshold: a pixel is in the mask when its probability is above it.
        raw_f: F thresholds logits where it should threshold probabilities.
    """

    size: int | Literal["truth", "network"] = "truth"
    threshold: float = 0.5
    raw_f: bool = False


@dataclass(frozen=True)
class Protocol:
    """How frames become a score.

    Attributes:
        name: what it is asked for by.
        says: what it does, in one line of a report.
        view: how single frames are compared.
        clips_per_batch: clips that are scored by themselves before batches are averaged; None for one batch
            of all.
        pooled: intersections and unions are summed over the data set; the score is the mean of the marked
            class's and the background's.
        open_size: the user may choose the size.
    """

    name: str
    says: str
    view: View = field(default_factory=View)
    clips_per_batch: int | None = None
    pooled: bool = False
    open_size: bool = False


_OFFICIAL = "the benchmark's public code, 224 x 224: mean IoU and best F of each batch of {}, averaged"

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("official", _OFFICIAL.format("1 clip"), View(BENCHMARK_SIZE), clips_per_batch=1),
        Protocol("official-batch4", _OFFICIAL.format("4 clips"), View(BENCHMARK_SIZE), clips_per_batch=4),
        Protocol("dataset", "every frame counts once; one F curve over all frames", open_size=True),
        Protocol(
            "sama",
            "SAMA-AVS's public code: at the network's size, F thresholds logits, batches of 1 clip",
            View("network", raw_f=True),
            clips_per_batch=1,
        ),
        Protocol(
            "gavs",
            "GAVS's public code: threshold 0.4 at the truth's own size, batches of 1 clip",
            View(threshold=0.4),
            clips_per_batch=1,
        ),
        Protocol(
            "cavp",
            "CAVP's public code, 224 x 224: pixels summed over the data set, mean of mask and background",
            View(BENCHMARK_SIZE),
            pooled=True,
        ),
    )
}


def choose_protocols(names: Iterable[str], size: int | None = None) -> tuple[Protocol, ...]:
    """Protocols by name, each once; ``size`` sets the side where a protocol leaves it open.

    Raises:
        UsageError: on an unknown name, and on a size that none of them asks for.
    """
    chosen = tuple(dict.fromkeys(names))
    if unknown := [name for name in chosen if name not in PROTOCOLS]:
        raise UsageError(f"unknown protocol '{unknown[0]}': choose of {', '.join(PROTOCOLS)}")
    protocols = tuple(PROTOCOLS[name] for name in chosen)
    if not protocols:
        raise UsageError(f"no protocol given: choose of {', '.join(PROTOCOLS)}")
    if size is None:
        return protocols
    if not any(protocol.open_size for protocol in protocols):
        free = ", ".join(name for name, protocol in PROTOCOLS.items() if protocol.open_size)
        raise UsageError(f"the size of {', '.join(chosen)} is fixed: leave --size out, or add {free}")
    return tuple(p if not p.open_size else replace(p, view=replace(p.view, size=size)) for p in protocols)

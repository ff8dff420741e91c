"""Named scoring protocols: each public code base's way of scoring masks, as one small object."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from save_avs.errors import UsageError

BENCHMARK_SIZE = 224  # side at which the benchmark's code compares masks, pixels


@dataclass(frozen=True)
class FrameScoring:
    """How a frame's logits are compared with its target."""

    # side of the square both are resized to in pixels, ``target`` for the target's own size, or ``network``
    # for the size of the model's input. Logits are resized bilinearly, targets by nearest neighbor.
    size: int | Literal["target", "network"] = "target"
    threshold: float = 0.5  # a pixel is in the mask when its probability is above it
    f_from_logits: bool = False  # F thresholds logits instead of probabilities


@dataclass(frozen=True)
class ScoringProtocol:
    """How frames become a score."""

    name: str  # for the command line
    description: str  # one line for reports
    scoring: FrameScoring = field(default_factory=FrameScoring)  # of single frames
    # clips that are scored together before batches are averaged; None for one batch
    clips_per_batch: int | None = None
    # intersections and unions are summed over the data set; the score is the mean of the mask's and the
    # background's
    pooled: bool = False
    size_is_configurable: bool = False  # whether the user may choose the size


_OFFICIAL = "the benchmark's public code, 224 x 224: mean IoU and best F of each batch of {}, averaged"
_AT_224 = FrameScoring(BENCHMARK_SIZE)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        ScoringProtocol("official", _OFFICIAL.format("1 clip"), _AT_224, clips_per_batch=1),
        ScoringProtocol("official-batch4", _OFFICIAL.format("4 clips"), _AT_224, clips_per_batch=4),
        ScoringProtocol(
            "dataset", "every frame counts once; one F curve over all frames", size_is_configurable=True
        ),
        ScoringProtocol(
            "sama",
            "SAMA-AVS's public code: at the network's size, F thresholds logits, batches of 1 clip",
            FrameScoring("network", f_from_logits=True),
            clips_per_batch=1,
        ),
        ScoringProtocol(
            "gavs",
            "GAVS's public code: threshold 0.4 at the target's own size, batches of 1 clip",
            FrameScoring(threshold=0.4),
            clips_per_batch=1,
        ),
        ScoringProtocol(
            "cavp",
            "CAVP's public code, 224 x 224: pixels summed over the data set, mean of mask and background",
            _AT_224,
            pooled=True,
        ),
    )
}


def get_protocols(names: Iterable[str], size: int | None = None) -> tuple[ScoringProtocol, ...]:
    """Return protocols by name, without duplicates; ``size`` sets the side where it is configurable.

    A UsageError on an unknown name, and on a size that no protocol can use.
    """
    unique = tuple(dict.fromkeys(names))
    if unknown := [name for name in unique if name not in PROTOCOLS]:
        raise UsageError(f"unknown protocol '{unknown[0]}'. Choose from: {', '.join(PROTOCOLS)}")
    protocols = tuple(PROTOCOLS[name] for name in unique)
    if not protocols:
        raise UsageError(f"no protocol given. Choose from: {', '.join(PROTOCOLS)}")
    if size is None:
        return protocols
    if not any(protocol.size_is_configurable for protocol in protocols):
        others = ", ".join(name for name, protocol in PROTOCOLS.items() if protocol.size_is_configurable)
        raise UsageError(f"the size of {', '.join(unique)} is fixed: omit --size, or add {others}")
    return tuple(
        replace(p, scoring=replace(p.scoring, size=size)) if p.size_is_configurable else p for p in protocols
    )

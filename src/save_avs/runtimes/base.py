"""What a runtime is: it writes a graph in a form of its own, and runs what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from torch import Tensor

from save_avs._extras import missing_packages
from save_avs.models.save import SAVE, Precision


class InferenceSession(Protocol):
    """A model that is ready to run: images u8 [B,3,S,S], patches f32 [B,1,T,F] -> logits f32 [B,1,M,M]."""

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Mark what sounds."""
        ...


class Runtime(Protocol):
    """A way to compute a SAVE without torch.

    Attributes:
        name: how it is chosen, and the extra that brings its packages.
        packages: what it imports.
    """

    name: str
    packages: tuple[str, ...]

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What it can compute in."""
        ...

    def export(self, model: SAVE, folder: Path) -> None:
        """Write the graph of a float32 model, in evaluation mode on the CPU, into an empty folder."""
        ...

    def open(self, folder: Path, precision: Precision) -> InferenceSession:
        """Make what ``export`` wrote ready to run, on torch's number of threads."""
        ...


def is_installed(runtime: Runtime) -> bool:
    """Whether a runtime's packages are there."""
    return not missing_packages(*runtime.packages)

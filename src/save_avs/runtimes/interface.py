"""The protocol of runtimes, and tracing a SAVE into the graph that they convert."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from save_avs._extras import missing_packages
from save_avs.models.save import SAVE, Precision

MAX_BATCH = 1024  # frames


# A model ready to run: images u8 [B,3,S,S], log-mel patches f32 [B,1,T,F] -> logits f32 [B,1,M,M].
InferenceSession = Callable[[Tensor, Tensor], Tensor]


class Runtime(Protocol):
    """A way to compute a SAVE without torch."""

    name: str  # its name, and that of the extra that installs its packages
    packages: tuple[str, ...]  # what it imports

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions it supports."""
        ...

    def export(self, model: SAVE, folder: Path) -> None:
        """Write the graph of a float32 model, in evaluation mode on the CPU, into an empty folder."""

    def open(self, folder: Path, precision: Precision) -> InferenceSession:
        """Open what ``export`` wrote, with torch's number of threads."""
        ...


def is_installed(runtime: Runtime) -> bool:
    """Whether a runtime's packages are installed."""
    return not missing_packages(*runtime.packages)


def trace_model(model: SAVE) -> ExportedProgram:
    """The graph of ``SAVE.forward`` for any number of frames; the model as for ``Runtime.export``."""
    side = model.image_size
    images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    log_mel = torch.zeros(2, 1, *model.frontend.shape)
    frames = Dim("frames", min=1, max=MAX_BATCH)
    with torch.no_grad():
        return torch.export.export(model, (images, log_mel), dynamic_shapes=({0: frames}, {0: frames}))


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Silence exporters, which warn of operations and packages that this model does not use."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

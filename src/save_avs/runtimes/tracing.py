"""A SAVE as a graph that runtimes read."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.export import Dim, ExportedProgram

from save_avs.models.save import SAVE

MOST = 1024  # frames at once


def trace(model: SAVE) -> ExportedProgram:
    """The graph of ``SAVE.forward`` for any number of frames.

    Args:
        model: float32, in evaluation mode, on the CPU.
    """
    side = model.image_size
    images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    log_mel = torch.zeros(2, 1, *model.frontend.shape)
    frames = Dim("frames", min=1, max=MOST)
    with torch.no_grad():
        return torch.export.export(model, (images, log_mel), dynamic_shapes=({0: frames}, {0: frames}))


@contextmanager
def without_remarks() -> Iterator[None]:
    """Silence exporters: they warn of operations and packages that this model does not have."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

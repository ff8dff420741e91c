"""Loading models for commands, announced on stderr."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from save_avs.cli._console import print_info


def load_and_announce(name: str, *, device: str, precision: str, runtime: str = "torch") -> Any:
    """Load a model (a SAVE, or a RuntimeModel with another runtime), and print what it is and how it runs."""
    with collection_paused():
        from save_avs.runtimes import load_model

        model = load_model(name, device=device, precision=precision, runtime=runtime)
    print_info(f"model {model.name} on {model.device}, {model.precision}, {model.runtime}")
    return model


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause garbage collection while torch is imported, and leave all that exists then out of later ones.

    Collecting torch's half a million objects, several times and once more at exit, takes a fifth of a second.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()

"""Everything that is looked at, in the order it is told."""

from __future__ import annotations

from collections.abc import Iterator

from save_avs.doctor.finding import Finding
from save_avs.doctor.machine import devices, processor
from save_avs.doctor.software import extras, model, packages
from save_avs.doctor.storage import cache, weights
from save_avs.video.codecs import check_codecs

ESSENTIAL = ("H.264", "AAC")  # of which overlays are made


def examine() -> Iterator[Finding]:
    """Look at everything, one finding after the other."""
    yield from packages()
    yield from _codecs()
    yield from processor()
    yield from devices()
    yield from cache()
    yield from weights()
    yield from extras()
    yield model()


def _codecs() -> Iterator[Finding]:
    for name, failure in check_codecs().items():
        problem = f"{name} cannot be written ({failure}): reinstall av" if failure else ""
        yield Finding("codecs", name, not failure, problem=problem if name in ESSENTIAL else "")

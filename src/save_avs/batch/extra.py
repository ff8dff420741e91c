"""The packages of bulk runs, which only this extra brings."""

from __future__ import annotations

from importlib.util import find_spec

from save_avs.errors import UsageError


def require(*names: str) -> None:
    """Check that the packages are there.

    Raises:
        UsageError: one is missing; the line says how to install it.
    """
    if missing := [name for name in names if find_spec(name) is None]:
        raise UsageError(f"this needs more packages ({', '.join(missing)}): pip install 'save-avs[cluster]'")

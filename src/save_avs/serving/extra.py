"""The packages of the service, which only this extra brings."""

from __future__ import annotations

from importlib.util import find_spec

from save_avs.errors import UsageError

_ALWAYS = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
_PAGE = ("gradio",)


def require(*, page: bool) -> None:
    """Check that the packages are there.

    Raises:
        UsageError: one is missing; the line says how to install it.
    """
    missing = [name for name in (*_ALWAYS, *(_PAGE if page else ())) if find_spec(name) is None]
    if missing:
        raise UsageError(f"serve needs more packages ({', '.join(missing)}): pip install 'save-avs[serve]'")

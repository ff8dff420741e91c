"""Self-contained HTML pages: style and images are embedded in the one file."""

from __future__ import annotations

import base64
from datetime import timedelta
from importlib.resources import files
from typing import Any


def render_html(package: str, template: str, **values: Any) -> str:
    """Fill a Jinja template of a package, such as ``save_avs.training.callbacks``; every value is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _format_number, "duration": _format_duration}
    style = files("save_avs.visualization").joinpath("page.css").read_text("utf-8")
    page = environment.from_string(files(package).joinpath(template).read_text("utf-8"))
    return page.render(style=style, **values)


def data_url(mime_type: str, content: bytes) -> str:
    """Return an image as a ``data:`` URL."""
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def _format_number(value: float) -> str:
    """Format with four significant digits."""
    return f"{value:.4g}"


def _format_duration(seconds: float) -> str:
    """Format as days, hours, minutes and seconds: ``1:02:03``."""
    return str(timedelta(seconds=round(seconds)))

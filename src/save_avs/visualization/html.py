"""Pages of one HTML file: their style and their pictures lie in them."""

from __future__ import annotations

import base64
from datetime import timedelta
from importlib.resources import files
from typing import Any


def render_html(room: str, template: str, **values: Any) -> str:
    """Fill a Jinja template that lies in a room, ``save_avs.training.callbacks``; every value is escaped."""
    from jinja2 import Environment, StrictUndefined

    pages = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"number": number, "duration": duration}
    style = files("save_avs.visualization").joinpath("page.css").read_text("utf-8")
    return pages.from_string(files(room).joinpath(template).read_text("utf-8")).render(style=style, **values)


def data_url(kind: str, content: bytes) -> str:
    """A picture as the address of itself; ``kind`` is its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Days, hours, minutes and seconds: ``1:02:03``."""
    return str(timedelta(seconds=round(seconds)))

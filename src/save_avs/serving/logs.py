"""Log of a server: text for people, or one JSON object per line for programs."""

import logging
import socket

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

log = logging.getLogger("uvicorn.error")


def use_json() -> None:
    """Log everything from level INFO on as JSON lines on stderr: jobs, problems, tracebacks."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(message)s",
            rename_fields={"levelname": "level", "exc_info": "traceback"},
            static_fields={"server": socket.gethostname()},
            timestamp="time",
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def log_job(event: str, id: str, **facts: object) -> None:
    """Log an event of a job; only a part of its id, which is a secret."""
    log.info(event, extra={"job": id[:8], **facts})

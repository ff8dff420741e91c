"""The REST service and its web page: jobs on disk, and worker processes that run them."""

from save_avs._extras import require

require(
    "serve",
    "fastapi",
    "uvicorn",
    "httpcore",
    "python_multipart",
    "prometheus_client",
    "pythonjsonlogger",
    "sqlalchemy",
)

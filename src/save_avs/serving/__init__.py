"""The REST service and the web page: jobs on disk, worker processes that run them, and who may see what."""

from __future__ import annotations

from save_avs._extras import require

require("serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")

"""Errors of the service, and the HTTP answers to them: ``{"error": {"code": ..., "message": ...}}``."""

import errno

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException

from save_avs.errors import SaveAvsError, UsageError

_CODES = {404: "not_found", 405: "wrong_method", 413: "too_large"}
STATUSES = {
    "bad_request": 400,  # a header or the request line is malformed
    "bad_form": 400,  # the form cannot be parsed
    "too_slow": 408,  # the form takes too long to arrive
    "ended": 409,  # the job has ended, so it cannot be cancelled
    "too_large": 413,  # the video, or the body of another request
    "no_form": 415,  # the body is not multipart/form-data
    "queue_full": 429,  # no further job can wait
    "overloaded": 503,  # out of file handles or memory, for now
    "store_unavailable": 503,  # the job database cannot be reached
    "disk_full": 507,  # not enough disk space for the video
}
DISK_FULL = "This server's disk is full: try again later."


class ServiceError(SaveAvsError):
    """A request that cannot be served. ``code``: one of ``STATUSES``; ``retry_after``: seconds to wait."""

    def __init__(self, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code, self.retry_after = code, retry_after


def error_content(code: str, message: str) -> dict[str, dict[str, str]]:
    """The content of every error."""
    return {"error": {"code": code, "message": message}}


def error_response(status: int, code: str, message: str) -> Response:
    """An error as JSON."""
    return JSONResponse(error_content(code, message), status)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of an app as JSON."""
    app.add_exception_handler(SaveAvsError, _known)
    app.add_exception_handler(OSError, _system)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _known(request: Request, error: Exception) -> Response:
    if not isinstance(error, UsageError | ServiceError):
        return error_response(500, "internal", str(error))
    code = error.code if isinstance(error, ServiceError) else "bad_option"
    request.app.state.service.metrics.refused.labels(code).inc()
    if isinstance(error, UsageError):
        return error_response(422, code, str(error))
    response = error_response(STATUSES[error.code], error.code, str(error))
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.code in ("too_large", "too_slow", "disk_full"):
        response.headers["Connection"] = "close"  # else the rest of the body would still be read
    return response


async def _system(request: Request, error: Exception) -> Response:
    """Answer a request for which there was no space, handle or memory."""
    assert isinstance(error, OSError)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return await _known(request, ServiceError("disk_full", DISK_FULL))
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        text = "This server has no file handles or memory left: try again later."
        return await _known(request, ServiceError("overloaded", text, retry_after=5))
    raise error


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return error_response(422, "bad_option", f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    code = _CODES.get(error.status_code, "refused")
    response = error_response(error.status_code, code, str(error.detail))
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(sorted(_allowed_methods(request)))
    return response


def _allowed_methods(request: Request) -> set[str]:
    """Methods of all routes of a path: Starlette names those of the first alone."""
    routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
    matching = [route for route in routes if route.path_regex.match(request.url.path)]
    return {method for route in matching for method in route.methods or ()}


async def _unexpected(_: Request, error: Exception) -> Response:
    return error_response(500, "internal", "The server failed: see its log.")

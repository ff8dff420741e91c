"""Errors of the service, and the HTTP answers to them: ``{"error": {"code": ..., "message": ...}}``."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException

from save_avs.errors import SaveAvsError, UsageError

_CODES = {404: "not_found", 405: "wrong_method", 413: "too_large"}


class ServiceError(SaveAvsError):
    """An error that is answered to the client: ``{"error": {"code": ..., "message": ...}}``."""

    status = 500
    code = "internal"


class InvalidFormError(ServiceError):
    """The form cannot be parsed."""

    status, code = 400, "bad_form"


class UploadTimeoutError(ServiceError):
    """The form takes too long to arrive."""

    status, code = 408, "too_slow"


class JobEndedError(ServiceError):
    """The job has ended, so it cannot be cancelled."""

    status, code = 409, "ended"


class UploadTooLargeError(ServiceError):
    """The video, or the body of another request, is larger than its limit."""

    status, code = 413, "too_large"


class NotAFormError(ServiceError):
    """The body is not multipart/form-data."""

    status, code = 415, "no_form"


class QueueFullError(ServiceError):
    """No further job can wait. ``retry_after``: seconds until a place may be free."""

    status, code = 429, "queue_full"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"The queue is full: try again in {retry_after} s.")
        self.retry_after = retry_after


def error_response(status: int, code: str, message: str) -> Response:
    """An error as JSON."""
    return JSONResponse({"error": {"code": code, "message": message}}, status)


def job_not_found() -> HTTPException:
    """The answer for a job that never existed, has expired, or was deleted: nobody can tell which."""
    return HTTPException(404, "No such job: it may have expired or been deleted.")


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of an app as JSON."""
    app.add_exception_handler(SaveAvsError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _known(_: Request, error: Exception) -> Response:
    if isinstance(error, UsageError):
        return error_response(422, "bad_option", str(error))
    if not isinstance(error, ServiceError):
        return error_response(500, "internal", str(error))
    response = error_response(error.status, error.code, str(error))
    if isinstance(error, QueueFullError):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, UploadTooLargeError | UploadTimeoutError):
        response.headers["Connection"] = "close"  # else the rest of the body would still be read
    return response


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

"""HTTP answers to errors, all of one form: ``{"error": {"code": ..., "message": ...}}``."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException

from save_avs.errors import SaveAvsError, UsageError
from save_avs.serving.errors import QueueFullError, ServiceError, UploadTimeoutError, UploadTooLargeError

_CODES = {404: "not_found", 405: "wrong_method", 413: "too_large"}


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

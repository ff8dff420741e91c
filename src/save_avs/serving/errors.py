"""Errors as answers: a status for each kind, and one form for all of them."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as AnyHTTPException

from save_avs.errors import SaveAvsError, UsageError
from save_avs.serving.auth import refusal
from save_avs.serving.job_queue import QueueFullError
from save_avs.serving.service import JobEndedError
from save_avs.serving.upload import FormError, NotAFormError, UploadTimeoutError, UploadTooLargeError

_STATUSES: dict[type[SaveAvsError], tuple[int, str]] = {
    FormError: (400, "bad_form"),
    UploadTimeoutError: (408, "too_slow"),
    JobEndedError: (409, "ended"),
    UploadTooLargeError: (413, "too_large"),
    NotAFormError: (415, "no_form"),
    UsageError: (422, "bad_option"),
    QueueFullError: (429, "queue_full"),
}


def not_found() -> HTTPException:
    """What is said of jobs that are not there, whatever the reason: an id is either known or it is not."""
    return HTTPException(404, "no such job, or not any more")


def answer_failures(app: FastAPI) -> None:
    """Let every error of an app be answered in one form."""
    app.add_exception_handler(SaveAvsError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(AnyHTTPException, _plain)
    app.add_exception_handler(Exception, _unknown)


async def _known(_: Request, error: Exception) -> Response:
    status, code = _STATUSES.get(type(error), (500, "internal"))  # type: ignore[arg-type]
    answer = refusal(status, code, str(error))
    if isinstance(error, QueueFullError):
        answer.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, UploadTooLargeError | UploadTimeoutError):
        answer.headers["Connection"] = "close"  # else the rest of it would still be read
    return answer


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return refusal(422, "bad_option", f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "refused")
    answer = refusal(error.status_code, code, str(error.detail))
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """What a path can be asked with: several routes may share it, each with its own method."""
    routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
    fitting = [route for route in routes if route.path_regex.match(request.url.path)]
    return {method for route in fitting for method in route.methods or ()}


async def _unknown(_: Request, error: Exception) -> Response:
    return refusal(500, "internal", "the server failed; its log says where")

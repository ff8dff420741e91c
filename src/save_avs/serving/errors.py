"""Errors of the service: each with the HTTP status and the code of its answer."""

from __future__ import annotations

from save_avs.errors import SaveAvsError


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


class JobFailedError(SaveAvsError):
    """A video beyond the limits of the service, or one that cannot be fetched; ``code`` tells which."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

"""What the service answers, as its OpenAPI document tells it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from save_avs.serving.job import Job, JobError, JobOptions, JobProgress, JobState
from save_avs.serving.upload import FILE

_ID = "0f3a9c64e1d24b7a8c55d0e6b1f27a90"


class Failure(BaseModel):
    """Every error, whatever its status."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"error": {"code": "queue_full", "message": "all places in the queue are taken"}}]
        }
    )
    error: JobError


class JobView(BaseModel):
    """A job as its owner sees it; times are seconds since 1970."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "state": "done",
                    "name": "clip.mp4",
                    "options": {
                        "model": "save-tiny",
                        "fps": "native",
                        "threshold": 0.5,
                        "save": ["overlay", "masks"],
                    },
                    "created": 1767225600.0,
                    "started": 1767225600.1,
                    "ended": 1767225604.8,
                    "expires": 1767312004.8,
                    "progress": {"phase": "done", "fraction": 1.0, "frames": 0, "rate": 0.0, "left": None},
                    "queue_position": None,
                    "warnings": [],
                    "error": None,
                    "results": {"overlay.mp4": f"/v1/jobs/{_ID}/result/overlay.mp4"},
                }
            ]
        }
    )
    id: str
    state: JobState
    name: str
    options: JobOptions
    created: float
    started: float | None
    ended: float | None
    expires: float | None = Field(description="when the job and its files are removed")
    progress: JobProgress
    queue_position: int | None = Field(description="jobs before this one; null when it does not wait")
    warnings: list[str]
    error: JobError | None
    results: dict[str, str] = Field(description="name of each file to the path it is read from")

    @classmethod
    def of(
        cls, job: Job, *, progress: JobProgress, ahead: int | None, keep: float, results: dict[str, str]
    ) -> JobView:
        """Show a job."""
        shown = {name: getattr(job, name) for name in cls.model_fields if hasattr(job, name)}
        expires = None if job.ended is None else job.ended + keep
        return cls(**shown, progress=progress, queue_position=ahead, expires=expires, results=results)


class ModelView(BaseModel):
    """A model that is served."""

    name: str
    image_size: int = Field(description="side of the square it sees, pixels")
    device: str
    precision: str
    runtime: str


class LimitsView(BaseModel):
    """What this server takes on."""

    size: int = Field(description="bytes of a video")
    duration: float = Field(description="seconds of a video")
    side: int = Field(description="pixels of a video's longer side")
    time: float = Field(description="seconds that a job may take")
    memory: int = Field(description="bytes that its worker may hold, models included")
    queue: int = Field(description="jobs that may wait")
    keep: float = Field(description="seconds for which a finished job stays")


class ModelsView(BaseModel):
    """The models; the first is taken when none is named."""

    models: list[ModelView]
    limits: LimitsView


class FramesView(BaseModel):
    """The processed frames of a video, in order: each column has an entry for each."""

    indices: list[int] = Field(description="number of the frame in the video")
    times: list[float] = Field(description="seconds at which it is shown")
    scores: list[float] = Field(description="mean probability inside its mask, 0 where it is empty")
    areas: list[float] = Field(description="share of the picture that is marked, 0..1")


class Health(BaseModel):
    """Whether the server is well."""

    status: str


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare the errors of a route."""
    said = {
        400: "the request cannot be read",
        404: "no such job, or not any more",
        408: "the upload took too long",
        409: "the job is not in a state for it",
        413: "the video is too large",
        415: "not a form",
        422: "wrong options",
        429: "the queue is full; the header Retry-After says for how many seconds",
        503: "no worker is ready",
        507: "the disk is nearly full",
    }
    return {
        401: {"model": Failure, "description": "no token, or a wrong one"},
        403: {"model": Failure, "description": "sent by a page of another site"},
        **{status: {"model": Failure, "description": said[status]} for status in statuses},
    }


def submission(models: list[str], *, links: bool) -> dict[str, Any]:
    """Describe the form of a video: it is read by hand while it arrives."""
    options = JobOptions.model_json_schema()["properties"]
    options["model"] = {"type": "string", "enum": models, "default": models[0]}
    properties: dict[str, Any] = {
        FILE: {"type": "string", "format": "binary", "description": "the video, in any format FFmpeg reads"},
        **options,
    }
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    if links:
        properties["url"] = {"type": "string", "format": "uri", "description": "in place of the video"}
        schema["oneOf"] = [{"required": [FILE]}, {"required": ["url"]}]
    else:
        schema["required"] = [FILE]
    example = {"model": models[0], "fps": 5, "threshold": 0.5, "save": ["overlay", "masks"]}
    content = {
        "multipart/form-data": {"schema": schema, "examples": {"five frames a second": {"value": example}}}
    }
    return {"requestBody": {"required": True, "content": content}}

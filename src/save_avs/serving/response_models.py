"""Response models of the REST API, and what its OpenAPI document says about forms and errors."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from save_avs.serving.config import ServiceLimits
from save_avs.serving.job import Job, JobError, JobOptions, JobProgress, JobState, PromptOptions
from save_avs.serving.job_files import FRAMES
from save_avs.serving.upload import AUDIO, FILE, MAX_FRAMES

_ID = "0f3a9c64e1d24b7a8c55d0e6b1f27a90"
_OPTIONS_EXAMPLE = JobOptions.model_validate({"model": "save-small", "save": ["overlay", "masks"]})
_JOB_EXAMPLE = {
    **Job(
        id=_ID,
        name="clip.mp4",
        options=_OPTIONS_EXAMPLE,
        state=JobState.DONE,
        created=1767225600.0,
        started=1767225600.1,
        ended=1767225604.8,
        attempts=1,
    ).model_dump(mode="json"),
    "expires": 1767312004.8,
    "progress": JobProgress(phase="done", fraction=1.0).model_dump(),
    "queue_position": None,
    "results": {"overlay.mp4": f"/v1/jobs/{_ID}/result/overlay.mp4"},
}
_ERRORS = {
    400: "the request cannot be parsed",
    401: "missing or wrong token",
    403: "sent by a page of another site, or to a foreign host name",
    404: "no such job: it may have expired or been deleted",
    408: "the upload took too long",
    409: "the job has already ended",
    413: "the upload or the body is too large",
    415: "not multipart/form-data",
    422: "invalid options",
    429: "the queue is full; the header Retry-After has the seconds to wait",
    503: "out of file handles, no access to the job database, or no worker is ready",
    507: "the disk is nearly full",
}


class ErrorView(BaseModel):
    """Every error, whatever its status."""

    error: JobError = Field(
        examples=[{"code": "queue_full", "message": "The queue is full: try again in 5 s."}]
    )


class JobView(Job):
    """A job; times are seconds since 1970."""

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB_EXAMPLE]})

    expires: float | None = Field(description="when the job and its files are removed")
    progress: JobProgress
    queue_position: int | None = Field(description="jobs ahead of this one; null when it does not wait")
    results: dict[str, str] = Field(description="URL of each result file by its name")


class ModelView(BaseModel):
    """A model that is served."""

    name: str
    image_size: int = Field(description="pixels per side of its input")
    device: str
    precision: str
    runtime: str
    about: str = Field(description="what it is good for: the first paragraph of its model card")
    sounds: list[str] = Field(description="the sounds that it was taught to name; empty for none")


class ModelsView(BaseModel):
    """The models, the default first, and the limits."""

    models: list[ModelView]
    prompt_model: str | None = Field(description="the model that answers prompts; null for none")
    limits: ServiceLimits


class FramesView(BaseModel):
    """The processed frames of a video, in order; one entry per frame in each column."""

    indices: list[int] = Field(description="index of the frame in the video")
    times: list[float] = Field(description="presentation time, seconds")
    scores: list[float] = Field(description="mean probability inside the mask, 0 where it is empty")
    areas: list[float] = Field(description="marked share of the frame, 0..1")


class Health(BaseModel):
    """State of the server."""

    status: str


class Readiness(Health):
    """State of the server's workers and of its work in the background."""

    problems: list[str] = Field(description="what fails in the background")


def error_docs(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare the errors of a route; every route may refuse with 400, 401, 403 and 503."""
    always = (400, 401, 403, 503)
    return {code: {"model": ErrorView, "description": _ERRORS[code]} for code in (*always, *statuses)}


def form_docs(models: list[str], *, urls: bool) -> dict[str, Any]:
    """Declare the form of a new job, which the route reads as a stream."""
    image = _binary("an image; the images are in the order of the last numbers in their names")
    images = {"type": "array", "items": image, "minItems": 1, "maxItems": MAX_FRAMES}
    sources: list[dict[str, Any]] = [
        {FILE: _binary("the video, in any format FFmpeg reads")},
        {FRAMES: images, AUDIO: _binary("the sound of the images, over which they are spread evenly")},
    ]
    if urls:
        sources.append({"url": {"type": "string", "format": "uri", "description": "of the video"}})
    example = {"model": models[0], "fps": 5, "threshold": 0.5, "save": ["overlay", "masks"]}
    forms = [_form(source, JobOptions, models) for source in sources]
    return _body({"oneOf": forms}, {"five frames per second": {"value": example}})


def prompt_docs(model: str) -> dict[str, Any]:
    """Declare the form of a prompt."""
    form = _form({FILE: _binary("the image")}, PromptOptions, [model])
    pixel = {"type": "string", "pattern": r"^\d+,\d+$"}
    form["properties"]["point"] |= {"items": pixel, "description": "x,y of pixels of the object"}
    box = {"type": "string", "pattern": r"^\d+,\d+,\d+,\d+$", "description": "x0,y0,x1,y1 around the object"}
    form["properties"]["box"] = box
    form["anyOf"] = [{"required": ["point"]}, {"required": ["box"]}]
    return _body(form, {"a point": {"value": {"point": ["320,200"]}}})


def _binary(description: str) -> dict[str, str]:
    return {"type": "string", "format": "binary", "description": description}


def _form(files: dict[str, Any], options: type[BaseModel], models: list[str]) -> dict[str, Any]:
    fields = options.model_json_schema()["properties"]
    fields["model"] = {"type": "string", "enum": models, "default": models[0]}
    properties = files | fields
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": [*files]}


def _body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    content = {"multipart/form-data": {"schema": schema, "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}

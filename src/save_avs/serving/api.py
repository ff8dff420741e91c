"""REST routes: jobs and their results under /v1, health, readiness and metrics."""

import io
from collections.abc import Callable
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, PlainTextResponse
from PIL import Image
from pydantic import ValidationError
from starlette.routing import BaseRoute

from save_avs.errors import UsageError, first_problem
from save_avs.formats import load_masks_json
from save_avs.inference.settings import OUTPUT_FILES, SUMMARY_FILE
from save_avs.serving.auth import PROMPT, SEGMENT
from save_avs.serving.errors import error_response
from save_avs.serving.job import ID_PATTERN, Job, JobOptions, JobRecord, JobState, PromptOptions
from save_avs.serving.job_files import ARCHIVE, FRAMES, MASK, VIDEO, WAVEFORM, safe_name
from save_avs.serving.response_models import (
    FramesView,
    Health,
    JobView,
    ModelsView,
    ModelView,
    Readiness,
    error_docs,
    form_docs,
    prompt_docs,
)
from save_avs.serving.service import Service
from save_avs.serving.upload import AUDIO, FILE, UploadForm, read_form
from save_avs.serving.url_fetch import check_url
from save_avs.types import VideoMasks

# Nothing else of a job's folder is served.
RESULT_FILES = (
    *(file for file in OUTPUT_FILES.values() if "." in file),
    ARCHIVE,
    WAVEFORM,
    SUMMARY_FILE,
    MASK,
)
_FILE_DOCS = {
    "content": {guess_type(name)[0] or "text/plain": {} for name in RESULT_FILES},
    "description": "the file; byte ranges are supported",
}
_PNG = {"image/png": {}}
_MASK_DOCS = {"content": _PNG, "description": "8-bit gray, 255 where an object sounds"}
_LOGITS_DOCS = {
    "content": _PNG,
    "description": "8-bit gray, 128 + 8 x logit, at the size of the model's output: upscaled bilinearly, the "
    "pixels with a logit above ln(t / (1 - t)) are the mask at threshold t",
}
Options = TypeVar("Options", JobOptions, PromptOptions)
_KEPT = {"Cache-Control": "private, max-age=3600"}


def _service(request: Request) -> Service:
    return request.app.state.service


ServiceDep = Annotated[Service, Depends(_service)]


def _job(service: ServiceDep, id: Annotated[str, PathParameter(pattern=ID_PATTERN)]) -> JobRecord:
    job = service.store.find(id)
    if job is None:
        raise HTTPException(404, "No such job: it may have expired or been deleted.")
    return job


JobDep = Annotated[JobRecord, Depends(_job)]


def _result_file(service: Service, job: JobRecord, name: str) -> Path | None:
    """Return the path of a result file; None when the job is not done or did not ask for it."""
    path = service.files.result(job) / name
    return path if job.state is JobState.DONE and name in RESULT_FILES and path.is_file() else None


def _find_result(service: Service, job: JobRecord, name: str) -> Path:
    path = _result_file(service, job, name)
    if path is None:
        shown = name if name in RESULT_FILES else "such file"
        raise HTTPException(404, f"No {shown}: the job is {job.state}, or did not ask for it.")
    return path


@lru_cache(maxsize=4)
def _read_masks(path: Path) -> VideoMasks:
    return load_masks_json(path).video_masks  # run-length encoded


def _masks(service: ServiceDep, job: JobDep) -> VideoMasks:
    return _read_masks(_find_result(service, job, OUTPUT_FILES["masks"]))


MasksDep = Annotated[VideoMasks, Depends(_masks)]

_routes = APIRouter()


def make_routes(service: Service) -> list[BaseRoute]:
    """Return all routes of a started service."""
    routes = APIRouter()
    names = [model["name"] for model in service.models]
    uploads = [(SEGMENT, submit, form_docs(names, urls=bool(service.hosts)))]
    if service.prompt_model:
        uploads.append((PROMPT, submit_prompt, prompt_docs(service.prompt_model)))
    for path, endpoint, form in uploads:
        routes.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            status_code=202,
            response_model=JobView,
            responses=error_docs(408, 413, 415, 422, 429, 507),
            openapi_extra=form,
            tags=["jobs"],
        )
    return [*routes.routes, *_routes.routes]


async def submit(service: ServiceDep, request: Request, response: Response) -> JobView:
    """Upload a video, or images with their sound; returns the job that will segment it."""
    return await _accept(service, request, response, _new_job)


async def submit_prompt(service: ServiceDep, request: Request, response: Response) -> JobView:
    """Upload an image, and say where an object is in it; returns the job that will mask it."""
    return await _accept(service, request, response, _new_prompt)


async def _accept(
    service: Service, request: Request, response: Response, make: Callable[[Service, UploadForm], Job]
) -> JobView:
    limits = service.limits
    with service.queue.reserve(), service.files.incoming() as folder:
        form = await read_form(
            request.stream(),
            request.headers.get("content-type", ""),
            folder / VIDEO,
            size=limits.size,
            seconds=limits.time,
        )
        job = await run_in_threadpool(service.accept, folder, make(service, form))
    service.metrics.received.inc(form.size)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return _view(service, job)


def _new_prompt(_: Service, form: UploadForm) -> Job:
    if set(form.files) != {FILE}:
        raise UsageError(f"Wrong parts: send an image in the part '{FILE}'.")
    options = _parse(PromptOptions, form)
    if not options.point and options.box is None:
        raise UsageError("Nothing shows the object: send point=X,Y or box=X0,Y0,X1,Y1.")
    return Job(name=form.name, options=options)


def _new_job(service: Service, form: UploadForm) -> Job:
    url = form.fields.pop("url", [None])[-1]
    options, parts, name = _parse(JobOptions, form), set(form.files), form.name
    if parts not in ([set()] if url else [{FILE}, {FRAMES, AUDIO}]):
        choice = f"a video in the part '{FILE}', or images in '{FRAMES}' with their sound in '{AUDIO}'"
        raise UsageError(f"Wrong parts: send {choice}{', or a URL' * bool(service.hosts)}.")
    if url:
        if not service.hosts:
            raise UsageError(f"This server fetches no videos: send it in the part '{FILE}'.")
        name = safe_name(check_url(url, service.hosts).target.decode().partition("?")[0])
    return Job(name=name, frames=form.files[FRAMES], url=url, options=options)


def _parse(kind: type[Options], form: UploadForm) -> Options:
    """Parse the fields of a form; the last of a repeated one counts, unless it is a list."""
    fields: dict[str, Any] = {
        name: values if name in ("save", "point") else values[-1] for name, values in form.fields.items()
    }
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise UsageError(first_problem(error)) from error


def _view(service: Service, job: JobRecord) -> JobView:
    present = [name for name in RESULT_FILES if _result_file(service, job, name)]
    fields = dict(job) | {
        "expires": None if job.ended is None else job.ended + service.limits.keep,
        "progress": job.current_progress,
        "queue_position": service.store.position(job),
        "results": {name: f"/v1/jobs/{job.id}/result/{name}" for name in present},
    }
    return JobView.model_validate(fields)


@_routes.get("/v1/jobs/{id}", responses=error_docs(404, 422), tags=["jobs"])
def get_job(service: ServiceDep, job: JobDep) -> JobView:
    """Get the state of a job, its progress, and its result files."""
    return _view(service, job)


@_routes.post("/v1/jobs/{id}/cancel", responses=error_docs(404, 409, 413, 422), tags=["jobs"])
def cancel_job(service: ServiceDep, job: JobDep) -> JobView:
    """Cancel a job; what it has written so far is removed."""
    return _view(service, service.cancel(job))


@_routes.delete("/v1/jobs/{id}", status_code=204, responses=error_docs(404, 413, 422), tags=["jobs"])
def delete_job(service: ServiceDep, job: JobDep) -> None:
    """Delete a job and its files, stopping it first if it runs."""
    service.delete(job)


@_routes.get(
    "/v1/jobs/{id}/result/{name}",
    response_class=FileResponse,
    responses={**error_docs(404, 422), 200: _FILE_DOCS},
    tags=["results"],
)
def get_result(
    service: ServiceDep,
    job: JobDep,
    name: Annotated[str, PathParameter(json_schema_extra={"enum": list(RESULT_FILES)})],
) -> FileResponse:
    """Get a result file of a job that is done."""
    return FileResponse(_find_result(service, job, name), headers={"Cache-Control": "private"})


@_routes.get("/v1/jobs/{id}/frames", responses=error_docs(404, 422), tags=["results"])
def get_frames(masks: MasksDep) -> FramesView:
    """Get times, scores and marked areas of all processed frames."""
    return FramesView(
        indices=list(masks.indices),
        times=list(masks.times),
        scores=list(masks.scores),
        areas=masks.areas().tolist(),
    )


@_routes.get(
    "/v1/jobs/{id}/frames/{index}.png",
    response_class=Response,
    responses={**error_docs(404, 422), 200: _MASK_DOCS},
    tags=["results"],
)
def get_mask(masks: MasksDep, index: Annotated[int, PathParameter(ge=0)]) -> Response:
    """Get the mask of a frame, by its index in the video."""
    if index not in masks.indices:
        raise HTTPException(404, f"Frame {index} was not processed.")
    mask, png = masks.mask(masks.indices.index(index)), io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(png, "png", compress_level=1)
    return Response(png.getvalue(), media_type="image/png", headers=_KEPT)


@_routes.get(
    "/v1/jobs/{id}/frames/{index}/logits.png",
    response_class=FileResponse,
    responses={**error_docs(404, 422), 200: _LOGITS_DOCS},
    tags=["results"],
)
def get_logits(service: ServiceDep, job: JobDep, index: Annotated[int, PathParameter(ge=0)]) -> FileResponse:
    """Get the logits of a frame, by its index in the video, if the job saved them."""
    path = service.files.result(job) / OUTPUT_FILES["logits"] / f"{index:06d}.png"
    if job.state is not JobState.DONE or not path.is_file():
        raise HTTPException(404, f"No logits of frame {index}: the job is {job.state}, or did not save them.")
    return FileResponse(path, headers=_KEPT)


@_routes.get("/v1/models", responses=error_docs(), tags=["server"])
def list_models(service: ServiceDep) -> ModelsView:
    """List the models, and the limits of this server."""
    return ModelsView(
        models=[ModelView(**model) for model in service.models],
        prompt_model=service.prompt_model,
        limits=service.limits,
    )


@_routes.get("/healthz", tags=["server"])
def get_health() -> Health:
    """Check that the server answers."""
    return Health(status="ok")


@_routes.get("/readyz", response_model=Readiness, responses={503: error_docs()[503]}, tags=["server"])
def get_readiness(service: ServiceDep) -> Any:
    """Check that a worker can take a job; lists what fails in the background."""
    problems = service.problems
    if service.ready:
        return Readiness(status="ready", problems=problems)
    return error_response(503, "not_ready", " ".join(problems))


@_routes.get("/metrics", response_class=PlainTextResponse, responses=error_docs(), tags=["server"])
def get_metrics(service: ServiceDep) -> PlainTextResponse:
    """Get Prometheus metrics."""
    return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")

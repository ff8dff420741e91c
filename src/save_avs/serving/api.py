"""The REST face: routes under /v1, health, readiness and metrics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import ValidationError
from starlette.routing import BaseRoute

from save_avs.errors import UsageError
from save_avs.serving.auth import refusal
from save_avs.serving.errors import not_found
from save_avs.serving.job import ID_PATTERN, Job, JobOptions
from save_avs.serving.job_store import VIDEO
from save_avs.serving.results import ResultFile, mask_png, read_track, result_path, results
from save_avs.serving.schema import (
    FramesView,
    Health,
    JobView,
    LimitsView,
    ModelsView,
    ModelView,
    failures,
    submission,
)
from save_avs.serving.service import Service
from save_avs.serving.upload import FILE, Form, read_form
from save_avs.serving.url_fetch import check_url
from save_avs.types import VideoMasks

_KINDS = ("video/mp4", "application/json", "image/png", "application/zip")
_FILE = {"content": {kind: {} for kind in _KINDS}, "description": "the file; ranges may be asked for"}
_PNG = {"content": {"image/png": {}}, "description": "8-bit gray, 255 where something sounds"}


def _the_service(request: Request) -> Service:
    return request.app.state.service


TheService = Annotated[Service, Depends(_the_service)]


def _job(service: TheService, id: Annotated[str, InPath(pattern=ID_PATTERN)]) -> Job:
    job = service.find(id)
    if job is None:
        raise not_found()
    return job


def _track(service: TheService, job: Annotated[Job, Depends(_job)]) -> VideoMasks:
    path = result_path(service.store, job, ResultFile.MASKS)
    if path is None:
        raise HTTPException(404, f"no masks: the job is {job.state}, or did not ask for them")
    return read_track(path)


TheJob = Annotated[Job, Depends(_job)]
TheTrack = Annotated[VideoMasks, Depends(_track)]

_routes = APIRouter()


def make_routes(service: Service) -> list[BaseRoute]:
    """All routes of a service whose models are known."""
    routes = APIRouter()
    names = [model["name"] for model in service.models]
    routes.add_api_route(
        "/v1/segment",
        submit,
        methods=["POST"],
        status_code=202,
        response_model=JobView,
        responses=failures(400, 408, 413, 415, 422, 429, 507),
        openapi_extra=submission(names, links=bool(service.hosts)),
        tags=["jobs"],
    )
    return [*routes.routes, *_routes.routes]


async def submit(service: TheService, request: Request, response: Response) -> JobView:
    """Send a video; the answer is the job that will segment it."""
    limits = service.limits
    with service.arriving() as folder:
        form = await read_form(
            request.stream(),
            request.headers.get("content-type", ""),
            folder / VIDEO,
            size=limits.size,
            seconds=limits.time,
        )
        url = form.fields.pop("url", [None])[-1]
        options = _options(form)
        name = _source(service, form, url)
        job = await run_in_threadpool(service.accept, folder, name, options, url)
    if form.video is not None:
        service.metrics.received.inc(form.size)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return view(service, job)


def _options(form: Form) -> JobOptions:
    """The fields of a form as options; of one that comes repeatedly, all where that has a meaning."""
    given: dict[str, Any] = {
        name: values if name == "save" else values[-1] for name, values in form.fields.items()
    }
    try:
        return JobOptions.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][0]}: {first['msg']}") from error


def _source(service: Service, form: Form, url: str | None) -> str:
    """The name of what is to be segmented, which came either with the form or as an address."""
    if url is None:
        if form.video is None:
            raise UsageError(f"no video: send one in the part '{FILE}'")
        return form.video
    if form.video is not None:
        raise UsageError("a video and an address: send one of them")
    if not service.hosts:
        raise UsageError("this server fetches no videos; send it in the part 'file'")
    return check_url(url, service.hosts).target.partition("?")[0]


def view(service: Service, job: Job) -> JobView:
    """A job as it is shown."""
    return JobView.of(
        job,
        progress=service.progress(job),
        ahead=service.ahead(job),
        keep=service.limits.keep,
        results=results(service.store, job),
    )


@_routes.get("/v1/jobs/{id}", responses=failures(404, 422), tags=["jobs"])
def show(service: TheService, job: TheJob) -> JobView:
    """How far a job is, or how it ended and which files it has."""
    return view(service, job)


@_routes.post("/v1/jobs/{id}/cancel", responses=failures(404, 409, 422), tags=["jobs"])
def cancel(service: TheService, job: TheJob) -> JobView:
    """Stop a job; what it has written so far goes."""
    return view(service, service.cancel(job))


@_routes.delete("/v1/jobs/{id}", status_code=204, responses=failures(404, 422), tags=["jobs"])
def delete(service: TheService, job: TheJob) -> None:
    """Remove a job and its files, stopping it first where it must be."""
    service.delete(job)


@_routes.get(
    "/v1/jobs/{id}/result/{name}",
    response_class=FileResponse,
    responses={**failures(404, 422), 200: _FILE},
    tags=["results"],
)
def result(service: TheService, job: TheJob, name: ResultFile) -> FileResponse:
    """A file of a job that is done."""
    path = result_path(service.store, job, name)
    if path is None:
        raise HTTPException(404, f"no {name}: the job is {job.state}, or did not ask for it")
    return FileResponse(path, headers={"Cache-Control": "private"})


@_routes.get("/v1/jobs/{id}/frames", responses=failures(404, 422), tags=["results"])
def frames(video_masks: TheTrack) -> FramesView:
    """Times, scores and marked areas of all frames that were processed."""
    return FramesView(
        indices=list(video_masks.indices),
        times=list(video_masks.times),
        scores=list(video_masks.scores),
        areas=video_masks.areas().tolist(),
    )


@_routes.get(
    "/v1/jobs/{id}/frames/{index}.png",
    response_class=Response,
    responses={**failures(404, 422), 200: _PNG},
    tags=["results"],
)
def mask(video_masks: TheTrack, index: Annotated[int, InPath(ge=0)]) -> Response:
    """The mask of one frame, told by its number in the video."""
    png = mask_png(video_masks, index)
    if png is None:
        raise HTTPException(404, f"frame {index} was not processed")
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@_routes.get("/v1/models", responses=failures(), tags=["server"])
def models(service: TheService) -> ModelsView:
    """The models to choose from, and what this server takes on."""
    shown = [ModelView.model_validate(model, from_attributes=False) for model in service.models]
    limits = LimitsView.model_validate(service.limits, from_attributes=True)
    return ModelsView(models=shown, limits=limits)


@_routes.get("/healthz", tags=["server"])
def health() -> Health:
    """Whether the server answers at all."""
    return Health(status="ok")


@_routes.get("/readyz", response_model=Health, responses={503: failures(503)[503]}, tags=["server"])
def ready(service: TheService) -> Any:
    """Whether a worker can take a job."""
    return Health(status="ready") if service.ready else refusal(503, "not_ready", "no worker is ready")


@_routes.get("/metrics", response_class=PlainTextResponse, responses=failures(), tags=["server"])
def metrics(service: TheService) -> PlainTextResponse:
    """Counters for Prometheus."""
    return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")

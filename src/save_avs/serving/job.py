"""A job: what was asked, and what has become of it, as its folder's journal holds it."""

from __future__ import annotations

import secrets
import time
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from save_avs.inference.settings import DEFAULT_OUTPUTS

ID_PATTERN = "^[0-9a-f]{32}$"  # 128 random bits: who knows the id may see the job


class JobState(StrEnum):
    """Where a job is on its way; the last three are the end of it."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Nothing more will happen to it."""
        return self not in (JobState.ACCEPTED, JobState.RUNNING)


def _split(value: object) -> object:
    """``masks,png`` and repeated fields alike to a list without repetitions."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list):
        return value
    return list(dict.fromkeys(part.strip() for word in words for part in str(word).split(",")))


Output = Literal["overlay", "masks", "timeline", "png"]
Outputs = Annotated[list[Output], BeforeValidator(_split)]


class JobOptions(BaseModel):
    """How a video is to be segmented.

    Attributes:
        model: one of those served; the first when none is named.
        fps: frames a second to process; ``native`` for all.
        threshold: pixels of a higher probability are marked.
        save: what to write; the summary is always written.
    """

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | Literal["native"] = "native"
    threshold: float = Field(default=0.5, gt=0, lt=1)
    save: Outputs = Field(default=list(DEFAULT_OUTPUTS), validate_default=True)


class JobError(BaseModel):
    """Why something could not be done: a word for programs, a line for people."""

    code: str
    message: str


class Job(BaseModel):
    """One video on its way through the service.

    Attributes:
        id: unguessable; whoever knows it may see, cancel and delete the job.
        name: of the video's file, as its sender called it.
        url: where the video is to be fetched from; None when it was sent.
        created, started, ended: seconds since 1970; None until it happens.
        attempts: how often it was begun; more than once after a server was killed.
        warnings: what was worth knowing about the video.
    """

    id: str = Field(default_factory=lambda: secrets.token_hex(16), pattern=ID_PATTERN)
    name: str
    url: str | None = None
    options: JobOptions
    state: JobState = JobState.ACCEPTED
    created: float = Field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    attempts: int = 0
    warnings: list[str] = []
    error: JobError | None = None


class JobProgress(BaseModel):
    """How far a running job is; of a job that does not run, what it waits for or how it ended.

    Attributes:
        phase: waiting, starting, fetching, opening, segmenting, packing, or how it ended.
        fraction: share of the video that is done, 0..1; None when the file does not say how long it is.
        frames: processed by now.
        rate: frames a second.
        left: seconds it will still take, at the speed so far; None while nobody can say.
    """

    phase: str
    fraction: float | None = None
    frames: int = 0
    rate: float = 0.0
    left: float | None = None

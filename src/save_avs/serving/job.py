"""A job: its options and its state."""

import secrets
import time
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from save_avs.errors import SaveAvsError
from save_avs.inference.settings import DEFAULT_OUTPUTS, MAX_SMOOTH, OUTPUTS

SERVED_OUTPUTS = tuple(name for name in OUTPUTS if name != "frames")  # whole images, which no route hands out
ID_PATTERN = "^[0-9a-f]{32}$"  # 128 random bits: anyone who knows the id may see the job


class JobState(StrEnum):
    """State of a job; the last three are final."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self not in (JobState.ACCEPTED, JobState.RUNNING)


def _split(value: object) -> object:
    """Turn ``masks,png`` and repeated fields alike into a list without repetitions."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list):
        return value
    return list(dict.fromkeys(part.strip() for word in words for part in str(word).split(",")))


def _switch(value: object) -> object:
    """Parse ``true`` and ``false``; pydantic's own bool also takes "1", "yes" and "on"."""
    return {"true": True, "false": False}.get(str(value), value)


_Switch = Annotated[StrictBool, BeforeValidator(_switch)]


class JobOptions(BaseModel):
    """How a video is to be segmented.

    Attributes:
        model: one of those served; the first when none is named.
        fps: frames per second to process; ``native`` for all.
        threshold: pixels of a higher probability are marked.
        smooth: time constant of the smoothing over time, seconds; 0 for none.
        objects: separate each mask into objects.
        track: give the objects ids that persist; implies ``objects``.
        save: what to write; the summary and the waveform are always written.
    """

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | Literal["native"] = "native"
    threshold: float = Field(default=0.5, gt=0, lt=1)
    smooth: float = Field(default=0.0, ge=0, le=MAX_SMOOTH)
    objects: _Switch = False
    track: _Switch = False
    save: Annotated[list[Literal[SERVED_OUTPUTS]], BeforeValidator(_split)] = Field(  # type: ignore[valid-type]
        default=list(DEFAULT_OUTPUTS), validate_default=True
    )


def _pixels(value: object) -> object:
    """Turn ``320,200`` into a list of its numbers."""
    return value.split(",") if isinstance(value, str) else value


class PromptOptions(BaseModel):
    """What shows an object in an image; pixels are counted from 0 at the top left.

    Attributes:
        model: the one that answers prompts.
        point: x, y of pixels of the object.
        box: x0, y0, x1, y1 of a box around it.
    """

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    point: list[Annotated[tuple[float, float], BeforeValidator(_pixels)]] = Field(default=[], max_length=16)
    box: Annotated[tuple[float, float, float, float] | None, BeforeValidator(_pixels)] = None


class JobError(BaseModel):
    """Why something could not be done: a code for programs, a line for people."""

    code: str
    message: str


class Job(BaseModel):
    """One video, images with their sound, or image with a prompt, on its way through the service."""

    id: str = Field(default_factory=lambda: secrets.token_hex(16), pattern=ID_PATTERN)
    name: str  # file name of the video, sound or image, as its sender called it
    frames: int = 0  # how many images there are in place of a video
    url: str | None = None  # where the video is fetched from; None when it was uploaded
    options: JobOptions | PromptOptions
    state: JobState = JobState.ACCEPTED
    created: float = Field(default_factory=time.time)  # seconds since 1970, as the next two
    started: float | None = None
    ended: float | None = None
    attempts: int = 0  # more than 1 after a server or a worker was killed
    warnings: list[str] = []  # one line per remarkable property of the video
    error: JobError | None = None


class JobFailedError(SaveAvsError):
    """A video beyond the limits of the service, or one that cannot be fetched; ``code`` tells which."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobProgress(BaseModel):
    """Progress of a job.

    Attributes:
        phase: waiting, starting, fetching, opening, segmenting, masking, packing, or the final state.
        fraction: share of the video that is done, 0..1; None when its duration is unknown.
        frames: processed so far.
        frames_per_second: processed per second.
        remaining: estimated from the speed so far; None when unknown.
    """

    phase: str
    fraction: float | None = None
    frames: int = 0
    frames_per_second: float = 0.0
    remaining: float | None = None


class JobRecord(Job):
    """A job as the store holds it."""

    run: str | None = None  # drawn by the server that runs it, or ran it last
    cancel: bool = False  # its owner wants it to stop
    progress: JobProgress | None = None  # of the current run, as its server last reported it

    @property
    def current_progress(self) -> JobProgress:
        """Progress of the job, whatever its state."""
        if self.state is JobState.ACCEPTED:
            return JobProgress(phase="waiting")
        if self.state.ended:
            return JobProgress(phase=self.state, fraction=1.0 if self.state is JobState.DONE else None)
        return self.progress or JobProgress(phase="starting")

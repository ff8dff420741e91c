"""What a worker process does: loads the model once, then segments one clip after another."""

from __future__ import annotations

import errno
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from save_avs._text import print_traceback
from save_avs.batch.messages import Done, Entry, Failed, Kit, Outcome, Question
from save_avs.batch.storage import at_hand, identity_of
from save_avs.errors import DataError, MediaError, SaveAvsError, UsageError
from save_avs.inference.process import behave

if TYPE_CHECKING:
    from save_avs.inference import FrameModel
    from save_avs.types import F32

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

_STATUS = {DataError: "unreachable", MediaError: "unreadable", UsageError: "missing"}


@dataclass(frozen=True)
class Ready:
    """The model is loaded."""


@dataclass(frozen=True)
class Beat:
    """The clip goes on."""


@dataclass(frozen=True)
class Broke:
    """The program failed on a clip; the worker ends, for what is left of it is not to be trusted."""

    reason: str


@dataclass(frozen=True)
class Unfit:
    """No clip can be done: the model cannot be loaded, or there is no room to write."""

    reason: str
    usage: bool = False


Message = Ready | Beat | Question | Broke | Unfit | Done | Failed


def work(connection: Connection, kit: Kit) -> None:
    """Be a worker until the pipe is closed or the parent dies."""
    behave()
    speaking = threading.Lock()  # the model is asked in another thread than beats are sent from

    def say(message: Message) -> None:
        with speaking:
            connection.send(message)

    try:
        model = _model(kit, connection, say)
    except SaveAvsError as error:
        say(Unfit(str(error), isinstance(error, UsageError)))
        return
    say(Ready())
    said: Message = Ready()
    while not isinstance(said, Broke | Unfit):
        try:
            entry = connection.recv()
        except EOFError:
            return
        said = _attempt(model, kit, entry, lambda: say(Beat()))
        say(said)


def _model(kit: Kit, connection: Connection, say: Callable[[Message], None]) -> FrameModel:
    """A model of the worker's own, or one that it asks through its pipe."""
    from save_avs.batch.remote_model import LentModel, own_model

    if kit.lent is None:
        return own_model(kit)

    def ask(question: Question) -> F32:
        say(question)
        answer = connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return LentModel(kit.lent, ask)


def _attempt(
    model: FrameModel, kit: Kit, entry: Entry, on_progress: Callable[[], None]
) -> Outcome | Broke | Unfit:
    try:
        return _segment(model, kit, entry, on_progress)
    except OSError as error:
        if error.errno in _NO_ROOM:
            return Unfit(f"{error.filename or 'writing'}: {error.strerror}")
        return _failed(entry, "system", error)
    except SaveAvsError as error:
        return _failed(entry, _STATUS.get(type(error), "refused"), error)
    except Exception as error:
        print_traceback(error)
        return Broke(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _failed(entry: Entry, status: str, error: Exception) -> Failed:
    return Failed(entry.name, identity_of(entry) or "", status, " ".join(str(error).split()))


def _segment(model: FrameModel, kit: Kit, entry: Entry, on_progress: Callable[[], None]) -> Done:
    from save_avs.inference import segment
    from save_avs.inference.result import write_summary
    from save_avs.inference.settings import SUMMARY_FILE

    started = time.perf_counter()
    overlay = None if kit.overlays is None else overlay_name(entry)
    folder = Path(kit.overlays) / overlay if kit.overlays and overlay else None
    with at_hand(entry, kit.scratch, on_progress) as (file, identity):
        try:
            result = segment(
                file,
                model=model,
                fps=kit.fps,
                threshold=kit.threshold,
                outputs=("overlay",) if overlay else (),
                directory=folder,
                overwrite=True,  # a run that was stopped may have drawn it, and not come to say so
                on_progress=lambda _: on_progress(),
            )
        except (MediaError, UsageError) as error:  # they name the file, which may be a copy
            raise type(error)(str(error).replace(str(file), entry.name)) from error
    if folder is not None:  # which names the file, too
        write_summary(folder / SUMMARY_FILE, {**result.summary(), "source": entry.name})
    return Done(
        name=entry.name,
        identity=identity,
        model=f"{model.name}, {model.precision}, {model.runtime}",
        video_masks=result.video_masks,
        fps=result.video.fps,
        duration=result.video.duration,
        warnings=tuple(text.replace(str(file), entry.name) for text in result.warnings),
        overlay=overlay,
        seconds=time.perf_counter() - started,
    )


def overlay_name(entry: Entry) -> str:
    """A folder's name for a clip: to be recognized by, and no other clip's."""
    stem = PurePosixPath(entry.name.partition("?")[0]).stem
    legible = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in stem[:40])
    return f"{legible}-{hashlib.sha256(entry.name.encode()).hexdigest()[:16]}"

"""The worker process of a batch run: loads the model once, then segments one clip after another."""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from save_avs._process import Channel
from save_avs._text import print_traceback
from save_avs.batch.messages import Done, Entry, Failed, Kit
from save_avs.batch.storage import at_hand, identity_of
from save_avs.errors import DataError, MediaError, SaveAvsError, UsageError

if TYPE_CHECKING:
    from save_avs.inference import FrameModel

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

_STATUS = {DataError: "unreachable", MediaError: "unreadable", UsageError: "missing"}


def set_up(channel: Channel, kit: Kit) -> tuple[None, Callable[[Entry], Done | Failed]]:
    """Load the model in a worker process; return the function that segments a clip.

    Raises:
        UsageError, SaveAvsError: the model cannot be loaded.
    """
    from save_avs.batch.remote_model import LentModel, own_model

    model: FrameModel = own_model(kit) if kit.lent is None else LentModel(kit.lent, channel.ask)

    def segment_or_fail(entry: Entry) -> Done | Failed:
        try:
            return _segment(model, kit, entry, channel.heartbeat)
        except OSError as error:
            if error.errno in _DISK_ERRORS:
                raise SaveAvsError(f"{error.filename or 'writing'}: {error.strerror}") from error
            return _failed(entry, "system", error)
        except SaveAvsError as error:
            return _failed(entry, _STATUS.get(type(error), "refused"), error)
        except Exception as error:
            print_traceback(error)
            raise

    return None, segment_or_fail


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

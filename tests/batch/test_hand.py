"""A clip that kills its worker, one that hangs, and a worker that is no use."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from save_avs.batch import supervisor as hand
from save_avs.batch.messages import Entry, Failed, Kit
from save_avs.batch.supervisor import Hand
from save_avs.batch.worker import Beat, Broke, Ready, Unfit
from save_avs.errors import SaveAvsError, UsageError


def scripted(connection, kit: Kit) -> None:
    """A worker whose clips say what happens to it; ``kit.model`` is a file that counts the workers."""
    count = Path(kit.model)
    with count.open("a") as file:
        file.write("x")
    connection.send(Ready())
    while True:
        entry = connection.recv()
        match entry.location:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill once" if count.stat().st_size == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(60)
            case "break":
                connection.send(Broke("ValueError: never thought of"))
                return
            case "slow":
                for _ in range(8):
                    time.sleep(0.2)
                    connection.send(Beat())
            case "full":
                connection.send(Unfit("out: No space left on device"))
                return
        connection.send(Failed(entry.name, "", "done", ""))


@pytest.fixture
def held(tmp_path, monkeypatch):
    monkeypatch.setattr(hand, "work", scripted)
    held = Hand(Kit(model=str(tmp_path / "count")), patience=1.0)
    yield held
    held.close()


def workers(tmp_path) -> int:
    return (tmp_path / "count").stat().st_size


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("kill", "the worker was killed by signal 9"),
        ("hang", "no progress for 1 s"),
        ("break", "ValueError: never thought of"),
    ],
)
def test_a_deadly_clip_is_tried_twice_and_the_next_is_done(held, tmp_path, location, reason):
    assert held.do(Entry(location, "it")) == Failed("it", "", "crashed", f"it: {reason}, twice")
    assert held.do(Entry("well", "next")).status == "done"
    assert workers(tmp_path) == 3


def test_what_kills_a_worker_once_is_no_fault_of_the_clip(held, tmp_path):
    assert held.do(Entry("kill once", "it")).status == "done"
    assert workers(tmp_path) == 2


def test_a_long_clip_that_gets_on_does_not_hang(held, tmp_path):
    assert held.do(Entry("slow", "it")).status == "done"
    assert workers(tmp_path) == 1


def test_no_room_ends_the_run(held):
    with pytest.raises(SaveAvsError, match="out: No space left on device"):
        held.do(Entry("full", "it"))


def test_a_model_that_is_not_there():
    held = Hand(Kit(model="nowhere"))
    with pytest.raises(UsageError, match="no model 'nowhere'"):
        held.do(Entry("a.mp4", "a.mp4"))


def test_a_worker_that_dies_while_it_loads_is_replaced_once(tmp_path, monkeypatch):
    monkeypatch.setattr(hand, "work", dying)
    held = Hand(Kit(model=str(tmp_path / "count")))
    with pytest.raises(
        SaveAvsError, match="killed by signal 9 while it loaded the model, and so did the next"
    ):
        held.do(Entry("well", "it"))
    assert workers(tmp_path) == 2


def dying(connection, kit: Kit) -> None:
    with Path(kit.model).open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_stopped_hand_starts_nothing_that_lasts(held):
    held.stop()
    with pytest.raises(SaveAvsError, match="killed by signal 9 while it loaded"):
        held.do(Entry("well", "it"))

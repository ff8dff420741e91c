"""The supervisor of a batch worker: clips that kill it, that hang, and failures that concern every clip."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from save_avs._process import Channel
from save_avs.batch import supervisor
from save_avs.batch.messages import Entry, Failed, Kit
from save_avs.batch.supervisor import WorkerSupervisor
from save_avs.errors import SaveAvsError, UsageError


def scripted(channel: Channel, kit: Kit):
    """A worker whose clips name what happens to it; ``kit.model`` is a file that counts the workers."""
    count = Path(kit.model)
    with count.open("a") as file:
        file.write("x")

    def handle(entry: Entry) -> Failed:
        match entry.location:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill once" if count.stat().st_size == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(60)
            case "break":
                raise ValueError("unexpected")
            case "slow":
                for _ in range(8):
                    time.sleep(0.2)
                    channel.heartbeat()
            case "full":
                raise SaveAvsError("out: No space left on device")
        return Failed(entry.name, "", "done", "")

    return None, handle


@pytest.fixture
def supervised(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "set_up", scripted)
    supervised = WorkerSupervisor(Kit(model=str(tmp_path / "count")), silence=1.0)
    yield supervised
    supervised.close()


def workers(tmp_path) -> int:
    return (tmp_path / "count").stat().st_size


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("kill", "the worker was killed by signal 9"),
        ("hang", "no progress for 1 s"),
        ("break", "ValueError: unexpected"),
    ],
)
def test_a_clip_that_kills_its_worker_twice_has_crashed_and_the_next_is_done(
    supervised, tmp_path, location, reason
):
    assert supervised.run(Entry(location, "it")) == Failed("it", "", "crashed", f"it: {reason} (2 attempts)")
    assert supervised.run(Entry("well", "next")).status == "done"
    assert workers(tmp_path) == 3


def test_a_clip_that_kills_its_worker_once_is_done_by_the_next_worker(supervised, tmp_path):
    assert supervised.run(Entry("kill once", "it")).status == "done"
    assert workers(tmp_path) == 2


def test_a_long_clip_with_heartbeats_does_not_hang(supervised, tmp_path):
    assert supervised.run(Entry("slow", "it")).status == "done"
    assert workers(tmp_path) == 1


def test_a_full_disk_is_raised(supervised):
    with pytest.raises(SaveAvsError, match="out: No space left on device"):
        supervised.run(Entry("full", "it"))


def test_a_missing_model_is_raised():
    with pytest.raises(UsageError, match="'nowhere'"):
        WorkerSupervisor(Kit(model="nowhere")).run(Entry("a.mp4", "a.mp4"))


def test_a_closed_supervisor_starts_nothing(supervised, tmp_path):
    supervised.close()
    with pytest.raises(SaveAvsError, match="stopped"):
        supervised.run(Entry("well", "it"))
    assert not (tmp_path / "count").exists()

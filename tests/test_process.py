"""The supervised worker process: every outcome, replacement, messages, and no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from save_avs import _process
from save_avs._process import (
    Channel,
    Completed,
    Died,
    Limits,
    MemoryExceeded,
    Raised,
    Stopped,
    TimedOut,
    WorkerProcess,
    WorkerStartError,
)
from save_avs.errors import UsageError


class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def set_up(channel: Channel, counter: Path | None = None):
    """A handler whose tasks name what happens; ``counter`` grows by a byte for each child."""
    if counter is not None:
        with counter.open("a") as file:
            file.write("x")

    def handle(task: str) -> object:
        match task:
            case "raise":
                raise UsageError("wrong")
            case "raise unpicklable":
                raise Unpicklable("this", "that")
            case "return unpicklable":
                return lambda: None
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "send and die":
                channel.send("begun")
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                sys.exit(7)
            case "hang":
                time.sleep(60)
            case "progress":
                for _ in range(8):
                    time.sleep(0.1)
                    channel.send(None)
            case "allocate":
                held = bytearray(300_000_000)
                held[::4096] = b"x" * len(held[::4096])
                time.sleep(60)
            case "messages":
                channel.send("one")
                channel.send({"two": 2})
        return task.upper()

    return os.getpid(), handle


def refuse(channel: Channel):
    raise UsageError("no such model")


def die(channel: Channel, counter: Path):
    with counter.open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def hang(channel: Channel):
    time.sleep(60)


@pytest.fixture(scope="module")
def worker():
    worker = WorkerProcess(set_up)
    yield worker
    worker.close()


def test_a_child_handles_several_tasks(worker):
    pid = worker.start()
    assert pid == worker.pid and worker.alive
    assert worker.run("a") == Completed("A") and worker.run("b") == Completed("B")
    assert worker.start() == pid


def test_messages_arrive_in_order(worker):
    messages = []
    assert worker.run("messages", on_message=messages.append) == Completed("MESSAGES")
    assert messages == ["one", {"two": 2}]


@pytest.mark.parametrize(
    ("task", "kind", "text"),
    [
        ("raise", UsageError, "wrong"),
        ("raise unpicklable", RuntimeError, "Unpicklable: this and that"),
        ("return unpicklable", Exception, ""),
    ],
)
def test_an_error_in_the_child_is_reported(worker, task, kind, text):
    outcome = worker.run(task)
    assert isinstance(outcome, Raised) and isinstance(outcome.error, kind)
    assert text in str(outcome.error) and "Traceback" in outcome.traceback
    assert worker.run("next") == Completed("NEXT")


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        ("die", Died("was killed by signal 9", began=False)),
        ("send and die", Died("was killed by signal 11", began=True)),
        ("exit", Died("ended with code 7", began=False)),
    ],
)
def test_a_death_is_reported_and_the_child_replaced(worker, task, outcome):
    before = worker.start()
    assert worker.run(task) == outcome
    assert not worker.alive
    assert worker.run("next") == Completed("NEXT") and worker.pid != before


@pytest.mark.parametrize(
    ("task", "limits", "outcome"),
    [
        ("hang", Limits(seconds=0.3), TimedOut(0.3)),
        ("hang", Limits(silence=0.3), TimedOut(0.3, silent=True)),
        ("allocate", Limits(memory=250e6), MemoryExceeded(250e6)),
    ],
    ids=["time", "silence", "memory"],
)
def test_a_child_beyond_a_limit_is_killed(worker, task, limits, outcome):
    pid = worker.start()
    assert worker.run(task, limits) == outcome
    assert not psutil.pid_exists(pid)


def test_heartbeats_keep_a_long_task_alive(worker):
    worker.start()
    assert worker.run("progress", Limits(silence=0.6)) == Completed("PROGRESS")


def test_a_stop_kills_the_child(worker):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    worker.start()
    assert worker.run("hang", stop=stop) == Stopped()


def test_a_child_killed_while_idle_is_replaced_by_the_next_task(worker):
    pid = worker.start()
    os.kill(pid, signal.SIGKILL)
    while worker.alive:
        time.sleep(0.01)
    assert worker.run("next") == Completed("NEXT") and worker.pid != pid


def test_an_error_of_the_callback_kills_the_child(worker):
    pid = worker.start()

    def fail(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        worker.run("messages", on_message=fail)
    assert not psutil.pid_exists(pid)


def test_close_from_another_thread_stops_the_task():
    worker = WorkerProcess(set_up)
    pid = worker.start()
    threading.Timer(0.3, worker.close).start()
    assert worker.run("hang") == Stopped()
    assert not psutil.pid_exists(pid)
    with pytest.raises(WorkerStartError, match="stopped"):
        worker.start()


def test_an_error_of_set_up_is_raised_by_start():
    with pytest.raises(UsageError, match="no such model"):
        WorkerProcess(refuse).start()


def test_a_child_that_dies_in_set_up_is_replaced_up_to_the_attempts(tmp_path):
    counter = tmp_path / "counter"
    with pytest.raises(WorkerStartError, match=r"killed by signal 9 while it started \(attempts: 2\)"):
        WorkerProcess(die, counter, start_attempts=2).start()
    assert counter.stat().st_size == 2


def test_a_set_up_that_hangs_times_out(monkeypatch):
    monkeypatch.setattr(_process, "_START_TIMEOUT", 0.3)
    with pytest.raises(WorkerStartError, match=r"was not ready after 0\.3 s"):
        WorkerProcess(hang).start()


def test_the_child_ends_with_its_parent(tmp_path):
    code = (
        "import time; from tests.test_process import set_up; from save_avs._process import WorkerProcess\n"
        "if __name__ == '__main__': print(WorkerProcess(set_up).start(), flush=True); time.sleep(60)"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    assert psutil.wait_procs([child], timeout=10)[1] == []

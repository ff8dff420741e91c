"""A Ray cluster whose nodes share no disk and have networks of their own, all on this machine.

    python -m tests.support.batch_cluster [--videos 40] [--frames 25]

Every node has namespaces of its own: private temporary folders, caches and shared memory, processes, a host
name, and an address in 192.0.2.0/24 on a bridge. Storage is an S3 server (moto's). Runs ``save-avs batch`` on
it and prints a line for each thing shown; exit code 1 where one fails, 77 where namespaces are not allowed.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from typing import Any

import av
import psutil
import pyarrow as pa
from pyarrow import parquet

from save_avs.batch.output import DONE_TABLE, BatchOutput
from tests.support.hub_server import hub

NOT_ALLOWED = 77
HEAD = "192.0.2.1"
S3 = f"http://{HEAD}:9000"
FEW = "s3://data/clips/clip-000*.mp4"
NAMESPACES = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": S3,
    "RAY_memory_monitor_refresh_ms": "0",  # the other work of this machine must not cost workers
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "OMP_NUM_THREADS": "1",
}


class Node:
    """A namespace with a Ray node in it: number 1 is the head, in the namespace of this process."""

    def __init__(
        self, number: int, private: Path, *, hide: str | None = None, other_torch: str | None = None
    ) -> None:
        self.number, self.name, self.address = number, f"node-{number}", f"192.0.2.{number}"
        self._holder = subprocess.Popen([*NAMESPACES, "sleep", "infinity"])
        self.inside = wait_for(lambda: psutil.Process(self._holder.pid).children())[0].pid
        wait_for(lambda: Path(f"/proc/{self.inside}/comm").read_text() == "sleep\n")
        run("ip", "link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", self.inside)
        run("ip", "link", "set", f"v{number}", "master", "br0", "up")
        self.run("hostname", self.name)
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        for folder in (private, "/dev/shm", "/tmp/ray", *([hide] if hide else [])):
            self.run("mount", "-t", "tmpfs", "tmpfs", folder)
        if other_torch is not None:
            record = private / "METADATA"
            (installed,) = Path(av.__file__).parents[1].glob("torch-*/METADATA")
            self.run("sh", "-c", f"printf 'Name: torch\\nVersion: {other_torch}\\n' > {record}")
            self.run("mount", "--bind", record, installed)
        for patience in (90, 180, 600):  # on a busy machine a node gives up before its agents are ready
            with suppress(AssertionError, subprocess.TimeoutExpired):
                self.run(*ray_start(self.address), f"--address={HEAD}:6379", timeout=patience)
                return
            with suppress(AssertionError):
                self.run(ray_start("")[0], "stop", "--force")
        raise AssertionError(f"{self.name} does not start")

    def run(self, *words: object, timeout: float | None = None) -> None:
        """Run a command inside."""
        enter = ("nsenter", "--target", self.inside, "--mount", "--net", "--uts", "--pid")
        run(*enter, *words, timeout=timeout)

    def kill(self) -> None:
        """Kill every process of the node at once, as a power failure does."""
        os.kill(self.inside, signal.SIGKILL)  # the first process of its namespace takes all others along
        self._holder.wait()


def run(*words: object, timeout: float | None = None) -> None:
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def wait_for(look: Callable[[], Any], seconds: float = 600) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "timed out"
        time.sleep(0.2)
    return found


def ray_start(address: str) -> list[str]:
    ray = [str(Path(sys.executable).parent / "ray"), "start", f"--node-ip-address={address}"]
    return [*ray, "--num-cpus=2", "--object-store-memory=200000000", "--disable-usage-stats"]


@contextmanager
def head(private: Path) -> Iterator[None]:
    """Make this process's namespace the head node, with a bridge to the others and an S3 server."""
    from moto.server import ThreadedMotoServer

    run("hostname", "node-1")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "br0", "type", "bridge")
    run("ip", "address", "add", f"{HEAD}/24", "dev", "br0")
    run("ip", "link", "set", "br0", "up")
    Path("/tmp/ray").mkdir(exist_ok=True)
    for folder in ("/dev/shm", "/tmp/ray"):
        run("mount", "-t", "tmpfs", "tmpfs", folder)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(HEAD, 9000, verbose=False)
    server.start()
    run(*ray_start(HEAD), "--head", "--port=6379", "--include-dashboard=false")
    try:
        yield
    finally:
        subprocess.run([ray_start(HEAD)[0], "stop", "--force"], capture_output=True, check=False)
        server.stop()


class BatchProgram(subprocess.Popen[str]):
    """``save-avs batch`` on the cluster; it prints to files, since a pipe that nobody reads would stop it."""

    def __init__(self, *words: object, **environment: str) -> None:
        self.printed = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115
        command = [sys.executable, "-m", "save_avs", "batch", *map(str, words), "--address", f"{HEAD}:6379"]
        out, err = self.printed
        super().__init__(command, env={**os.environ, **environment}, stdout=out, stderr=err, text=True)

    def output(self) -> list[list[str]]:
        """Return the lines that it printed so far, on stdout and on stderr."""
        for file in self.printed:
            file.seek(0)
        return [file.read().splitlines() for file in self.printed]


def finished(program: BatchProgram, seconds: float = 900) -> tuple[int, str]:
    """Return the exit code, and the result or the error; what Ray prints is on stderr."""
    program.wait(timeout=seconds)
    result, messages = program.output()
    assert len(result) < 2, result
    errors = [line for line in messages if line.startswith("save-avs: ")]
    return program.returncode, (errors or result or messages)[-1]


def rows(url: str) -> list[dict[str, Any]]:
    """Return the rows of a table, sorted, and fail where a video has two."""
    folder = BatchOutput(url)
    parts = [folder.files.cat_file(f"{DONE_TABLE}/{name}") for name in folder.names(DONE_TABLE)]
    found = [row for part in parts for row in parquet.read_table(pa.BufferReader(part)).to_pylist()]
    paths = sorted(row["path"] for row in found)
    assert len(paths) == len(set(paths)), "a video has two rows"
    return sorted(found, key=lambda row: row["path"])


def results(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what may differ between runs."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "node", "files")} for row in found]


def show(text: str, fact: bool, detail: object = "") -> None:
    print(f"{'ok' if fact else 'FAILED'}: {text}{f' ({detail})' if detail or not fact else ''}", flush=True)
    if not fact:
        raise SystemExit(1)


def check(videos: int, frames: int) -> None:
    """Run everything; this process is in namespaces of its own."""
    import s3fs

    from save_avs.models.serialization import save_model
    from tests.support.batch_kills import make_videos
    from tests.support.tiny_model import shake, tiny_model

    assert os.getpid() == 1, "this mounts and renames: it needs the namespaces that main() makes"
    os.environ.update(ENVIRONMENT)
    run("mount", "--make-rprivate", "/")
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        private = Path(name)  # hidden from the other nodes
        os.environ |= {"SAVE_AVS_CACHE": f"{private}/cache", "HF_HOME": f"{private}/hf"}
        clips, model = make_videos(private / "clips", videos, broken=0, frames=frames), tiny_model()
        shake(model)
        folder = save_model(model, private / "model")
        with head(private):
            second = Node(2, private)
            store = s3fs.S3FileSystem()
            store.mkdir("data")
            store.put(str(clips), "data/clips", recursive=True)
            show_storage_and_models(store, folder)
            show_refusals(private, clips)
            show_kills(private, second, folder, clips)


def show_storage_and_models(store: Any, model: Path) -> None:
    code, line = finished(BatchProgram(FEW, "-o", "s3://data/a", "--model", model, "--save", "overlay,png"))
    found = rows("s3://data/a")
    show("a folder model, from S3 to S3", code == 0 and len(found) == 10, line)
    show("both nodes worked", {row["node"] for row in found} == {"node-1", "node-2"})

    def complete(row: dict[str, Any]) -> bool:
        names = store.find(f"data/a/files/{row['files']}")
        images = sum(name.endswith(".png") for name in names)
        return any(name.endswith("overlay.mp4") for name in names) and images == len(row["frames"])

    show("overlays and PNGs of both nodes are on S3", all(map(complete, found)))
    with hub() as server:
        commit = server.push(model)
        name = f"hf:{server.name}@{commit}"
        code, line = finished(
            BatchProgram(FEW, "-o", "s3://data/b", "--model", name, HF_ENDPOINT=server.endpoint)
        )
    same = results(rows("s3://data/b")) == results(found)
    show("a model of a Hub that only the driver reaches", code == 0 and same, line)


def show_refusals(private: Path, clips: Path) -> None:
    code, line = finished(BatchProgram(clips, "-o", "s3://data/c"))
    show("inputs that a node does not see", code == 2 and "Node node-2 cannot see" in line, line)
    third = Node(3, private, hide=str(Path(av.__file__).parent))
    code, line = finished(BatchProgram(FEW, "-o", "s3://data/d"))
    show("a node without a dependency", code == 2 and "Node node-3 cannot run" in line, line)
    third.kill()
    fifth = Node(5, private, other_torch="1.0.0")
    code, line = finished(BatchProgram(FEW, "-o", "s3://data/d"))
    show("a node with another version", code == 2 and "Node node-5 has torch 1.0.0, this" in line, line)
    fifth.kill()


class HeldBackFiles(SimpleHTTPRequestHandler):
    """Serves files in the order of their names, and keeps requests of those after ``released`` waiting."""

    released = 8
    condition = Condition()

    @classmethod
    def release(cls, count: int) -> None:
        with cls.condition:
            cls.released = count
            cls.condition.notify_all()

    def send_head(self) -> Any:
        number = int(self.path.removesuffix(".mp4").rpartition("-")[2])
        with self.condition:
            self.condition.wait_for(lambda: number < self.released, timeout=900)
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        pass


def show_kills(private: Path, second: Node, model: Path, clips: Path) -> None:
    """Kill workers, a node and the driver, add a node; compare with an undisturbed run.

    No run can end before all of this was done, however slow it is: its videos are held back.
    """
    patience = 900 + 30 * len(list(clips.iterdir()))
    server = ThreadingHTTPServer((HEAD, 9001), partial(HeldBackFiles, directory=str(clips)))
    Thread(target=server.serve_forever, daemon=True).start()
    names = sorted(path.name for path in clips.iterdir())
    (private / "list.txt").write_text("".join(f"http://{HEAD}:9001/{name}\n" for name in names))
    words = ("--manifest", private / "list.txt", "--model", model, "--save", "overlay,png")
    start = time.monotonic()
    program = BatchProgram(*words, "-o", "s3://data/killed")

    def wait_for_rows(look: Callable[[list[dict[str, Any]]], Any]) -> int:
        wait_for(lambda: look(rows("s3://data/killed")) or program.poll() is not None, patience)
        assert program.poll() is None, program.output()
        return len(rows("s3://data/killed"))

    counts = [wait_for_rows(lambda found: len(found) >= 3)]
    workers = kill_workers(workers_of_ray())
    fourth = Node(4, private)
    wait_for(lambda: workers_of_ray(fourth))
    show("a node that is added to a running job gets videos", True)
    second.kill()
    HeldBackFiles.release(24)
    counts.append(wait_for_rows(lambda found: "node-4" in {row["node"] for row in found}))
    program.kill()
    program.wait()
    half = (24 + len(names)) // 2
    HeldBackFiles.release(half)
    program = BatchProgram(*words, "-o", "s3://data/killed")
    counts.append(wait_for_rows(lambda found: len(found) >= (24 + half) // 2))
    workers += kill_workers(workers_of_ray())
    HeldBackFiles.release(len(names))
    code, line = finished(program, patience)
    found = rows("s3://data/killed")
    done = ", ".join(map(str, counts))
    shares = Counter(row["node"] for row in found)
    show(
        f"{workers} workers, node-2 and the driver were killed, node-4 was added",
        code == 0,
        f"after {done} of {len(names)}; {line}; {time.monotonic() - start:.0f} s in all; {shares}",
    )
    start = time.monotonic()
    code, line = finished(BatchProgram(*words, "-o", "s3://data/undisturbed"), patience)
    line = f"{line}; {time.monotonic() - start:.0f} s"
    same = len(found) == len(names) and results(found) == results(rows("s3://data/undisturbed"))
    show(f"{len(found)} rows, each video once, equal to an undisturbed run", code == 0 and same, line)
    fourth.kill()


def workers_of_ray(node: Node | None = None) -> list[psutil.Process]:
    """Return the supervised processes of a node, or of all nodes: no others are visible here."""
    processes = psutil.Process(node.inside if node else 1).children(recursive=True)
    found = []
    for process in processes:
        with suppress(psutil.Error):
            found += [process] if "spawn_main" in " ".join(process.cmdline()) else []
    return found


def kill_workers(workers: Sequence[psutil.Process]) -> int:
    """Kill the supervised processes of all nodes; returns how many there were."""
    for worker in workers:
        with suppress(psutil.Error):
            worker.kill()
    return len(workers)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument(
        "--frames", type=int, default=25, help="of the shortest video, at 10 frames per second"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        check(options.videos, options.frames)
        return 0
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        print("namespaces are not allowed here")
        return NOT_ALLOWED
    command = [
        sys.executable,
        "-m",
        "tests.support.batch_cluster",
        "--inside",
        *("--videos", str(options.videos), "--frames", str(options.frames)),
    ]
    return subprocess.run([*NAMESPACES, *command], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

"""A whole archive: the same tables whatever does the work, and whoever is killed on the way."""

from __future__ import annotations

import json
import random
import signal
import time
from importlib.util import find_spec

import psutil
import pytest

from save_avs import load_model, segment
from save_avs.batch.output import BulkFolder
from save_avs.batch.parquet import track_of
from save_avs.cli import main
from tests.support.batch_inputs import failures, program, results, rows


def bulk(archive, tiny, folder, *more: object) -> int:
    words = ["segment", "--engine", "local", archive, "-o", folder, "--model", tiny, *more]
    return main(list(map(str, words)))


class TestResults:
    def test_they_are_what_segment_finds(self, archive, tiny, undisturbed):
        done, failed = results(undisturbed)
        model = load_model(tiny)
        assert [row["path"] for row in done] == [str(archive / f"clip-{i:02}.mp4") for i in range(11)]
        for row in (done[3], done[7]):
            found = segment(row["path"], model=model)
            assert track_of(row) == found.video_masks and row["duration"] == found.video.duration
            assert tuple(row["warnings"]) == found.warnings
        assert any(track_of(row).areas().any() for row in done)
        assert [(row["path"], row["status"]) for row in failed] == [
            (str(archive / "clip-11.mp4"), "unreadable")
        ]

    def test_two_workers_find_the_same_and_draw(self, archive, tiny, undisturbed, tmp_path):
        assert bulk(archive, tiny, tmp_path / "out", "--workers", 2, "--save", "masks,overlay") == 3
        found = rows(tmp_path / "out")
        for row in found:
            assert (tmp_path / "out/overlays" / row["overlay"] / "overlay.mp4").stat().st_size
        assert [row | {"overlay": None} for row in found] == rows(undisturbed)
        assert failures(tmp_path / "out") == failures(undisturbed)

    @pytest.mark.slow
    @pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
    @pytest.mark.parametrize("gpus", [0, 1])
    def test_ray_finds_the_same(self, archive, tiny, undisturbed, tmp_path, monkeypatch, gpus):
        """With a GPU, be it one in name only, the model lies in an actor of its own."""
        monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", json.dumps({"GPU": gpus}))
        ray = program("--engine", "ray", "--workers", 2, archive, "-o", tmp_path / "out", "--model", tiny)
        _, said = ray.communicate(timeout=300)
        assert ray.returncode == 3, said
        assert results(tmp_path / "out") == results(undisturbed)


@pytest.mark.slow
class TestKilled:
    """Moments are drawn; whatever they hit, what is there is whole, and the rest is done later."""

    @pytest.mark.parametrize("loaded", [False, True])
    def test_a_worker(self, archive, tiny, undisturbed, tmp_path, loaded):
        driver = program(
            "--engine", "local", "--workers", 2, archive, "-o", tmp_path / "out", "--model", tiny, delay=0.3
        )
        victim = first_worker(driver.pid)
        if loaded:
            wait_for(lambda: rows(tmp_path / "out"))
        time.sleep(random.Random(loaded).uniform(0, 1))
        victim.kill()
        _, said = driver.communicate(timeout=120)
        assert driver.returncode == 3, said
        assert results(tmp_path / "out") == results(undisturbed)

    def test_the_driver_again_and_again(self, archive, tiny, undisturbed, tmp_path):
        line = ["--engine", "local", "--workers", 2, archive, "-o", tmp_path / "out", "--model", tiny]
        draw, seen = random.Random(3), 0
        for new in (0, 1, 1):
            driver = program(*line, delay=0.5)
            worker = first_worker(driver.pid)
            wait_for(lambda: len(rows(tmp_path / "out")) >= seen + new)  # noqa: B023
            time.sleep(draw.uniform(0, 1))
            driver.kill()
            driver.communicate()
            worker.wait(10)  # an orphan would go on writing
            done = rows(tmp_path / "out")
            assert len(done) >= seen and all(row in rows(undisturbed) for row in done)
            seen = len(done)
        assert seen > 0
        last = program(*line)
        _, said = last.communicate(timeout=120)
        assert last.returncode == 3 and f"{seen} done before" in said
        assert results(tmp_path / "out") == results(undisturbed)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_stopping_keeps_what_was_done(self, archive, tiny, tmp_path, number, code):
        line = ["--engine", "local", "--workers", 1, archive, "-o", tmp_path / "out", "--model", tiny]
        restore = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
        driver = program(*line, delay=1.0, **restore)
        first_worker(driver.pid)
        wait_for(lambda: rows(tmp_path / "out"))
        driver.send_signal(number)
        _, said = driver.communicate(timeout=30)
        assert driver.returncode == code and "nothing half-written" in said
        left = {path.name for path in (tmp_path / "out").iterdir()}
        assert left <= {"clips", "run.json", ".lock", "failed.parquet"}
        assert 0 < len(rows(tmp_path / "out")) < 11


class TestGoingOn:
    def test_a_changed_file_is_done_again_and_failed_ones_when_asked(self, archive, tiny, tmp_path, capsys):
        few = tmp_path / "few"
        few.mkdir()
        for name in ("clip-00.mp4", "clip-01.mp4", "clip-11.mp4"):
            (few / name).write_bytes((archive / name).read_bytes())
        assert bulk(few, tiny, tmp_path / "out", "--workers", 1) == 3
        before = results(tmp_path / "out")
        assert bulk(few, tiny, tmp_path / "out", "--workers", 1, "--retry-failed") == 3
        assert "2 done before, 0 failed; 1 to do" in capsys.readouterr().err
        assert results(tmp_path / "out") == before
        (few / "clip-01.mp4").write_bytes((archive / "clip-05.mp4").read_bytes())
        (few / "clip-11.mp4").write_bytes((archive / "clip-06.mp4").read_bytes())
        assert bulk(few, tiny, tmp_path / "out", "--workers", 1) == 0
        done, failed = results(tmp_path / "out")
        assert [len(row["frames"]) for row in done] == [6, 11, 12] and not failed

    def test_a_rehearsal_writes_nothing_and_reckons(self, archive, tiny, tmp_path, capsys):
        more = ("--workers", 2, "--dry-run", "--price-per-hour", 3600, "--json")
        assert bulk(archive, tiny, tmp_path / "out", *more) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["todo"], said["done"], said["failed"]) == (12, 0, 0)
        assert said["cost"] == pytest.approx(said["seconds"]) and said["seconds"] > 0
        assert not (tmp_path / "out").exists()


class TestRefusals:
    def refused(self, capsys, code: int, part: str, *arguments: object) -> None:
        assert main(["segment", *map(str, arguments)]) == code
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1 and part in err

    def test_options(self, archive, tiny, undisturbed, tmp_path, capsys):
        here = (archive, "--model", tiny)
        self.refused(capsys, 2, "choose local or ray", *here, "--engine", "spark")
        self.refused(capsys, 2, "1 or more", *here, "--engine", "local", "--workers", "0")
        self.refused(capsys, 2, "--manifest is for --engine", archive, "--manifest", "x")
        self.refused(capsys, 2, "--save png", *here, "--engine", "local", "--save", "png")
        self.refused(capsys, 2, "--overwrite", *here, "--engine", "local", "--overwrite")
        self.refused(capsys, 2, "no input", "--engine", "local", "--model", tiny)
        other = (*here, "--engine", "local", "-o", undisturbed)
        self.refused(capsys, 2, "made with fps None, not 2.0", *other, "--fps", "2")
        self.refused(capsys, 2, "holds other things", *here, "--engine", "local", "-o", archive)

    def test_two_runs_into_one_folder(self, archive, tiny, undisturbed, capsys):
        with BulkFolder(undisturbed).opened(json.loads((undisturbed / "run.json").read_text())):
            where = (archive, "--engine", "local", "--model", tiny, "-o", undisturbed)
            self.refused(capsys, 2, "another run is writing here", *where)

    def test_an_output_that_cannot_be_written(self, archive, tiny, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        where = (archive, "--engine", "local", "--model", tiny)
        self.refused(capsys, 2, "a file, so results", *where, "-o", tmp_path / "file/out")
        self.refused(capsys, 1, "/proc/", *where, "-o", "/proc/no/such")

    def test_a_disk_without_room(self, archive, tiny, tmp_path):
        """Files are limited in size, so that the first part does not fit."""
        import resource

        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

        line = ["--engine", "local", "--workers", 1, archive, "-o", tmp_path / "out", "--model", tiny]
        driver = program(*line, preexec_fn=limit)
        _, said = driver.communicate(timeout=60)
        assert driver.returncode == 1 and said.splitlines()[-1].endswith("File too large")
        assert "Traceback" not in said
        assert not any((tmp_path / "out/clips").iterdir())


def first_worker(driver: int) -> psutil.Process:
    """The first worker that a driver started, once there is one."""
    return wait_for(
        lambda: next(
            (p for p in psutil.Process(driver).children() if "spawn_main" in " ".join(p.cmdline())), None
        )
    )


def wait_for(look, seconds: float = 60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")

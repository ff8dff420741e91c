"""Batch runs: the same rows as `segment`, one per video, whatever is killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from save_avs import load_model, segment
from save_avs.batch.output import BatchOutput
from save_avs.batch.segmenter import ModelPackage
from save_avs.cli import main
from save_avs.types import VideoMasks
from tests.support.batch_cluster import NOT_ALLOWED
from tests.support.batch_kills import worker_processes
from tests.support.batch_runs import done_rows, results, run_in_process, start_program

pytest.importorskip("ray")


def wait_for(look, seconds: float = 120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.5)
    raise AssertionError("timed out")


def video_masks(row):
    frames = row["frames"]
    return VideoMasks(
        size=(row["height"], row["width"]),
        indices=tuple(frame["index"] for frame in frames),
        source_indices=tuple(frame["source_index"] for frame in frames),
        times=tuple(frame["time"] for frame in frames),
        scores=tuple(frame["score"] for frame in frames),
        counts=tuple(frame["counts"].encode("ascii") for frame in frames),
    )


def test_rows_equal_what_segment_returns(archive, tiny, undisturbed):
    done, failed = results(undisturbed)
    model = load_model(tiny)
    assert [row["path"] for row in done] == [str(archive / f"clip-{i:02}.mp4") for i in range(11)]
    for row in (done[3], done[7]):
        result = segment(row["path"], model=model)
        assert video_masks(row) == result.video_masks and row["duration"] == result.video.duration
        assert tuple(row["warnings"]) == result.warnings
    assert any(video_masks(row).areas().any() for row in done)
    assert [(row["path"], row["status"]) for row in failed] == [(str(archive / "clip-11.mp4"), "unreadable")]


@pytest.mark.exhaustive
def test_saved_files_are_written_and_rows_stay_the_same(ray_here, archive, tiny, undisturbed, tmp_path):
    assert run_in_process(archive, tiny, tmp_path / "out", "--save", "overlay,png") == 3
    rows = done_rows(tmp_path / "out")
    for row in rows:
        folder = tmp_path / "out/files" / row["files"]
        assert (folder / "overlay.mp4").stat().st_size
        assert len(list(folder.rglob("*.png"))) == len(row["frames"])
    assert [row | {"files": None} for row in rows] == done_rows(undisturbed)


@pytest.mark.exhaustive
def test_rerun_redoes_changed_files_and_failures_on_request(ray_here, archive, tiny, tmp_path, capsys):
    few = tmp_path / "few"
    few.mkdir()
    for name in ("clip-00.mp4", "clip-01.mp4", "clip-11.mp4"):
        (few / name).write_bytes((archive / name).read_bytes())
    assert run_in_process(few, tiny, tmp_path / "out") == 3
    before = results(tmp_path / "out")
    assert run_in_process(few, tiny, tmp_path / "out") == 3
    assert results(tmp_path / "out") == before
    (few / "clip-01.mp4").write_bytes((archive / "clip-05.mp4").read_bytes())
    (few / "clip-11.mp4").write_bytes((archive / "clip-06.mp4").read_bytes())
    assert run_in_process(few, tiny, tmp_path / "out", "--retry-failed") == 0
    done, failed = results(tmp_path / "out")
    assert [len(row["frames"]) for row in done] == [6, 11, 12] and not failed


@pytest.mark.exhaustive
def test_videos_whose_files_could_not_be_written_are_done_by_the_next_run(
    ray_here, archive, tiny, tmp_path, capsys
):
    few, out = tmp_path / "few", tmp_path / "out"
    few.mkdir()
    (few / "clip-00.mp4").write_bytes((archive / "clip-00.mp4").read_bytes())
    assert run_in_process(few, tiny, out, "--save", "overlay") == 0
    shutil.rmtree(out / "files")
    (out / "files").write_text("in the way")
    (few / "clip-01.mp4").write_bytes((archive / "clip-01.mp4").read_bytes())
    assert run_in_process(few, tiny, out, "--save", "overlay") == 3
    (failed,) = results(out)[1]
    assert failed["status"] == "system" and "overlay.mp4: cannot be written" in failed["reason"]
    (out / "files").unlink()
    assert run_in_process(few, tiny, out, "--save", "overlay") == 0
    done, failed = results(out)
    assert len(done) == 2 and not failed and (out / "files" / done[1]["files"] / "overlay.mp4").exists()


def test_dry_run_counts_and_writes_nothing(archive, tiny, tmp_path, capsys):
    assert run_in_process(archive, tiny, tmp_path / "out", "--dry-run") == 0
    assert "12 to do, 0 done, 0 failed" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "1 or more"),
        (["--save", "film"], "unknown output 'film'"),
        (["--threshold", "7"], "threshold"),
        (["--fps", "2", "-o", "UNDISTURBED"], "made with fps None, not 2.0"),
        (["-o", "ARCHIVE"], "is not empty and is not a batch output"),
    ],
    ids=["no workers", "unknown output", "threshold", "other settings", "foreign folder"],
)
def test_wrong_usage_is_one_line(archive, tiny, undisturbed, capsys, arguments, message):
    places = {"UNDISTURBED": str(undisturbed), "ARCHIVE": str(archive)}
    words = ["batch", str(archive), "--model", str(tiny), *(places.get(word, word) for word in arguments)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and message in error


def test_what_ray_prints_stays_out_of_the_result(archive, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("save_avs.batch.run.run_batch", lambda *_, **__: print("a node died"))
    assert main(["batch", str(archive), "--model", str(tiny), "-o", str(tmp_path / "out"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["videos"] == 12 and "a node died" in err


def test_inputs_that_do_not_exist_stop_the_run_early(ray_here, tiny, tmp_path, capsys):
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"/no/such/{i}.mp4\n" for i in range(30)))
    words = ["batch", "--manifest", listing, "--model", tiny, "-o", tmp_path / "out", "--workers", 1]
    assert main(list(map(str, words))) == 2
    assert "cannot see /no/such/" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.exhaustive
def test_run_whose_first_videos_all_fail_stops_with_one_line(ray_here, tiny, tmp_path, capsys):
    for i in range(12):
        (tmp_path / f"{i:02}.mp4").write_text("no video")
    assert run_in_process(tmp_path, tiny, tmp_path / "out") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("save-avs: ")]
    assert "The first 10 videos of a worker all failed" in line and line.endswith("stopped.")


def test_all_published_weights_that_a_model_builds_on_travel(ray_here, tiny, tmp_path, monkeypatch):
    parts = {
        part: {"name": f"{part}.pth", "size": 3, "sha256": "0" * 64} for part in ("sam", "audio", "stem")
    }
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config["pretrained"] = parts
    (folder / "config.json").write_text(json.dumps(config))
    (tmp_path / "weights").write_bytes(b"abc")
    monkeypatch.setattr("save_avs.batch.segmenter.find_weights", lambda _: tmp_path / "weights")
    files = ray_here.get(ModelPackage.find(str(folder)).with_content().files)
    assert {"base/sam.pth", "base/audio.pth", "base/stem.pth"} < files.keys()


def test_model_content_travels_by_checksum(ray_here, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    package = ModelPackage.find(str(tiny)).with_content()
    folder, _ = package.unpack()
    assert package.sha256 in folder
    assert load_model(folder).name == load_model(tiny).name


@pytest.mark.exhaustive
def test_killed_worker_and_killed_driver_cost_no_row(ray_here, archive, tiny, undisturbed, tmp_path):
    command = [archive, "-o", tmp_path / "out", "--model", tiny, "--workers", 1]
    program = start_program(*command)
    wait_for(lambda: worker_processes(program))[0].kill()
    output = BatchOutput(str(tmp_path / "out"))
    wait_for(lambda: len(output.names("videos.parquet")) >= 2)
    program.kill()
    program.communicate()
    assert all(row in done_rows(undisturbed) for row in done_rows(tmp_path / "out"))
    program = start_program(*command)
    _, message = program.communicate(timeout=300)
    assert program.returncode == 3, message
    assert results(tmp_path / "out") == results(undisturbed)


@pytest.mark.exhaustive
def test_cluster_whose_nodes_share_no_disk():
    """Nodes in namespaces of their own, storage on S3, two kinds of models, kills; see the script."""
    pytest.importorskip("moto")
    script = subprocess.run(
        [sys.executable, "-m", "tests.support.batch_cluster"], capture_output=True, text=True, check=False
    )
    if script.returncode == NOT_ALLOWED:
        pytest.skip(script.stdout.strip())
    assert script.returncode == 0, script.stdout + script.stderr

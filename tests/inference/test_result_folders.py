from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from save_avs._text import resolved_path_text
from save_avs.errors import UsageError
from save_avs.inference.result_folders import (
    FAILURES_FILE,
    ExistingPolicy,
    FailureLog,
    SegmentationJob,
    find_input_videos,
    plan_jobs,
)
from save_avs.inference.settings import SUMMARY_FILE


def finish(folder: Path, path: Path) -> None:
    """Leave what a finished run leaves."""
    folder.mkdir(parents=True)
    (folder / SUMMARY_FILE).write_text(json.dumps({"source": resolved_path_text(path)}))


class TestPlanJobs:
    def test_videos_of_one_stem_get_numbered_folders(self, tmp_path):
        paths = [Path("a/clip.mp4"), Path("b/clip.webm"), Path("b/other.mp4")]
        folders = [job.folder.name for job in plan_jobs(paths, tmp_path, ExistingPolicy.REFUSE)]
        assert folders == ["clip", "clip-2", "other"]

    def test_refuse_raises_for_an_existing_folder(self, tmp_path):
        (tmp_path / "clip").mkdir()
        with pytest.raises(UsageError, match=r"clip already exists.*--resume.*--overwrite"):
            plan_jobs([Path("clip.mp4")], tmp_path, ExistingPolicy.REFUSE)

    def test_next_free_skips_existing_folders(self, tmp_path):
        (tmp_path / "clip").mkdir()
        (tmp_path / "clip-2").mkdir()
        (job,) = plan_jobs([Path("clip.mp4")], tmp_path, ExistingPolicy.NEXT_FREE)
        assert job.folder.name == "clip-3"

    def test_overwrite_keeps_the_names(self, tmp_path):
        (tmp_path / "clip").mkdir()
        jobs = plan_jobs([Path("clip.mp4"), Path("x/clip.mp4")], tmp_path, ExistingPolicy.OVERWRITE)
        assert [job.folder.name for job in jobs] == ["clip", "clip-2"]

    def test_resume_matches_folders_by_the_path_of_the_video(self, tmp_path):
        here, there = Path("a/clip.mp4"), Path("b/clip.mp4")
        finish(tmp_path / "clip", here)
        assert plan_jobs([there, here], tmp_path, ExistingPolicy.RESUME) == [
            SegmentationJob(there, tmp_path / "clip-2"),
            SegmentationJob(here, tmp_path / "clip"),
        ]

    def test_resume_skips_folders_without_a_summary(self, tmp_path):
        (tmp_path / "clip").mkdir()
        (job,) = plan_jobs([Path("clip.mp4")], tmp_path, ExistingPolicy.RESUME)
        assert job == SegmentationJob(Path("clip.mp4"), tmp_path / "clip-2")

    def test_directory_that_is_a_file_raises_usage_error(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="a file"):
            plan_jobs([Path("clip.mp4")], tmp_path / "file" / "deeper", ExistingPolicy.REFUSE)


class TestFailureLog:
    def read(self, folder: Path) -> list[dict]:
        return [json.loads(line) for line in (folder / FAILURES_FILE).read_text().splitlines()]

    def test_each_failure_is_one_line(self, tmp_path):
        log = FailureLog(tmp_path, [])
        assert not (tmp_path / FAILURES_FILE).exists()
        log.add(Path("a.mp4"), "torn")
        log.add(Path("b.mp4"), "empty")
        assert [(e["path"], e["reason"]) for e in self.read(tmp_path)] == [
            ("a.mp4", "torn"),
            ("b.mp4", "empty"),
        ]

    def test_lines_of_retried_videos_are_removed(self, tmp_path):
        log = FailureLog(tmp_path, [])
        log.add(Path("a.mp4"), "torn")
        log.add(Path("b.mp4"), "empty")
        FailureLog(tmp_path, [Path("a.mp4")])
        assert [entry["path"] for entry in self.read(tmp_path)] == ["b.mp4"]
        FailureLog(tmp_path, [Path("b.mp4")])
        assert not (tmp_path / FAILURES_FILE).exists()


class TestFindInputVideos:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        for name in ("a.mp4", "sub/b.webm", "notes.txt", "runs/a/overlay.mp4", "runs/a/summary.json"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("x")
        return tmp_path

    def test_folder_skips_earlier_results(self, folder):
        assert [path.name for path in find_input_videos([folder])] == ["a.mp4", "b.webm"]

    def test_glob_skips_earlier_results(self, folder):
        assert [path.name for path in find_input_videos([f"{folder}/**/*.mp4"])] == ["a.mp4"]

    def test_overlay_named_as_a_file_is_an_input(self, folder):
        overlay = folder / "runs/a/overlay.mp4"
        assert find_input_videos([overlay, folder / "a.mp4", folder]) == [
            overlay,
            folder / "a.mp4",
            folder / "sub/b.webm",
        ]

    def test_folder_with_only_results_raises_usage_error(self, folder):
        with pytest.raises(UsageError, match="no video except results"):
            find_input_videos([folder / "runs"])

    def test_missing_file_raises_usage_error(self, folder):
        shutil.rmtree(folder)
        with pytest.raises(UsageError, match="no such file"):
            find_input_videos([folder / "a.mp4"])

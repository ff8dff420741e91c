"""The command in this process, with a stand-in model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from save_avs.cli import main
from save_avs.formats import load_masks_json
from save_avs.inference.sources import open_source
from tests.support.media_files import AudioTrack, VideoTrack, make, tone
from tests.support.sample_videos import RATE, BrightWhereLoud, make_sound, make_video


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, and a model that needs no weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    return tmp_path


@pytest.fixture
def clip(place, video) -> Path:
    """A copy of the sample in the folder."""
    return Path(shutil.copy(video, place / "clip.mp4"))


def names(folder: str | Path = ".") -> list[str]:
    """Everything in a folder, hidden files too, without its subfolders' content."""
    return sorted(path.name for path in Path(folder).iterdir())


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


FOUR = ["masks.json", "overlay.mp4", "summary.json", "timeline.png"]


class TestOneVideo:
    def test_into_the_default_folder(self, clip, capsys):
        assert main(["segment", "clip.mp4"]) == 0
        assert names("runs/segment/clip") == FOUR
        out, err = capsys.readouterr()
        assert "runs/segment/clip" in out and "40 frames" in out
        assert lines(err)[0] == "model stand-in on cpu, fp32, torch"
        assert "warning" not in err

    def test_the_default_folder_takes_the_next_free_name(self, clip):
        assert main(["segment", "clip.mp4", "--save", "masks"]) == 0
        assert main(["segment", "clip.mp4", "--save", "masks"]) == 0
        assert names("runs/segment") == ["clip", "clip-2"]

    def test_save_option_chooses_the_files(self, clip):
        assert main(["segment", "clip.mp4", "-o", "out", "--save", "masks,png"]) == 0
        assert names("out/clip") == ["masks", "masks.json", "summary.json"]
        assert len(names("out/clip/masks")) == 40

    def test_fewer_frames_and_another_threshold(self, clip):
        assert main(["segment", "clip.mp4", "-o", "out", "--fps", "5", "--threshold", "0.9"]) == 0
        document = load_masks_json("out/clip/masks.json")
        assert len(document.video_masks) == 20 and document.video["fps"] == pytest.approx(10)
        summary = json.loads(Path("out/clip/summary.json").read_text())
        assert summary["settings"].items() >= {"fps": 5.0, "threshold": 0.9, "audio_track": None}.items()

    def test_without_sound_it_is_done_with_one_warning(self, place, mute_video, capsys):
        assert main(["segment", str(mute_video), "-o", "out"]) == 0
        err = lines(capsys.readouterr().err)
        assert len([line for line in err if line.startswith("warning: ")]) == 1
        video_masks = load_masks_json("out/mute/masks.json").video_masks
        assert len(video_masks) == 10 and not video_masks.areas().any() and not any(video_masks.scores)

    @pytest.mark.parametrize("size", [(96, 64), (1, 1)])
    def test_one_frame(self, place, size):
        make_video(place / "one.mp4", frames=1, size=size)
        assert main(["segment", "one.mp4", "-o", "out"]) == 0
        assert names("out/one") == FOUR

    def test_a_dry_run_writes_nothing(self, clip, capsys):
        assert main(["segment", "clip.mp4", "--dry-run"]) == 0
        assert capsys.readouterr().out == "clip.mp4 -> runs/segment/clip\n"
        assert names() == ["clip.mp4"]


class TestExistingResults:
    @pytest.fixture(autouse=True)
    def done(self, clip, capsys):
        assert main(["segment", "clip.mp4", "-o", "out", "--save", "masks"]) == 0
        Path("out/clip/mine.txt").touch()
        capsys.readouterr()

    def test_refused(self, capsys):
        assert main(["segment", "clip.mp4", "-o", "out"]) == 2
        assert "out/clip already exists" in capsys.readouterr().err
        assert names("out/clip") == ["masks.json", "mine.txt", "summary.json"]

    def test_refused_before_any_work(self, video):
        shutil.copy(video, "other.mp4")
        assert main(["segment", "other.mp4", "clip.mp4", "-o", "out"]) == 2
        assert names("out") == ["clip"]

    def test_overwritten_when_asked(self):
        assert main(["segment", "clip.mp4", "-o", "out", "--overwrite"]) == 0
        assert names("out/clip") == FOUR

    def test_resumed(self, video, capsys):
        shutil.copy(video, "other.mp4")
        assert main(["segment", "clip.mp4", "other.mp4", "-o", "out", "--resume", "--save", "masks"]) == 0
        assert names("out") == ["clip", "other"]
        assert "mine.txt" in names("out/clip")
        assert "kept" in capsys.readouterr().out

    def test_not_both(self, capsys):
        assert main(["segment", "clip.mp4", "-o", "out", "--resume", "--overwrite"]) == 2
        assert "exclude each other" in capsys.readouterr().err

    def test_an_overwrite_that_fails_keeps_the_former(self, place):
        Path("clip.mp4").write_text("no video\n" * 50)
        assert main(["segment", "clip.mp4", "-o", "out", "--overwrite"]) == 3
        assert names("out/clip") == ["masks.json", "mine.txt", "summary.json"]


class TestManyVideos:
    def test_a_folder_and_two_videos_of_one_stem(self, clip):
        Path("more").mkdir()
        shutil.copy(clip, "more/clip.mp4")
        shutil.copy(clip, "more/other.mp4")
        assert main(["segment", "clip.mp4", "more", "-o", "out", "--save", "masks"]) == 0
        assert names("out") == ["clip", "clip-2", "other"]
        document = load_masks_json("out/clip-2/masks.json")
        assert document.video["path"] == "more/clip.mp4"

    def test_a_glob(self, clip):
        shutil.copy(clip, "other.mp4")
        assert main(["segment", "*.mp4", "-o", "out", "--save", "masks"]) == 0
        assert names("out") == ["clip", "other"]

    def test_one_bad_file_does_not_stop_the_rest(self, clip, capsys):
        Path("bad.mp4").write_text("no video\n" * 50)
        assert main(["segment", "bad.mp4", "clip.mp4", "-o", "out", "--save", "masks"]) == 3
        assert names("out") == ["clip", "failed.jsonl"]
        (entry,) = map(json.loads, Path("out/failed.jsonl").read_text().splitlines())
        assert entry["path"] == "bad.mp4" and "bad.mp4" in entry["reason"]
        assert "failed: bad.mp4" in capsys.readouterr().err

    @pytest.mark.parametrize("fps", ["native", "5"])
    def test_frame_that_is_too_late_for_an_overlay_fails_at_once(self, fps, capsys):
        make(
            Path("far.mkv"), VideoTrack([0.0, 0.04, 1e9], [60, 120, 200]), AudioTrack([(0.0, tone(1, RATE))])
        )
        started = time.monotonic()
        command = ["segment", "far.mkv", "-o", "out", "--save", "overlay", "--fps", fps]
        assert main(command) == 3
        assert time.monotonic() - started < 10
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("failed: far.mkv: overlay.mp4: 1000000000 s between two frames, more than a")
        assert names("out") == ["failed.jsonl"]
        assert main([*command, "--end", "1"]) == 0
        assert "overlay.mp4" in names("out/far")

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (MemoryError(), "bad.mp4: out of memory: scale the video down"),
            (ValueError("times must increase:\n1 s"), "bad.mp4: ValueError: times must increase: 1 s"),
            (PermissionError(13, "Permission denied", "bad.mp4"), "permission denied (bad.mp4)"),
        ],
    )
    def test_any_error_of_one_file_does_not_stop_the_rest(self, error, said, clip, monkeypatch):
        def fail_or_open(path, settings):
            if path.name == "bad.mp4":
                raise error
            return open_source(path, settings)

        monkeypatch.setattr("save_avs.inference.pipeline.open_source", fail_or_open)
        shutil.copy(clip, "bad.mp4")
        assert main(["segment", "bad.mp4", "clip.mp4", "-o", "out", "--save", "masks"]) == 3
        assert names("out") == ["clip", "failed.jsonl"]
        (entry,) = map(json.loads, Path("out/failed.jsonl").read_text().splitlines())
        assert entry["path"] == "bad.mp4" and said in entry["reason"]

    def test_size_that_the_encoder_refuses_does_not_stop_the_rest(self, clip):
        ffmpeg = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=s=65000x16:r=5:d=0.4"]
        subprocess.run([*ffmpeg, "-c:v", "ffv1", "wide.mkv"], check=True)
        assert main(["segment", "wide.mkv", "clip.mp4", "-o", "out"]) == 3
        (entry,) = map(json.loads, Path("out/failed.jsonl").read_text().splitlines())
        assert "wide.mkv: FFmpeg cannot write an output video" in entry["reason"]
        assert names("out/clip") == FOUR

    def test_error_that_all_files_have_in_common_ends_the_run(self, clip, monkeypatch, capsys):
        def fail(*_):
            raise RuntimeError("the model is broken")

        monkeypatch.setattr(BrightWhereLoud, "forward", fail)
        for name in ("b.mp4", "c.mp4", "d.mp4"):
            shutil.copy(clip, name)
        assert main(["segment", ".", "-o", "out"]) == 1
        assert "RuntimeError: the model is broken" in capsys.readouterr().err
        assert len(Path("out/failed.jsonl").read_text().splitlines()) == 2

    def test_repaired_file_leaves_the_list(self, clip):
        Path("bad.mp4").write_text("no video\n" * 50)
        assert main(["segment", "bad.mp4", "clip.mp4", "-o", "out", "--save", "masks"]) == 3
        shutil.copy(clip, "bad.mp4")
        assert main(["segment", "bad.mp4", "clip.mp4", "-o", "out", "--save", "masks", "--resume"]) == 0
        assert names("out") == ["bad", "clip"]

    def test_earlier_results_are_no_input(self, clip):
        assert main(["segment", ".", "--save", "overlay"]) == 0
        assert main(["segment", ".", "--save", "overlay"]) == 0
        assert names("runs/segment") == ["clip", "clip-2"]


class TestJson:
    def test_one_document_and_nothing_else(self, clip, capsys):
        Path("bad.mp4").touch()
        assert main(["segment", "bad.mp4", "clip.mp4", "-o", "out", "--json"]) == 3
        out, err = capsys.readouterr()
        report = json.loads(out)
        (result,) = report["results"]
        assert result["folder"] == "out/clip" and result["frames"] == 40 and not result["kept"]
        (failure,) = report["failed"]
        assert failure["path"] == "bad.mp4" and "empty" in failure["reason"]
        assert "model stand-in" in err

    def test_kept_results_are_in_it(self, clip, capsys):
        main(["segment", "clip.mp4", "-o", "out", "--save", "masks"])
        capsys.readouterr()
        assert main(["segment", "clip.mp4", "-o", "out", "--save", "masks", "--resume", "--json"]) == 0
        (result,) = json.loads(capsys.readouterr().out)["results"]
        assert result["kept"] and result["frames"] == 40


def text(path: Path) -> None:
    path.write_text("these are words\n" * 50)


def truncated(path: Path, share: float = 0.05) -> None:
    """An mp4 whose index, at the front, promises more than is there."""
    whole = make_video(path.with_name("whole.mp4"), frames=200).read_bytes()
    path.with_name("whole.mp4").unlink()
    path.write_bytes(whole[: round(len(whole) * share)])


BAD_FILES = {"text": text, "truncated": truncated, "zero bytes": Path.touch, "sound only": make_sound}


class TestBadInput:
    @pytest.mark.parametrize("kind", BAD_FILES)
    def test_files_that_cannot_be_read(self, kind, place, capsys):
        BAD_FILES[kind](place / "bad.mp4")
        assert main(["segment", "bad.mp4", "-o", "out"]) == 3
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = [line for line in lines(err) if not line.startswith("model ")]
        assert line.startswith("failed: bad.mp4: ")
        assert names("out") == ["failed.jsonl"]

    def test_truncated_video_is_segmented_up_to_its_end(self, place, capsys):
        truncated(place / "cut.mp4", 0.7)
        assert main(["segment", "cut.mp4", "-o", "out", "--save", "masks"]) == 0
        warnings = [line for line in lines(capsys.readouterr().err) if line.startswith("warning: cut.mp4: ")]
        assert len([line for line in warnings if "only up to" in line]) == 1, warnings
        video_masks = load_masks_json("out/cut/masks.json").video_masks
        assert 20 < len(video_masks) < 200

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nothing.mp4"], "nothing.mp4: no such file or folder"),
            (["empty"], "empty: no video file in this folder"),
            (["*.mov"], "*.mov: no video file matches"),
            ([], "Missing argument"),
            (["clip.mp4", "--fps", "0"], "fps must be"),
            (["clip.mp4", "--fps", "often"], "fps must be"),
            (["clip.mp4", "--fps", "1e9", "--start", "1"], "fps must be above 0 and at most 1000"),
            (["clip.mp4", "--threshold", "1.5"], "threshold"),
            (["clip.mp4", "--threshold", "half"], "'--threshold'"),
            (["clip.mp4", "--save", "gif"], "'gif'"),
            (["clip.mp4", "--color", "chartreuse-ish"], "unknown color 'chartreuse-ish': give auto"),
            (["clip.mp4", "--opacity", "2"], "opacity must be between 0 and 1"),
            (["clip.mp4", "--bogus"], "--bogus"),
            (["clip.mp4", "-o", "clip.mp4"], "a file"),
        ],
    )
    def test_wrong_usage(self, arguments, said, clip, capsys):
        Path("empty").mkdir()
        assert main(["segment", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = lines(err)
        assert line.startswith("save-avs: ") and said in line
        assert names() == ["clip.mp4", "empty"]

    @pytest.mark.parametrize(
        ("place_refused", "said"),
        [
            (".", ". cannot be written to: choose another folder with -o"),
            ("clip.mp4", "clip.mp4 cannot be read"),
        ],
    )
    @pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
    def test_permissions_are_checked_before_the_model_is_loaded(
        self, place_refused, said, dry_run, clip, monkeypatch, capsys
    ):
        monkeypatch.setattr("save_avs.runtimes.load_model", None)
        access = os.access  # root may do everything
        monkeypatch.setattr("os.access", lambda path, mode: str(path) != place_refused and access(path, mode))
        assert main(["segment", "clip.mp4", "-o", "out", *dry_run]) == 2
        assert said in capsys.readouterr().err and names() == ["clip.mp4"]

    def test_one_unreadable_file_of_several_is_shown_by_a_dry_run(self, clip, monkeypatch, capsys):
        shutil.copy(clip, "bad.mp4")
        monkeypatch.setattr("os.access", lambda path, _: str(path) != "bad.mp4")
        assert main(["segment", "bad.mp4", "clip.mp4", "--dry-run"]) == 0
        assert "(cannot be read: change its permissions)" in lines(capsys.readouterr().out)[0]

    def test_recording_that_was_not_finished_says_so(self, clip, capsys):
        data = make_video(clip.with_name("whole.mp4")).read_bytes()
        clip.with_name("whole.mp4").unlink()
        index = data.index(b"moov") - 4
        rest = index + int.from_bytes(data[index : index + 4])
        clip.write_bytes(data[:index] + data[rest:])
        assert main(["segment", "clip.mp4", "-o", "out"]) == 3
        assert "moov, is missing: the recording or download was not finished" in capsys.readouterr().err

    def test_one_wrong_path_stops_all_before_any_work(self, clip):
        assert main(["segment", "clip.mp4", "nothing.mp4", "-o", "out"]) == 2
        assert names() == ["clip.mp4"]

    def test_a_failure_of_the_program(self, clip, capsys, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device", "overlay.mp4")

        monkeypatch.setattr("save_avs.video.VideoWriter.write", full)
        assert main(["segment", "clip.mp4", "-o", "out"]) == 1
        said = "save-avs: overlay.mp4: No space left on device; free some space, or write to another disk"
        assert lines(capsys.readouterr().err)[-1] == said
        assert names("out") == []

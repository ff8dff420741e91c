"""`save-avs segment` on existing results: kept, segmented again, and runs at the same time."""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from save_avs.cli import main
from save_avs.inference.settings import SegmentationSettings
from tests.support.sample_videos import RATE, BrightWhereLoud, make_video, tone_then_silence

RUN = ["segment", "clip.mp4", "-o", "out"]
BASE = {"--fps": "5", "--threshold": "0.5", "--save": "masks,timeline", "--color": "auto", "--opacity": "0.5"}
BASE |= {"--smooth": "0", "--outline": "0.42"}
BASE |= {"--tone-map": "auto", "--deinterlace": "auto"}
CHANGES = {
    "--fps": ("2", "fps was 5.0, is 2.0"),
    "--threshold": ("0.7", "threshold was 0.5, is 0.7"),
    "--color": ("#00ff00", "color was auto, is #00ff00"),
    "--opacity": ("0.3", "opacity was 0.5, is 0.3"),
    "--smooth": ("0.2", "smooth was 0.0, is 0.2"),
    "--outline": ("1", "outline was 0.42, is 1.0"),
    "--objects": (None, "objects was False, is True"),
    "--track": (None, "objects was False, is True, track was False, is True"),
    "--labels": (None, "labels was False, is True"),
    "--tone-map": ("off", "tone_map was auto, is off"),
    "--deinterlace": ("off", "deinterlace was auto, is off"),
    "--audio-track": ("1", "audio_track was none, is 1"),
    "--audio": ("other.wav", "audio was none, is {here}/other.wav"),
    "--normalize-audio": (None, "normalize_audio was False, is True"),
    "--start": ("1.5", "start was 0.0, is 1.5"),
    "--end": ("0:01.5", "end was none, is 1.5"),
    "--save": ("masks", "outputs was masks,timeline, is masks"),
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, video) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    shutil.copy(video, "clip.mp4")
    soundfile.write("other.wav", tone_then_silence(2.0), RATE)
    return tmp_path


def options(**changed: str | None) -> list[str]:
    return [word for pair in (BASE | changed).items() for word in pair if word is not None]


def segmented(*arguments: str) -> int:
    return main([*RUN, *options(), *arguments])


def content() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("out/clip").iterdir()}


def key() -> dict:
    return json.loads(Path("out/clip/summary.json").read_text())["key"]


def test_every_setting_is_changed_once():
    names = {"outputs" if option == "--save" else option[2:].replace("-", "_") for option in CHANGES}
    assert names == SegmentationSettings.__dataclass_fields__.keys() - {"batch_size"}


def test_same_request_is_kept(capsys):
    assert segmented() == 0
    before = content()
    assert segmented("--resume") == 0
    assert content() == before and "kept" in capsys.readouterr().out


def test_order_of_outputs_does_not_matter(capsys):
    assert segmented() == 0
    assert main([*RUN, *options(**{"--save": "timeline,masks"}), "--resume"]) == 0
    assert "kept" in capsys.readouterr().out


@pytest.mark.parametrize("option", CHANGES)
def test_changed_option_is_segmented_again(option, capsys):
    assert segmented() == 0
    value, words = CHANGES[option]
    words = words.format(here=Path.cwd())
    changed = [*RUN, *options(**{option: value}), "--resume"]
    assert main([*changed, "--dry-run"]) == 0
    assert f"(again: {words})" in capsys.readouterr().out
    assert main(changed) == 0
    out, err = capsys.readouterr()
    assert words in err and "kept" not in out
    now = content()
    shutil.rmtree("out")
    assert main(changed) == 0
    fresh = content()
    assert now.keys() == fresh.keys() and now["masks.json"] == fresh["masks.json"]


def test_source_replaced_with_same_size_and_time_is_segmented_again(capsys):
    assert segmented() == 0
    stat = Path("clip.mp4").stat()
    data = bytearray(Path("clip.mp4").read_bytes())
    data[-1] ^= 1
    Path("clip.mp4").write_bytes(data)
    os.utime("clip.mp4", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert segmented("--resume") == 0
    assert "the file has changed" in capsys.readouterr().err


def test_source_replaced_by_another_video_is_segmented_again():
    assert segmented() == 0
    make_video(Path("clip.mp4"), frames=10)
    assert segmented("--resume") == 0
    assert json.loads(Path("out/clip/summary.json").read_text())["frames"] == 5


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("name", "other"), ("checksum", "0123"), ("precision", "bf16"), ("runtime", "onnx")],
)
def test_another_model_is_segmented_again(attribute, value, capsys, monkeypatch):
    assert segmented() == 0
    monkeypatch.setattr(BrightWhereLoud, attribute, value, raising=False)
    assert segmented("--resume") == 0
    out, err = capsys.readouterr()
    assert f"{attribute} was " in err and "kept" not in out
    assert key()["model"][attribute] == value


def test_replaced_sound_is_segmented_again(capsys):
    assert segmented("--audio", "other.wav") == 0
    assert segmented("--audio", Path("other.wav").resolve().as_posix(), "--resume") == 0
    assert "kept" in capsys.readouterr().out
    Path("other.wav").write_bytes(Path("other.wav").read_bytes()[:-4] + b"last")
    assert segmented("--audio", "other.wav", "--resume") == 0
    assert "the file of its sound has changed" in capsys.readouterr().err


def test_another_version_is_segmented_again(capsys, monkeypatch):
    assert segmented() == 0
    monkeypatch.setattr("save_avs.inference.result_key.package_version", lambda: "99.0")
    assert segmented("--resume") == 0
    assert "version was" in capsys.readouterr().err and key()["version"] == "99.0"


def test_result_without_a_key_is_segmented_again(capsys):
    assert segmented() == 0
    file = Path("out/clip/summary.json")
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "key"}))
    assert segmented("--resume") == 0
    assert "an earlier version wrote it" in capsys.readouterr().err and key()


def test_result_with_a_missing_file_is_segmented_again(capsys):
    assert segmented() == 0
    Path("out/clip/timeline.png").unlink()
    assert segmented("--resume") == 0
    assert "timeline.png is missing" in capsys.readouterr().err and "timeline.png" in content()


def test_source_that_changes_during_the_run_fails(monkeypatch, capsys):
    def touch(*_):
        os.utime("clip.mp4", ns=(1, 1))

    monkeypatch.setattr("save_avs.inference.pipeline._Pipeline._report", touch)
    assert segmented() == 3
    assert "changed while it was segmented" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == ["failed.jsonl"]


KILL_POINTS = {
    "first frame": ("save_avs.inference.pipeline._Pipeline._consume", 1),
    "fifth frame": ("save_avs.types.VideoMasksBuilder.add", 5),
    "records": ("save_avs.inference.result.SegmentationResult.write_records", 1),
    "masks": ("save_avs.inference.result.write_masks_json", 1),
    "timeline": ("save_avs.inference.result.save_figure", 1),
    "summary": ("save_avs.inference.result.json_document", 1),
    "before the first rename": ("pathlib.Path.rename", 1),
    "between the renames": ("pathlib.Path.rename", 2),
    "before the lock is removed": ("pathlib.Path.unlink", 3),
    "start": ("save_avs.inference.multiple_inputs.segment", 1),
}


def killed_at(point: str, arguments: list[str]) -> None:
    """Run the command in a child that is killed when a function is called for the n-th time."""
    name, calls = KILL_POINTS[point]
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        return
    original, count = pkgutil.resolve_name(name), 0

    def dying(*args, **options):
        nonlocal count
        count += 1
        if count == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name, dying)
        main(arguments)
    os._exit(0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("point", KILL_POINTS)
def test_resume_after_a_kill_gives_the_right_result(point):
    assert segmented() == 0
    changed = [*RUN, *options(**{"--fps": "2"}), "--resume"]
    killed_at(point, changed)
    assert main(changed) == 0
    assert json.loads(Path("out/clip/summary.json").read_text())["frames"] == 8
    assert [path.name for path in Path("out").iterdir()] == ["clip"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("extra", [[], ["--resume"]])
def test_same_command_twice_at_once_keeps_one_result(extra):
    shutil.copy("clip.mp4", "other.mp4")
    command = [
        sys.executable,
        "-m",
        "tests.support.cli_process",
        "segment",
        "clip.mp4",
        "other.mp4",
        "-o",
        "out",
    ]
    command += [*options(), *extra]
    environment = os.environ | {"STAND_IN_DELAY": "0.5"}
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [run.communicate(timeout=120) for run in runs]
    codes = sorted(run.returncode for run in runs)
    assert codes == [0, 0] or (codes == [0, 2] and not extra), (
        said
    )  # 2: it found the other's result at its start
    assert sorted(path.name for path in Path("out").iterdir()) == ["clip", "other"]
    assert sorted(content()) == ["masks.json", "summary.json", "timeline.png"]

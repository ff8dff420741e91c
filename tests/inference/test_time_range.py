"""Segmenting a range of a video: masks, files, sound and messages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

import save_avs
from save_avs.cli import main
from save_avs.errors import MediaError, UsageError
from save_avs.inference.settings import parse_time
from tests.support.media_files import AudioTrack, VideoTrack, make, needs_ffmpeg
from tests.support.sample_videos import RATE, BrightWhereLoud, frame, tone_then_silence, write_images

EVENTS = (0.6, 2.2, 3.4)  # flashes with beeps, in seconds
FPS = 25


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A flash of a frame with a beep of 40 ms, three times in five seconds; the clock starts at 10 s."""
    times = np.arange(5 * FPS) / FPS
    levels = [230 if any(abs(t - event) < 1e-6 for event in EVENTS) else 30 for t in times]
    sound = np.zeros(5 * RATE, np.float32)
    for event in EVENTS:
        at = round(event * RATE)
        sound[at : at + RATE // 25] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(RATE // 25) / RATE)
    path = tmp_path_factory.mktemp("range") / "clip.mkv"
    return make(path, VideoTrack(10 + times, levels), AudioTrack([(10.0, sound[None])]))


def flashes_and_beeps(path: Path) -> tuple[list[float], list[float], float]:
    """Times of bright frames and of the beginnings of beeps, and the length of the sound, by FFmpeg."""
    with av.open(str(path)) as container:
        flashes = [f.time for f in container.decode(video=0) if f.to_ndarray(format="gray").mean() > 120]
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    sound = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)
    loud = np.flatnonzero(np.abs(sound) > 0.3) / RATE
    starts = loud[np.diff(loud, prepend=-1) > 0.2]
    return flashes, starts.tolist(), len(sound) / RATE


@needs_ffmpeg
@pytest.mark.parametrize("fps", [None, 5.0])
def test_files_hold_the_range_with_its_sound_in_sync(clip, tmp_path, fps):
    outputs = ("overlay", "matte", "masks", "timeline")
    options = {"fps": fps, "start": 1.0, "end": 3.0, "opacity": 0.0}
    folder = tmp_path / "out"
    result = save_avs.segment(clip, model=BrightWhereLoud(), outputs=outputs, directory=folder, **options)
    assert result.times[0] == pytest.approx(1.0) and result.times[-1] < 3.0
    for file in (folder / "overlay.mp4", folder / "matte.mov", result.overlay(tmp_path / "later.mp4")):
        flashes, beeps, seconds = flashes_and_beeps(file)
        if file.suffix == ".mp4" or fps is None:
            assert flashes == pytest.approx([1.2], abs=0.005)
        assert beeps == pytest.approx([1.2], abs=0.01)
        assert seconds == pytest.approx(2.0, abs=0.05)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["settings"]["start"] == 1.0 and summary["settings"]["end"] == 3.0
    assert summary["frames"] == len(result) == (50 if fps is None else 10)
    assert summary["frames_decoded"] == 50
    records = json.loads((folder / "masks.json").read_text())["frames"]
    assert [record["source_index"] for record in records] == list(range(25, 75, 1 if fps is None else 5))
    later = result.save(tmp_path / "saved")
    assert (later / "masks.json").read_bytes() == (folder / "masks.json").read_bytes()


def test_masks_are_those_of_the_whole(clip):
    whole = save_avs.segment(clip, model=BrightWhereLoud())
    part = save_avs.segment(clip, model=BrightWhereLoud(), start=2.0, end=2.5)
    inside = (whole.times >= 2.0) & (whole.times < 2.5)
    np.testing.assert_array_equal(part.masks, whole.masks[inside])
    assert part.masks.any()
    np.testing.assert_array_equal(part.times, whole.times[inside])
    np.testing.assert_array_equal(part.video_masks.source_indices, np.flatnonzero(inside))


def test_progress_is_that_of_the_range(clip):
    seen = []
    save_avs.segment(clip, model=BrightWhereLoud(), start=4.0, end=4.5, on_progress=seen.append)
    assert seen[-1].duration == pytest.approx(0.5) and seen[-1].fraction == pytest.approx(0.48 / 0.5, abs=0.1)


def test_range_of_arrays():
    frames = np.stack([frame(i, 96, 64) for i in range(40)])
    options = {"sample_rate": RATE, "fps": 10, "model": BrightWhereLoud()}
    whole = save_avs.segment_arrays(frames, tone_then_silence(4.0), **options)
    part = save_avs.segment_arrays(frames, tone_then_silence(4.0), start=1.0, end=2.0, **options)
    np.testing.assert_array_equal(part.masks, whole.masks[10:20])
    assert part.video_masks.source_indices == tuple(range(10, 20)) and part.times[0] == 1.0
    with pytest.raises(MediaError, match=r"arrays: no frame from 4 s on: it ends at 4\.00 s"):
        save_avs.segment_arrays(frames, None, start=4.0, **options)


@needs_ffmpeg
def test_range_of_a_folder_of_images(tmp_path):
    write_images(tmp_path / "clip", [f"{k}.png" for k in range(40)])
    sound = np.concatenate([np.zeros(RATE), tone_then_silence(2.0), np.zeros(RATE)])
    soundfile.write(tmp_path / "clip" / "a.wav", sound, RATE)
    result = save_avs.segment(
        tmp_path / "clip", model=BrightWhereLoud(), start=0.5, end=3.5, directory=tmp_path / "out"
    )
    assert result.video_masks.source_indices == tuple(range(5, 35))
    _, [beep], seconds = flashes_and_beeps(tmp_path / "out" / "overlay.mp4")
    assert beep == pytest.approx(0.5, abs=0.02) and seconds == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--start", "5"], 3, "clip.mkv: no frame from 5 s on: it ends at 5.0"),
        (["--start", "0:09", "--end", "10"], 3, "clip.mkv: no frame from 9 s to 10 s: it ends at 5.0"),
        (["--start", "2.001", "--end", "2.002"], 3, "clip.mkv: no frame from 2.001 s to 2.002 s"),
        (["--start", "2", "--end", "2"], 2, "end must be after start: 2 s is not after 2 s"),
        (["--start", "2", "--end", "1"], 2, "end must be after start: 1 s is not after 2 s"),
        (["--start", "1:60"], 2, "'1:60' is not a time: give seconds, MM:SS or HH:MM:SS"),
        (["--end", "soon"], 2, "'soon' is not a time"),
        (["--start=-1"], 2, "'-1' is not a time"),
    ],
)
def test_empty_range_is_one_line(clip, tmp_path, monkeypatch, capsys, options, code, words):
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    monkeypatch.chdir(tmp_path)
    assert main(["segment", str(clip), "-o", "out", *options]) == code
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in Path("out").glob("*")] == (["failed.jsonl"] if code == 3 else [])


@pytest.mark.parametrize(
    ("start", "end"), [(-1.0, None), (float("nan"), None), (0.0, float("inf")), (2.0, 2.0)]
)
def test_wrong_range_is_refused_in_python(clip, start, end):
    with pytest.raises(UsageError):
        save_avs.segment(clip, model=BrightWhereLoud(), start=start, end=end)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90.5", 90.5),
        ("1:30", 90),
        ("1:30.25", 90.25),
        ("01:02:03", 3723),
        ("100:00:00", 360000),
    ],
)
def test_time_is_parsed(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "a", "1:", ":30", "1:2:3:4", "1:99", "99:00:", "60:00", "nan", "inf", "1e3", "-1", "٣"]
)
def test_other_text_is_no_time(text):
    with pytest.raises(UsageError, match="is not a time"):
        parse_time(text)

"""Which sound belongs to a video: its own audio tracks, or another file's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import save_avs
from save_avs.cli import main
from save_avs.errors import MediaError, UsageError
from tests.support.media_files import AudioTrack, VideoTrack, ffmpeg, make, needs_ffmpeg
from tests.support.sample_videos import RATE, BrightWhereLoud, write_images

SECONDS = 4.0


def beep(start: float, end: float) -> np.ndarray:
    time = np.arange(round(SECONDS * RATE)) / RATE
    return np.where((time >= start) & (time < end), 0.5 * np.sin(2 * np.pi * 440 * time), 0).astype(
        np.float32
    )


def white(*, start: float = 0.0) -> VideoTrack:
    count = round(SECONDS * 10)
    return VideoTrack([start + i / 10 for i in range(count)], [250] * count)


def track(start: float, end: float, *, at: float = 0.0) -> AudioTrack:
    return AudioTrack([(at, beep(start, end)[None])])


def marked_span(result) -> tuple[float, float]:
    times = result.times[result.masks.any(axis=(1, 2))]
    return times.min(), times.max()


def heard_span(path: Path, level: float = 0.2) -> tuple[float, float]:
    """First and last loud time of a file's sound, in seconds, as the ffmpeg binary decodes it."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    waveform = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)
    loud = np.flatnonzero(np.abs(waveform) > level) / RATE
    return loud.min(), loud.max()


@pytest.fixture
def two_tracks(tmp_path) -> Path:
    return make(tmp_path / "clip.mkv", white(), track(0, 1), track(2.5, 3.5))


@needs_ffmpeg
@pytest.mark.parametrize(("number", "span"), [(None, (0, 1)), (1, (0, 1)), (2, (2.5, 3.5))])
def test_audio_track_is_heard_and_written(two_tracks, tmp_path, number, span):
    folder = tmp_path / "out"
    result = save_avs.segment(
        two_tracks,
        model=BrightWhereLoud(),
        audio_track=number,
        directory=folder,
        outputs=("overlay", "matte"),
    )
    assert marked_span(result) == pytest.approx(span, abs=0.65)  # a patch is 0.96 s long
    for file in (folder / "overlay.mp4", folder / "matte.mov", result.overlay(tmp_path / "later.mp4")):
        assert heard_span(file) == pytest.approx(span, abs=0.03)


def test_missing_track_names_those_there_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    stereo = AudioTrack([(0.0, np.zeros((2, RATE), np.float32))], RATE, "stereo", "flac")
    clip = make(tmp_path / "clip.mkv", white(), track(0, 1), stereo)
    command = ["segment", str(clip), "-o", str(tmp_path / "out"), "--audio-track"]
    assert main([*command, "3"]) == 3
    error = f"{clip}: has no audio track 3: choose from 1 (pcm_s16le, mono), 2 (flac, stereo)"
    assert capsys.readouterr().err.splitlines()[-1] == f"failed: {error}"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["failed.jsonl"]
    assert main([*command, "0"]) == 2
    assert "counted from 1" in capsys.readouterr().err


@needs_ffmpeg
def test_missing_track_names_languages(two_tracks, tmp_path):
    named = tmp_path / "named.mkv"
    ffmpeg("-i", two_tracks, "-map", "0", "-c", "copy", "-metadata:s:a:1", "language=deu", named)
    with pytest.raises(MediaError, match=r"2 \(pcm_s16le, mono, deu\)"):
        save_avs.read_video_chunks(named, audio_track=3)


def test_track_of_a_silent_video_raises_media_error(tmp_path):
    with pytest.raises(MediaError, match="no audio track 1: it has no sound"):
        save_avs.read_video_chunks(make(tmp_path / "v.mkv", white()), audio_track=1)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["s.wav", "s.flac", "s.mka", "s.mp4"])
def test_sound_of_another_file_starts_with_the_video(tmp_path, name):
    clip = make(tmp_path / "clip.mkv", white(start=5.0), track(0, 1, at=5.0))
    soundfile.write(tmp_path / "a.wav", beep(2, 3), RATE)
    sound = tmp_path / name
    ffmpeg("-i", tmp_path / "a.wav", tmp_path / "s.flac")
    # a video that starts at 3 s, a second before its sound: the beep is 1.5 s after its start
    if name == "s.mka":
        ffmpeg(
            "-itsoffset",
            "3",
            "-i",
            make(tmp_path / "b.mkv", white(), track(0.5, 1.5, at=1.5)),
            "-c",
            "copy",
            "-f",
            "matroska",
            sound,
        )
    elif name != "s.flac":
        ffmpeg("-i", tmp_path / "a.wav", tmp_path / name)
    result = save_avs.segment(
        clip, model=BrightWhereLoud(), audio=sound, directory=tmp_path / "out", outputs=("overlay",)
    )
    assert marked_span(result) == pytest.approx((2, 3), abs=0.65)
    assert heard_span(tmp_path / "out" / "overlay.mp4") == pytest.approx((2, 3), abs=0.03)


def test_audio_track_counts_the_tracks_of_the_other_file(two_tracks, tmp_path):
    clip = make(tmp_path / "silent.mkv", white())
    result = save_avs.segment(clip, model=BrightWhereLoud(), audio=two_tracks, audio_track=2)
    assert marked_span(result) == pytest.approx((2.5, 3.5), abs=0.65)


def test_folder_of_images_without_a_wav_takes_another_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    write_images(tmp_path / "clip", [f"{k}.png" for k in range(40)])
    soundfile.write(tmp_path / "s.wav", beep(0, 2), RATE)
    command = ["segment", str(tmp_path / "clip"), "-o", str(tmp_path / "out"), "--save", "masks,overlay"]
    assert main(command) == 2
    assert main([*command, "--audio", str(tmp_path / "s.wav")]) == 0
    result = save_avs.segment(tmp_path / "clip", model=BrightWhereLoud(), audio=tmp_path / "s.wav")
    assert result.times[-1] == pytest.approx(3.9) and marked_span(result) == pytest.approx((0, 2), abs=0.65)


def test_sound_for_several_inputs_is_refused(two_tracks, tmp_path, capsys):
    other = make(tmp_path / "other.mkv", white())
    sound = tmp_path / "s.wav"
    soundfile.write(sound, beep(2, 3), RATE)
    assert main(["segment", str(two_tracks), str(other), "--audio", str(sound)]) == 2
    assert "is the sound of one input, not of 2: segment one at a time" in capsys.readouterr().err
    with pytest.raises(UsageError, match="not of 2"):
        save_avs.segment([two_tracks, other], model=BrightWhereLoud(), audio=sound)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, UsageError, "no such file"),
        (b"text", MediaError, "s.mkv: cannot be read as audio"),
        ("video", MediaError, "no audio in it"),
    ],
)
def test_wrong_file_of_sound_is_refused(two_tracks, tmp_path, content, error, words):
    sound = tmp_path / "s.mkv"
    if content == "video":
        make(sound, white())
    elif content is not None:
        sound.write_bytes(content)
    with pytest.raises(error, match=words):
        save_avs.segment(two_tracks, model=BrightWhereLoud(), audio=sound, directory=tmp_path / "out")
    assert not (tmp_path / "out").exists()

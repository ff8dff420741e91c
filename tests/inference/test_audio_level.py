"""What is said about silent tracks and quiet sound, and what --normalize-audio does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import save_avs
from save_avs.cli import main
from save_avs.video import audio_level
from tests.inference.test_audio_choice import SECONDS, beep, heard_span, marked_span, track, white
from tests.support.media_files import AudioTrack, make, needs_ffmpeg
from tests.support.sample_videos import RATE, BrightWhereLoud, frame, write_images

SILENCE = AudioTrack([(0.0, np.zeros((1, round(SECONDS * RATE)), np.float32))])

SILENT_ADVICE = "silent throughout: nothing can be marked; give other sound with --audio"


def warnings_of(path: Path, **options) -> tuple[str, ...]:
    return save_avs.segment(path, model=BrightWhereLoud(), **options).warnings


def scaled(db: float, *span: float) -> AudioTrack:
    # RMS of the beep: 0.5 / sqrt(2), -9 dBFS
    return AudioTrack([(0.0, 10 ** (db / 20) * beep(*span)[None])], RATE, "mono", "pcm_f32le", "flt")


@pytest.mark.parametrize("tracks", [2, 3])
def test_silent_track_beside_a_sounding_one_is_said(tmp_path, tracks):
    clip = make(tmp_path / "clip.mkv", white(), *[SILENCE] * (tracks - 1), track(1, 2))
    advice = f"audio track 1 is silent, track {tracks} is not: choose it with --audio-track {tracks}"
    assert warnings_of(clip) == (f"{clip}: {advice}",)
    assert warnings_of(clip, audio_track=tracks) == ()
    assert warnings_of(clip, audio_track=1) == (f"{clip}: {SILENT_ADVICE}",)
    assert warnings_of(make(tmp_path / "other.mkv", white()), audio=clip) == (f"{clip}: {advice}",)


def test_other_tracks_are_searched_in_the_range_only(tmp_path):
    clip = make(tmp_path / "clip.mkv", white(), SILENCE, track(0, 1))
    assert "throughout" in warnings_of(clip, start=2.5)[0]
    assert "track 2 is not" in warnings_of(clip, end=2.5)[0]


@pytest.mark.parametrize("tracks", [[track(0, 1), SILENCE], [track(0, 1), track(1, 2)]])
def test_nothing_is_said_where_the_track_sounds(tmp_path, tracks):
    assert warnings_of(make(tmp_path / "clip.mkv", white(), *tracks)) == ()


@pytest.mark.parametrize("tracks", [[SILENCE], [SILENCE, SILENCE]])
def test_silence_is_said_where_no_other_track_helps(tmp_path, tracks):
    clip = make(tmp_path / "clip.mkv", white(), *tracks)
    assert warnings_of(clip) == (f"{clip}: {SILENT_ADVICE}",)


def test_a_silent_sound_file_is_named(tmp_path):
    clip = make(tmp_path / "clip.mkv", white(), track(0, 1))
    soundfile.write(tmp_path / "none.wav", np.zeros(2 * RATE), RATE)
    assert warnings_of(clip, audio=tmp_path / "none.wav") == (f"{tmp_path / 'none.wav'}: {SILENT_ADVICE}",)


def test_arrays_without_sound_and_with_silence_differ():
    frames, options = np.zeros((4, 8, 8, 3), np.uint8), {"fps": 4, "model": BrightWhereLoud()}
    assert save_avs.segment_arrays(frames, np.zeros(RATE), sample_rate=RATE, **options).warnings == (
        f"arrays: {SILENT_ADVICE}",
    )
    assert save_avs.segment_arrays(frames, **options).warnings == ("arrays: has no sound",)


def test_other_tracks_are_decoded_only_where_one_is_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_level, "_sounds", pytest.fail)
    assert warnings_of(make(tmp_path / "a.mkv", white(), track(0, 1), track(1, 2))) == ()
    assert len(warnings_of(make(tmp_path / "b.mkv", white(), SILENCE))) == 1


@pytest.mark.parametrize(("db", "said"), [(-30, False), (-40, True), (-60, True)])
def test_quiet_sound_is_said_once_with_advice(tmp_path, monkeypatch, capsys, db, said):
    clip = make(tmp_path / "clip.mkv", white(), scaled(db, 0.8, 2))
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    command = ["segment", str(clip), "--save", "masks", "-o", str(tmp_path / "out")]
    assert main(command) == 0
    advice = f"{clip}: very quiet sound ({db - 9} dBFS): if masks are missing, add --normalize-audio"
    assert capsys.readouterr().err.count(advice) == said
    assert json.loads((tmp_path / "out/clip/summary.json").read_text())["warnings"] == [advice] * said
    assert main([*command, "--overwrite", "--normalize-audio"]) == 0
    assert "quiet" not in capsys.readouterr().err


@needs_ffmpeg
def test_normalized_sound_is_for_the_model_only(tmp_path):
    clip = make(tmp_path / "clip.mkv", white(), scaled(-40, 0.8, 2))
    assert not save_avs.segment(clip, model=BrightWhereLoud()).masks.any()
    folder = tmp_path / "out"
    result = save_avs.segment(
        clip, model=BrightWhereLoud(), normalize_audio=True, directory=folder, outputs=("overlay",)
    )
    assert marked_span(result) == pytest.approx((0.8, 2), abs=0.65)
    assert heard_span(folder / "overlay.mp4", 0.003) == pytest.approx((0.8, 2), abs=0.03)
    with pytest.raises(ValueError):  # nothing is above -40 dBFS
        heard_span(folder / "overlay.mp4", 0.01)
    [chunk] = save_avs.read_video_chunks(clip, chunk=100, normalize_audio=True)
    loud = chunk.waveform[round((1.1 - chunk.waveform_start) * RATE) :][: round(0.8 * RATE)]
    assert 20 * np.log10(np.sqrt(np.mean(loud**2))) == pytest.approx(-20, abs=0.6)


def test_gain_is_that_of_the_whole_track_in_any_range(tmp_path):
    both = 10 ** (-40 / 20) * (beep(0, 1) + 0.03 * beep(2.5, 3.5))
    clip = make(
        tmp_path / "clip.mkv", white(), AudioTrack([(0.0, both[None])], RATE, "mono", "pcm_f32le", "flt")
    )
    whole, part = (
        np.concatenate(
            [
                chunk.waveform
                for chunk in save_avs.read_video_chunks(clip, chunk=100, normalize_audio=True, start=start)
            ]
        )
        for start in (0.0, 2.0)
    )
    np.testing.assert_allclose(np.abs(part).max(), np.abs(whole[round(2.5 * RATE) :]).max(), rtol=0.01)


def test_loud_sound_is_not_changed(tmp_path):
    clip = make(tmp_path / "clip.mkv", white(), track(1, 2))
    plain, normalized = (
        next(save_avs.read_video_chunks(clip, normalize_audio=switch)).waveform for switch in (False, True)
    )
    np.testing.assert_array_equal(plain, normalized)


def test_arrays_and_folders_of_images(tmp_path):
    frames = np.stack([frame(i, 96, 64) for i in range(40)])
    options = {"sample_rate": RATE, "fps": 10, "model": BrightWhereLoud()}
    quiet = save_avs.segment_arrays(frames, 0.01 * beep(0.8, 2), **options)
    assert not quiet.masks.any()
    assert quiet.warnings == (
        "arrays: very quiet sound (-49 dBFS): if masks are missing, add --normalize-audio",
    )
    loud = save_avs.segment_arrays(frames, 0.01 * beep(0.8, 2), normalize_audio=True, **options)
    assert marked_span(loud) == pytest.approx((0.8, 2), abs=0.65) and loud.warnings == ()
    write_images(tmp_path / "clip", [f"{k}.png" for k in range(40)])
    soundfile.write(tmp_path / "clip" / "s.wav", 0.01 * beep(0.8, 2), RATE, "FLOAT")
    result = save_avs.segment(tmp_path / "clip", model=BrightWhereLoud(), normalize_audio=True)
    assert marked_span(result) == pytest.approx((0.8, 2), abs=0.65)

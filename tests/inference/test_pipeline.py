from __future__ import annotations

import json
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from save_avs.errors import MediaError, UsageError
from save_avs.formats import load_masks_json
from save_avs.inference.pipeline import segment
from tests.support.sample_videos import BrightWhereLoud, frame, make_sound, make_video


@pytest.fixture
def model() -> BrightWhereLoud:
    return BrightWhereLoud()


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def test_segment_masks_every_frame_and_follows_the_sound(video, model):
    result = segment(video, model=model)
    video_masks = result.video_masks
    assert video_masks.indices == tuple(range(40))
    np.testing.assert_allclose(video_masks.times, np.arange(40) / 10, atol=1e-3)
    assert all(score > 0.5 for score in video_masks.scores[:24])
    assert not any(video_masks.scores[26:])
    target = frame(10, 96, 64)[:, :, 0] > 0
    mask = video_masks.mask(10)
    assert (mask & target).sum() / (mask | target).sum() > 0.85


def test_segment_with_directory_writes_every_output(video, model, tmp_path):
    outputs = ("overlay", "masks", "timeline", "png")
    result = segment(video, model=model, directory=tmp_path / "clip", outputs=outputs)
    names = sorted(path.name for path in (tmp_path / "clip").iterdir())
    assert names == ["masks", "masks.json", "overlay.mp4", "summary.json", "timeline.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]

    document = load_masks_json(tmp_path / "clip" / "masks.json")
    assert document.video_masks.counts == result.video_masks.counts
    assert document.video == {
        "path": str(video),
        "width": 96,
        "height": 64,
        "fps": pytest.approx(10),
        "duration": pytest.approx(4, abs=0.1),
        "sample_aspect_ratio": "1:1",
    }
    assert document.model["name"] == "stand-in"

    displayed = decoded(tmp_path / "clip" / "overlay.mp4")
    assert [round(time, 2) for time, _ in displayed] == [round(i / 10, 2) for i in range(40)]
    for i in (5, 30):  # marked in color while it sounds, gray as it was afterwards
        color = np.ptp(displayed[i][1].astype(int), axis=2)[document.video_masks.mask(5)].mean()
        assert (color > 50) == (i == 5)

    png = np.asarray(Image.open(tmp_path / "clip" / "masks" / "000005.png"))
    np.testing.assert_array_equal(png > 0, document.video_masks.mask(5))

    summary = json.loads((tmp_path / "clip" / "summary.json").read_text())
    assert summary["frames"] == 40 and 24 <= summary["marked_frames"] <= 26
    assert summary["source"] == str(video.resolve())
    (span,) = summary["spans"]
    assert span["start"] == 0 and span["end"] == pytest.approx(2.5, abs=0.11)
    assert span["area"] == pytest.approx(1 / 6, rel=0.1)


def test_overlay_has_the_sound_of_the_video(video, model, tmp_path):
    segment(video, model=model, directory=tmp_path / "clip", outputs=("overlay",))
    with av.open(str(tmp_path / "clip" / "overlay.mp4")) as container:
        waveform = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    half = len(waveform) // 2
    assert np.abs(waveform[1000 : half - 2000]).max() > 0.3
    assert np.abs(waveform[half + 2000 :]).max() < 0.01


def test_save_writes_the_same_files_as_segment_with_directory(video, model, tmp_path):
    outputs = ("overlay", "masks", "timeline", "png")
    result = segment(video, model=model, directory=tmp_path / "at-once", outputs=outputs)
    result.save(tmp_path / "later")
    assert sorted(p.relative_to(tmp_path / "later") for p in (tmp_path / "later").rglob("*")) == sorted(
        p.relative_to(tmp_path / "at-once") for p in (tmp_path / "at-once").rglob("*")
    )
    for name in ("masks.json", "timeline.png", "masks/000003.png"):
        assert (tmp_path / "later" / name).read_bytes() == (tmp_path / "at-once" / name).read_bytes()
    for (time, image), (other_time, other) in zip(
        decoded(tmp_path / "later" / "overlay.mp4"),
        decoded(tmp_path / "at-once" / "overlay.mp4"),
        strict=True,
    ):
        assert time == other_time
        np.testing.assert_array_equal(image, other)
    with pytest.raises(UsageError, match="already exists"):
        result.save(tmp_path / "later")
    result.save(tmp_path / "later", overwrite=True)


def test_overlay_of_a_changed_video_raises_media_error(model, tmp_path):
    video = make_video(tmp_path / "clip.mp4", frames=10)
    result = segment(video, model=model)
    make_video(video, frames=12)
    with pytest.raises(MediaError, match="changed"):
        result.overlay(tmp_path / "overlay.mp4")
    assert not (tmp_path / "overlay.mp4").exists()


def test_fps_below_the_video_rate_processes_fewer_frames(video, model, tmp_path):
    result = segment(video, model=model, fps=2.5, directory=tmp_path / "clip", outputs=("overlay",))
    np.testing.assert_allclose(result.video_masks.times, np.arange(10) * 0.4, atol=1e-3)
    assert result.video_masks.indices == tuple(range(10))
    assert len(decoded(tmp_path / "clip" / "overlay.mp4")) == 40


def test_video_without_sound_gives_one_warning_and_empty_masks(mute_video, model, tmp_path):
    warnings: list[str] = []
    result = segment(mute_video, model=model, directory=tmp_path / "clip", on_warning=warnings.append)
    assert len(warnings) == 1 and "no sound" in warnings[0]
    assert result.warnings == tuple(warnings)
    assert len(result.video_masks) == 10 and not result.video_masks.areas().any()
    assert model.batches == []
    assert result.summary()["spans"] == []
    with av.open(str(tmp_path / "clip" / "overlay.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize(("frames", "size"), [(1, (96, 64)), (1, (1, 1)), (5, (33, 17))])
def test_videos_of_one_frame_or_odd_size(frames, size, model, tmp_path):
    video = make_video(tmp_path / "small.mp4", frames=frames, size=size)
    with av.open(str(video)) as container:  # the writer pads odd sizes to even ones
        stream = container.streams.video[0]
        stored = (stream.height, stream.width)
    result = segment(video, model=model, directory=tmp_path / "out")
    assert len(result.video_masks) == frames
    assert result.video_masks.size == stored
    assert len(decoded(tmp_path / "out" / "overlay.mp4")) == frames


def test_video_of_one_pixel(model, tmp_path):
    path = tmp_path / "pixel.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width = stream.height = 1
        stream.pix_fmt = "bgr0"
        image = av.VideoFrame.from_ndarray(np.full((1, 1, 3), 200, dtype=np.uint8), format="rgb24")
        container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    result = segment(path, model=model, directory=tmp_path / "out")
    assert result.video_masks.size == (1, 1) and len(result.video_masks) == 1
    assert len(decoded(tmp_path / "out" / "overlay.mp4")) == 1


def test_progress_rises_to_the_end_of_the_video(video, model):
    seen = []
    segment(video, model=model, batch_size=8, on_progress=seen.append)
    assert [progress.frames for progress in seen] == [8, 16, 24, 32, 40]
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and 0.9 < fractions[-1] <= 1
    assert all(progress.frames_per_second > 0 and progress.remaining >= 0 for progress in seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"threshold": 1.5}, "threshold"),
        ({"batch_size": 0}, "batch_size"),
        ({"outputs": ("overlay", "gif")}, "'gif'"),
    ],
)
def test_invalid_option_raises_usage_error(options, message, video, model):
    with pytest.raises(UsageError, match=message):
        segment(video, model=model, **options)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        pytest.param(lambda path: path.write_text("hello\n" * 100), MediaError, id="text"),
        pytest.param(lambda path: path.touch(), MediaError, id="empty"),
        pytest.param(make_sound, MediaError, id="sound-only"),
        pytest.param(lambda path: None, UsageError, id="missing"),
    ],
)
def test_unreadable_file_raises_and_leaves_nothing(make, error, model, tmp_path):
    make(tmp_path / "clip.mp4")
    with pytest.raises(error, match=r"clip\.mp4"):
        segment(tmp_path / "clip.mp4", model=model, directory=tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


def test_list_of_videos_gives_a_list_of_results_and_a_folder_each(video, mute_video, model, tmp_path):
    results = segment([video, mute_video, video], model=model, directory=tmp_path / "out", outputs=("masks",))
    assert [len(result) for result in results] == [40, 10, 40]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["clip", "clip-2", "mute"]
    with pytest.raises(UsageError, match="already exists"):
        segment([video], model=model, directory=tmp_path / "out", outputs=("masks",))
    assert segment([], model=model) == []


def test_warnings_and_messages_go_to_the_logger(mute_video, model, caplog):
    with caplog.at_level("INFO", logger="save_avs"):
        segment(mute_video, model=model)
    records = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in records] == ["WARNING", "INFO"]
    assert "no sound" in records[0][1] and "segmented 10 frames" in records[1][1]


class Fails(BrightWhereLoud):
    """Fails in its second batch."""

    def forward(self, images, log_mel):
        if self.batches:
            raise RuntimeError("the model failed")
        return super().forward(images, log_mel)


def test_model_failure_leaves_no_files_and_no_threads(video, tmp_path):
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the model failed"):
        segment(video, model=Fails(), batch_size=4, directory=tmp_path / "clip")
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before


def test_write_failure_leaves_no_files_and_no_threads(video, model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("save_avs.video.VideoWriter.write", full)
    before = threading.active_count()
    with pytest.raises(OSError, match="No space left"):
        segment(video, model=model, batch_size=4, directory=tmp_path / "clip")
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before


def test_interrupt_leaves_no_files_and_no_threads(video, model, tmp_path):
    def stop(progress):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        segment(video, model=model, batch_size=4, directory=tmp_path / "clip", on_progress=stop)
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before

"""SegmentationResult as a sequence of frames, and the spans of its summary."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import av
import numpy as np
import pytest
from matplotlib.figure import Figure

from save_avs.errors import UsageError
from save_avs.inference.pipeline import segment
from save_avs.inference.result import SegmentationResult, find_sounding_spans
from save_avs.types import FrameMask, VideoMasks, VideoMasksBuilder
from save_avs.video import read_video_chunks
from tests.support.sample_videos import BrightWhereLoud


@pytest.fixture(scope="module")
def result(video) -> SegmentationResult:
    return segment(video, model=BrightWhereLoud())


def masks_of(areas: list[float], fps: float = 10) -> VideoMasks:
    """Masks of 100 x 100 pixels that cover these shares of the frame."""
    builder = VideoMasksBuilder((100, 100))
    for i, area in enumerate(areas):
        mask = np.zeros(10_000, dtype=bool)
        mask[: round(area * 10_000)] = True
        builder.add(FrameMask(i, i, i / fps, 0.9, mask.reshape(100, 100)))
    return builder.build()


def test_repr_is_one_short_line(result):
    assert repr(result) == "SegmentationResult('clip.mp4': 40 frames of 96x64, 25 with a mask; stand-in)"
    assert repr(result.video_masks) == "VideoMasks(40 frames of 96x64)"
    assert "1 frame of" in repr(result[:1])
    assert repr(next(iter(result))).startswith("FrameMask(index=0, ") and len(repr(next(iter(result)))) < 120


def test_iteration_yields_every_frame(result):
    frames = list(result)
    assert len(frames) == len(result) == 40
    assert [frame.index for frame in frames] == list(range(40))
    np.testing.assert_array_equal([frame.time for frame in frames], result.times)
    np.testing.assert_allclose([frame.score for frame in frames], result.scores)
    np.testing.assert_array_equal(np.stack([frame.mask for frame in frames]), result.masks)


def test_masks_are_a_bool_array(result):
    assert result.masks.dtype == np.bool_ and result.masks.shape == (40, 64, 96)


@pytest.mark.parametrize("i", [0, 7, -1])
def test_index_returns_one_frame(i, result):
    assert result[i].index == range(40)[i]
    np.testing.assert_array_equal(result[i].mask, result.masks[i])


def test_index_out_of_range_raises_index_error(result):
    with pytest.raises(IndexError):
        result[40]


@pytest.mark.parametrize("part", [slice(5, 9), slice(0, 40, 10), slice(-3, None)], ids=str)
def test_slice_is_a_result_of_those_frames(part, result):
    sliced = result[part]
    assert isinstance(sliced, SegmentationResult)
    np.testing.assert_array_equal(sliced.masks, result.masks[part])
    assert sliced.summary()["frames"] == len(result.times[part])
    assert isinstance(sliced.plot(), Figure)


@pytest.mark.parametrize("part", [slice(5, 5), slice(None, None, -1)], ids=["empty", "reversed"])
def test_empty_or_descending_slice_raises_index_error(part, result):
    with pytest.raises(IndexError, match="ascending"):
        result[part]


def test_saved_slice_contains_its_frames_alone(result, tmp_path):
    folder = result[5:9].save(tmp_path / "part")
    with av.open(str(folder / "overlay.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == 4
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-3)


def test_plot_is_a_figure_and_the_notebook_repr_a_png(result):
    assert isinstance(result.plot(), Figure)
    assert result._repr_png_().startswith(b"\x89PNG")


def test_show_displays_timeline_and_overlay_in_a_notebook(result, monkeypatch):
    displayed: list[tuple[str, object]] = []
    module = SimpleNamespace(
        Image=lambda data: ("image", data),
        Video=lambda path, embed: ("video", path.read_bytes() if embed else None),
        display=displayed.append,
    )
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=module))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    result.show()
    assert [kind for kind, _ in displayed] == ["image", "video"]
    assert b"ftyp" in displayed[1][1][:16]
    result.show(video=False)
    assert len(displayed) == 3


def test_show_without_ipython_raises_usage_error(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(UsageError, match="notebook"):
        result.show()


def test_visible_frames_are_joined_into_spans():
    spans = find_sounding_spans(masks_of([0, 0.1, 0.3, 0, 0, 0, 0, 0.2]))
    assert spans == [
        {"start": 0.1, "end": pytest.approx(0.3), "area": pytest.approx(0.2)},
        {"start": 0.7, "end": pytest.approx(0.8), "area": 0.2},
    ]


def test_short_gap_does_not_end_a_span():
    (span,) = find_sounding_spans(masks_of([0.1, 0, 0, 0.1]))
    assert span == {"start": 0, "end": pytest.approx(0.4), "area": pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("areas", "spans"),
    [
        pytest.param([0.0005] * 5, [], id="specks"),
        pytest.param([0.5], [{"start": 0, "end": 0, "area": 0.5}], id="one-frame"),
        pytest.param([], [], id="no-frames"),
    ],
)
def test_spans_of_few_or_tiny_masks(areas, spans):
    assert find_sounding_spans(masks_of(areas)) == spans


def test_to_supervision_gives_detections_of_each_frame(video):
    pytest.importorskip("supervision", reason="supervision is not installed")
    result = segment(video, model=BrightWhereLoud())
    frames = list(result.to_supervision())
    assert len(frames) == len(result)
    for frame, detections in zip(result, frames, strict=True):
        assert len(detections) == int(frame.mask.any())
        assert detections.metadata == {"index": frame.index, "time": frame.time}
        if len(detections):
            np.testing.assert_array_equal(detections.mask[0], frame.mask)
            left, top, right, bottom = detections.xyxy[0].astype(int)
            assert frame.mask[top:bottom, left:right].sum() == frame.mask.sum()
            assert detections.confidence[0] == np.float32(frame.score)


def test_to_supervision_gives_a_detection_of_each_object(video):
    pytest.importorskip("supervision", reason="supervision is not installed")
    result = segment(video, model=BrightWhereLoud(), track=True)
    for frame, detections in zip(result, result.to_supervision(), strict=True):
        assert len(detections) == len(frame.objects or ())
        for i, found in enumerate(frame.objects or ()):
            np.testing.assert_array_equal(detections.mask[i], found.mask)
            assert detections.tracker_id[i] == found.id == 1
            assert detections.confidence[i] == np.float32(found.score)


def test_slice_and_summary_have_the_objects(video):
    result = segment(video, model=BrightWhereLoud(), track=True, smooth=0.1, labels=True, outline=1)
    part = result[3:8]
    assert [frame.objects for frame in part] == [frame.objects for frame in result][3:8]
    summary = result.summary()
    assert summary["objects"] == 1
    chosen = {"smooth": 0.1, "objects": True, "track": True, "labels": True, "outline": 1}
    assert chosen.items() <= summary["settings"].items()


@pytest.mark.parametrize("fps", [None, 5])
def test_overlay_draws_ids(fps, video, tmp_path):
    """The label's plate has the mask's color at full strength, above the object."""
    frames = {}
    for labels in (False, True):
        result = segment(
            video, model=BrightWhereLoud(), fps=fps, objects=labels, labels=labels, color="#ff0000"
        )
        result.overlay(tmp_path / f"{labels}.mp4")
        chunk = next(iter(read_video_chunks(tmp_path / f"{labels}.mp4")))
        frames[labels] = chunk.frames[5].astype(int)
    plate = frames[True] - frames[False]
    top = 64 // 4
    assert (plate[: top - 1, :, 0] > 100).sum() > 100
    assert (np.abs(plate[top + 2 :]) < 60).mean() > 0.99


def test_to_supervision_without_the_package_names_the_extra(video, monkeypatch):
    monkeypatch.setattr("save_avs._extras.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install .*\[supervision\]"):
        segment(video, model=BrightWhereLoud(), fps=1).to_supervision()

"""`save-avs masks convert`, and the outputs of `segment` that are made of the same sinks."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import av
import numpy as np
import pytest
from faster_coco_eval import COCO

from save_avs.cli import main
from save_avs.formats import MASK_FORMATS, MaskDocument, load_masks_json, write_masks_json
from save_avs.inference.pipeline import segment
from save_avs.types import VideoMasks
from tests.support.sample_videos import BrightWhereLoud, make_video


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, video) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    shutil.copy(video, tmp_path / "clip.mp4")
    return tmp_path


def segmented(save: str, clip: str = "clip.mp4") -> Path:
    assert main(["segment", clip, "-o", "out", "--save", save]) == 0
    return Path("out") / Path(clip).stem


def test_segment_and_convert_write_the_same(capsys):
    names = ",".join(MASK_FORMATS)
    folder = segmented(f"masks,{names}")
    assert main(["masks", "convert", str(folder / "masks.json"), "--to", names]) == 0
    listed = capsys.readouterr().out.splitlines()[-len(MASK_FORMATS) :]
    assert listed == [str(folder / "formats" / form.file) for form in MASK_FORMATS.values()]
    for name in ("coco", "cvat", "labelstudio"):
        file = MASK_FORMATS[name].file
        assert (folder / "formats" / file).read_bytes() == (folder / file).read_bytes()
    video_masks = load_masks_json(folder / "masks.json").video_masks
    with np.load(folder / "formats" / "masks.npz") as arrays:
        assert arrays["masks"].shape == (40, 64, 96) and len(video_masks) == 40


@pytest.mark.parametrize(
    ("source", "format", "said"),
    [
        ("masks.json", "gif", "Unknown format 'gif': choose from"),
        ("masks.json", "", "Unknown format ''"),
        ("none.json", "coco", "no such file"),
        ("clip.mp4", "coco", "not a masks.json"),
    ],
    ids=["unknown format", "empty format", "missing file", "video"],
)
def test_convert_refuses(source, format, said, capsys):
    Path("masks.json").write_text("{}")
    assert main(["masks", "convert", source, "--to", format]) == 2
    assert said in capsys.readouterr().err


def test_convert_overwrites_only_when_asked_to():
    source = str(segmented("masks") / "masks.json")
    assert main(["masks", "convert", source, "--to", "coco", "-o", "there"]) == 0
    assert main(["masks", "convert", source, "--to", "coco", "-o", "there"]) == 2
    assert main(["masks", "convert", source, "--to", "npz", "-o", "there", "--overwrite"]) == 0
    assert [path.name for path in Path("there").iterdir()] == ["masks.npz"]


@pytest.mark.parametrize("to", ["coco", "cvat", "labelstudio"])
def test_huge_empty_masks_take_no_time(to):
    write_huge(frames=5000)
    start = time.perf_counter()
    assert main(["masks", "convert", "huge.json", "--to", to]) == 0
    assert time.perf_counter() - start < 60  # decoded, they would be 650 GB


def test_more_pixels_than_any_film_are_refused_as_images(capsys):
    write_huge(frames=10000)
    assert main(["masks", "convert", "huge.json", "--to", "png"]) == 2
    assert "too many for png: convert it to coco" in capsys.readouterr().err
    assert not Path("formats").exists()


def write_huge(frames: int) -> None:
    """Write a masks.json of 16K frames without a mark."""
    size = (8192, 16384)
    masks = VideoMasks.from_rows(size, [(i, i, i / 25, 0.0, b"PPPPP4") for i in range(frames)])
    video = {"path": "huge.mp4", "width": size[1], "height": size[0], "fps": 25.0, "duration": 1.0}
    write_masks_json("huge.json", MaskDocument(masks, video, {"name": "none"}))


def test_to_coco(tmp_path):
    result = segment("clip.mp4", model=BrightWhereLoud())
    (tmp_path / "coco.json").write_text(json.dumps(result.to_coco()))
    data = COCO(tmp_path / "coco.json")
    assert len(data.imgs) == 40 and 0 < len(data.anns) < 40
    first = next(iter(data.anns.values()))
    np.testing.assert_array_equal(
        data.annToMask(first).astype(bool), result.video_masks.mask(first["image_id"])
    )


def alphas(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgba")[..., 3] for f in container.decode(video=0)])


class TestMatte:
    def test_alpha_is_the_mask_and_the_sound_is_kept(self):
        folder = segmented("matte,masks")
        video_masks = load_masks_json(folder / "masks.json").video_masks
        masks = np.stack([video_masks.mask(i) for i in range(len(video_masks))])
        np.testing.assert_array_equal(alphas(folder / "matte.mov"), masks * np.uint8(255))
        with av.open(str(folder / "matte.mov")) as container:
            (video,), (audio,) = container.streams.video, container.streams.audio
            assert (video.codec_context.name, video.codec_context.codec_tag) == ("prores", "ap4h")
            assert audio.codec_context.name == "pcm_s16le"
            assert float(video.duration * video.time_base) == pytest.approx(4, abs=0.01)
            assert float(audio.duration * audio.time_base) == pytest.approx(4, abs=0.05)

    def test_saving_later_writes_the_same(self):
        now = segmented("matte,overlay")
        later = segment("clip.mp4", model=BrightWhereLoud(), outputs=("matte", "overlay")).save("later")
        np.testing.assert_array_equal(alphas(later / "matte.mov"), alphas(now / "matte.mov"))
        assert {path.name for path in later.iterdir()} == {path.name for path in now.iterdir()}

    def test_odd_sizes_stay(self, place):
        make_video(place / "odd.mp4", frames=3, size=(62, 34))
        assert alphas(segmented("matte", "odd.mp4") / "matte.mov").shape == (3, 34, 62)

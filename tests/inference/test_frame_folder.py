from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import save_avs
from save_avs.cli import main
from save_avs.errors import MediaError, UsageError
from save_avs.inference.frame_folder import ImageFrames
from save_avs.inference.result_folders import find_input_videos
from tests.support.sample_videos import BrightWhereLoud, write_images, write_sound

LAYOUTS = {
    "numbered": ("clip/{:06d}.png", "clip/clip.wav", range(1, 41)),
    "AVSBench S4": ("visual_frames/test/dog/clip/clip_{}.png", "audio_wav/test/dog/clip.wav", range(1, 6)),
    "AVSBench MS3": ("visual_frames/clip/clip.mp4_{}.png", "audio_wav/test/clip.wav", range(1, 6)),
    "AVSBench semantic": ("clip/frames/{}.jpg", "clip/audio.wav", range(10)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_found_and_follow_their_sound(layout, tmp_path):
    name, sound, numbers = LAYOUTS[layout]
    folder = (tmp_path / name).parent
    write_images(folder, [Path(name.format(k)).name for k in numbers])
    seconds = 4.0 if len(numbers) == 40 else float(len(numbers))
    write_sound(tmp_path / sound, seconds)
    assert find_input_videos([folder]) == [folder]
    result = save_avs.segment(folder, model=BrightWhereLoud())
    step = seconds / len(numbers)
    first = step / 2 if step >= 0.5 else 0.0
    np.testing.assert_allclose(result.times, first + np.arange(len(numbers)) * step)
    marked = result.masks.any(axis=(1, 2))
    assert (
        marked[result.times < seconds / 2 - 0.5].all() and not marked[result.times > seconds / 2 + 0.5].any()
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    write_images(tmp_path / "clip", [f"{k}.png" for k in range(1, 41)])  # 10.png is after 9.png
    write_sound(tmp_path / "clip" / "sound.wav", 4.0)
    return tmp_path / "clip"


def test_images_are_in_the_order_of_their_numbers(folder):
    result = save_avs.segment(folder, model=BrightWhereLoud())
    left = [int(np.flatnonzero(mask.any(axis=0))[0]) for mask in result.masks[:20]]
    assert left == sorted(left)


def test_folder_is_saved_like_a_video(folder, tmp_path):
    result = save_avs.segment(folder, model=BrightWhereLoud(), fps=5, directory=tmp_path / "out")
    assert len(result) == 20
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["source"] == str(folder.resolve()) and summary["key"]["source"]["files"] == 41
    assert save_avs.read_video_chunks(tmp_path / "out" / "overlay.mp4")


def test_glob_names_several_folders(folder):
    write_images(folder.parent / "other", ["1.png"])
    write_sound(folder.parent / "other" / "a.wav", 1.0)
    assert [path.name for path in find_input_videos([f"{folder.parent}/*"])] == ["clip", "other"]


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_image_that_cannot_be_read_raises_media_error(content, folder):
    (folder / "7.png").write_bytes(content)
    with pytest.raises(MediaError, match=r"7\.png: cannot be read as an image"):
        save_avs.segment(folder, model=BrightWhereLoud())


def test_image_of_another_size_raises_media_error(folder):
    write_images(folder, ["41.png"], size=(32, 32))
    with pytest.raises(MediaError, match=r"41\.png: another size"):
        save_avs.segment(folder, model=BrightWhereLoud())


def test_gray_images_of_16_bits_keep_their_brightness(tmp_path):
    levels = np.array([[0, 257 * 40], [257 * 200, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "1.png")
    expected = np.repeat([[[0], [40]], [[200], [255]]], 3, axis=2)
    assert np.array_equal(ImageFrames([tmp_path / "1.png"])[:1][0], expected)


@pytest.mark.parametrize("sounds", [0, 2])
def test_images_without_their_one_wav_are_said(folder, sounds):
    sound = next(folder.glob("*.wav"))
    content = sound.read_bytes()
    sound.unlink()
    for number in range(sounds):
        (folder / f"{number}.wav").write_bytes(content)
    with pytest.raises(UsageError, match="images without one wav file: name their sound with --audio"):
        find_input_videos([folder])


def test_link_to_nowhere_among_the_images_fails_in_plain_words(folder, tmp_path, capsys):
    (folder / "0009.png").symlink_to("nowhere.png")
    assert main(["segment", str(folder), "-o", str(tmp_path / "out")]) == 3
    assert "0009.png: cannot be read or written (No such file or directory)" in capsys.readouterr().err

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from save_avs.errors import UsageError
from save_avs.synthesis.render import mix_audio, render_scene
from save_avs.synthesis.scene import random_scene
from save_avs.synthesis.video_export import random_video_scene, write_scene_video, write_scene_videos
from save_avs.video import probe, read_video_chunks
from save_avs.video.audio_reader import load_audio
from studies.composed_benchmarks.clips import ONE_SOURCE, LayoutRequest
from studies.composed_benchmarks.layouts import write_layout


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


class TestClips:
    """mp4 files with masks beside them."""

    def test_video_frames_audio_and_masks_match_the_scene(self, test, tmp_path):
        scene = random_video_scene(np.random.default_rng(4), test, seconds=1.2)
        write_scene_video(scene, tmp_path / "clip.mp4", size=(90, 160), fps=5, masks=tmp_path / "masks")
        info = probe(tmp_path / "clip.mp4")
        assert (info.width, info.height, info.has_audio) == (160, 90, True)
        chunks = list(read_video_chunks(tmp_path / "clip.mp4"))
        frames = np.concatenate([c.frames for c in chunks])
        times = np.concatenate([c.times for c in chunks])
        assert times == pytest.approx(np.arange(6) / 5, abs=1e-3)
        masks = sorted((tmp_path / "masks").iterdir())
        assert [p.name for p in masks] == [f"{k:06d}.png" for k in range(6)]
        for k, path in enumerate(masks):
            frame, instances = render_scene(scene, k / 5, 90, 160)
            with Image.open(path) as image:
                assert image.mode == "1"
                assert np.array_equal(np.asarray(image), np.isin(instances, scene.sounding_at(k / 5)))
            assert np.abs(frames[k].astype(int) - frame).mean() < 6
        heard = load_audio(tmp_path / "clip.mp4", sample_rate=16_000)
        meant = mix_audio(scene.audio_sources, 0.0, 1.2)
        n = min(len(heard), len(meant))
        assert n > 0.95 * len(meant)
        assert np.corrcoef(heard[:n], meant[:n])[0, 1] > 0.95

    def test_video_scene_has_the_requested_length(self, test):
        for seconds, turns in ((0.5, 1), (5.0, 2), (8.0, 4), (9.0, 4)):
            scene = random_video_scene(np.random.default_rng(0), test, seconds=seconds)
            assert scene.duration == pytest.approx(seconds) and len(scene.segments) == turns

    def test_same_seed_gives_the_same_videos(self, test, tmp_path):
        small = {"seconds": 0.6, "size": (48, 64), "fps": 5, "masks": True}
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            write_scene_videos(test, tmp_path / name, count=2, seed=seed, **small)
        a, b, c = (files(tmp_path / name) for name in "abc")
        assert a.keys() == b.keys() == c.keys()
        exact = [name for name in a if not name.endswith(".mp4")]
        assert len(exact) == 2 * 3 + 1
        assert all(a[name] == b[name] for name in exact)
        assert any(a[name] != c[name] for name in exact)

    def test_scenes_json_describes_objects_and_audio_sources(self, test, tmp_path):
        seen: list[tuple[int, int]] = []
        write_scene_videos(
            test,
            tmp_path / "clips",
            count=3,
            seconds=0.4,
            size=(32, 32),
            fps=5,
            progress=lambda *x: seen.append(x),
        )
        scenes = json.loads((tmp_path / "clips" / "scenes.json").read_text())
        assert [s["file"] for s in scenes] == [f"scene-{i:04d}.mp4" for i in range(3)]
        for i, described in enumerate(scenes):
            scene = random_video_scene(np.random.default_rng((0, i)), test, seconds=0.4)
            assert [t["group"] for t in described["objects"]] == [t.cutout.group for t in scene.objects]
            assert [v["class"] for v in described["audio_sources"]] == [
                v.name for v in scene.audio_sources if v.name
            ]
            in_view = {t["group"] for t in described["objects"]}
            assert all(v["in_view"] == (v["class"] in in_view) for v in described["audio_sources"])
        assert seen == [(1, 3), (2, 3), (3, 3)]

    def test_interrupted_run_leaves_no_folder(self, test, tmp_path):
        def stop(done: int, of: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_scene_videos(test, tmp_path / "x", count=2, seconds=0.2, size=(32, 32), progress=stop)
        assert not list(tmp_path.iterdir())

    def test_existing_folder_is_left_unchanged(self, test, tmp_path):
        with pytest.raises(UsageError, match="already exists"):
            write_scene_videos(test, tmp_path, count=1)


@pytest.fixture(scope="module")
def root(train, test, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("s4") / "avs"
    write_layout("s4", LayoutRequest({"train": train, "test": test}, 2, 3, (56, 56)), folder)
    return folder / "Single-source"


class TestS4:
    """The benchmark's folders, as avsbench's loaders read them."""

    def rows(self, root: Path) -> list[dict[str, str]]:
        with (root / "s4_meta_data.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def test_s4_table_lists_every_clip(self, root):
        assert (root / "s4_meta_data.csv").read_bytes().startswith(b"name,start,category,split\n")
        rows = self.rows(root)
        assert [r["split"] for r in rows] == ["train", "train", "test", "test"]
        assert len({r["name"] for r in rows}) == 4
        assert all(r["category"] in {"bar", "disc", "ring", "square"} for r in rows)

    def test_s4_files_are_where_the_loaders_look(self, root):
        expected = set()
        for r in self.rows(root):
            clip = f"{r['split']}/{r['category']}/{r['name']}"
            expected |= {f"visual_frames/{clip}/{r['name']}_{k}.png" for k in range(1, 6)}
            annotated = (1,) if r["split"] == "train" else range(1, 6)
            expected |= {f"gt_masks/{clip}/{r['name']}_{k}.png" for k in annotated}
            expected |= {f"audio_wav/{clip}.wav"}
        assert set(files(root / "s4_data")) == expected

    def test_s4_frames_are_at_fifteen_sixteenths_of_each_second(self, root, test):
        row = self.rows(root)[2]
        clip = f"{row['split']}/{row['category']}/{row['name']}"
        scene = random_scene(np.random.default_rng((3, *b"test", 0)), test, ONE_SOURCE, segment_s=5)
        for k in range(1, 6):
            frame, instances = render_scene(scene, k - 1 + 15 / 16, 56, 56)
            name = f"{clip}/{row['name']}_{k}.png"
            with Image.open(root / "s4_data/visual_frames" / name) as image:
                assert np.array_equal(np.asarray(image), frame)
            with Image.open(root / "s4_data/gt_masks" / name) as image:
                assert image.mode == "1"
                assert np.array_equal(
                    np.asarray(image), np.isin(instances, scene.sounding_at(k - 1 + 15 / 16))
                )
        waveform = load_audio(root / f"s4_data/audio_wav/{clip}.wav", sample_rate=16_000)
        assert len(waveform) == 5 * 16_000
        assert np.abs(waveform - mix_audio(scene.audio_sources, 0.0, 5.0)).max() < 1e-4

    def test_s4_scene_has_one_class_sounding_throughout(self, train):
        for i in range(20):
            scene = random_scene(np.random.default_rng(i), train, ONE_SOURCE, segment_s=5)
            (audio_source,) = [v for v in scene.audio_sources if v.name is not None]
            assert audio_source.span == (0.0, 5.0)
            assert all(scene.sounding_at(k + 15 / 16) for k in range(5))

    def test_same_seed_gives_the_same_bytes(self, train, test, tmp_path, root):
        write_layout("s4", LayoutRequest({"train": train, "test": test}, 2, 3, (56, 56)), tmp_path / "again")
        again, once = files(tmp_path / "again" / "Single-source"), files(root)
        assert again == once
        write_layout("s4", LayoutRequest({"test": test}, 2, 4, (56, 56)), tmp_path / "other")
        assert files(tmp_path / "other" / "Single-source") != again

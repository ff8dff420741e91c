"""Composed scenes as video files, with exact masks and a description."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from save_avs._files import atomic_folder
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.output_files import write_mask
from save_avs.synthesis.render import mix_audio, render_scene
from save_avs.synthesis.scene import Scene, SceneOptions, random_scene
from save_avs.video.writer import VideoWriter

SEGMENT_S = 2.0  # about how long the same objects sound
VIDEO_OPTIONS = SceneOptions(motion=True, augment=False, texture_prob=0.0)

Progress = Callable[[int, int], None]  # clips done, clips in all


def random_video_scene(
    rng: np.random.Generator, corpus: Corpus, *, seconds: float, options: SceneOptions = VIDEO_OPTIONS
) -> Scene:
    """Draw a scene of ``seconds`` in which other objects sound, or none, about every 2 s."""
    segments = max(1, round(seconds / SEGMENT_S))
    return random_scene(rng, corpus, options, segments=segments, segment_s=seconds / segments)


def write_scene_video(
    scene: Scene,
    path: str | Path,
    *,
    size: tuple[int, int] = (360, 640),
    fps: float = 25.0,
    masks: Path | None = None,
) -> None:
    """Write a scene as MP4 with audio, at ``size`` (height, width) in pixels; frame k shows it at k / fps.

    ``masks`` is a folder for the exact mask of what sounds in each frame: ``000000.png``, ..., 1 bit.
    """
    height, width = size
    audio = mix_audio(scene.audio_sources, 0.0, scene.duration)
    with VideoWriter(path, width=width, height=height, fps=fps, audio=(audio, SAMPLE_RATE)) as writer:
        for k in range(max(1, math.ceil(scene.duration * fps - 1e-6))):
            frame, instances = render_scene(scene, k / fps, height, width)
            writer.write(frame, k / fps)
            if masks is not None:
                write_mask(masks / f"{k:06d}.png", np.isin(instances, scene.sounding_at(k / fps)))


def describe(scene: Scene) -> dict[str, Any]:
    """Describe what is in view, back to front, and what sounds when, without noise, for JSON."""
    groups = [item.cutout.group for item in scene.objects]
    return {
        "duration": scene.duration,
        "objects": [{"group": item.cutout.group, "cutout": item.cutout.name} for item in scene.objects],
        "audio_sources": [
            {"class": s.name, "start": s.span[0], "end": s.span[1], "in_view": s.name in groups}
            for s in scene.audio_sources
            if s.name is not None
        ],
    }


def write_scene_videos(
    corpus: Corpus,
    target: str | Path,
    *,
    count: int,
    seed: int = 0,
    seconds: float = 8.0,
    size: tuple[int, int] = (360, 640),
    fps: float = 25.0,
    masks: bool = False,
    progress: Progress = lambda _, __: None,
) -> Path:
    """Write a new folder of videos: ``scene-0000.mp4``, ..., and ``scenes.json``, which describes each.

    Video i depends only on (seed, i). With ``masks``, its masks are in ``scene-0000.masks/``.
    """
    with atomic_folder(Path(target)) as folder:
        scenes = []
        for i in range(count):
            scene = random_video_scene(np.random.default_rng((seed, i)), corpus, seconds=seconds)
            path = folder / f"scene-{i:04d}.mp4"
            mask_folder = path.with_suffix(".masks") if masks else None
            write_scene_video(scene, path, size=size, fps=fps, masks=mask_folder)
            scenes.append({"file": path.name, "seed": [seed, i], **describe(scene)})
            progress(i + 1, count)
        (folder / "scenes.json").write_text(json.dumps(scenes, indent=1) + "\n", encoding="utf-8")
    return Path(target)

"""Composed scenes as video files, with the truth beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from save_avs.synthesis.audio_mix import mix_audio
from save_avs.synthesis.corpus import RATE, Corpus
from save_avs.synthesis.corpus_io import new_folder, write_mask
from save_avs.synthesis.render import render_scene
from save_avs.synthesis.scene import Scene, SceneOptions, random_scene
from save_avs.types import U8, Bool
from save_avs.video.writer import VideoWriter

SEGMENT_S = 2.0  # about how long the same things sound
CLIP_OPTIONS = SceneOptions(motion=True, augment=False, texture_prob=0.0)

Progress = Callable[[int, int], None]  # how many are done, of how many


def random_video_scene(
    rng: np.random.Generator, corpus: Corpus, *, seconds: float, options: SceneOptions = CLIP_OPTIONS
) -> Scene:
    """Draw a scene of ``seconds`` in which things take turns: every 2 s or so others sound, or none."""
    segments = max(1, round(seconds / SEGMENT_S))
    return random_scene(rng, corpus, options, segments=segments, segment_s=seconds / segments)


def render_with_mask(scene: Scene, time: float, height: int, width: int) -> tuple[U8, Bool]:
    """A frame of a scene, u8 [H,W,3], and the pixels of what sounds at that time, bool [H,W]."""
    picture, instances = render_scene(scene, time, height, width)
    return picture, np.isin(instances, scene.sounding_at(time))


def write_scene_video(
    scene: Scene,
    path: str | Path,
    *,
    size: tuple[int, int] = (360, 640),
    fps: float = 25.0,
    masks: Path | None = None,
) -> None:
    """Write a scene as mp4 with its sound.

    Args:
        scene: what is seen and heard.
        path: the file.
        size: (height, width) in pixels.
        fps: frames a second; frame k shows the scene at k / fps.
        masks: a folder that gets the exact mask of what sounds in each frame: ``000000.png`` on, one bit.
    """
    height, width = size
    sound = mix_audio(scene.audio_sources, 0.0, scene.duration)
    with VideoWriter(path, width=width, height=height, fps=fps, audio=(sound, RATE)) as writer:
        for k in range(max(1, math.ceil(scene.duration * fps - 1e-6))):
            picture, mask = render_with_mask(scene, k / fps, height, width)
            writer.write(picture, k / fps)
            if masks is not None:
                write_mask(masks / f"{k:06d}.png", mask)


def describe(scene: Scene) -> dict[str, Any]:
    """What is in view, back to front, and what sounds when: plain values for JSON; noise is left out."""
    groups = [thing.cutout.group for thing in scene.objects]
    audio_sources = [
        {"class": v.name, "start": v.span[0], "end": v.span[1], "in_view": v.name in groups}
        for v in scene.audio_sources
        if v.name is not None
    ]
    objects = [{"group": thing.cutout.group, "look": thing.cutout.name} for thing in scene.objects]
    return {"duration": scene.duration, "things": objects, "voices": audio_sources}


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
    """Write a new folder of clips: ``scene-0000.mp4`` on, and ``scenes.json``, which tells what is in each.

    Clip i depends on (seed, i) alone. With ``masks``, the masks of a clip lie in ``scene-0000.masks/``.

    Raises:
        UsageError: when the folder exists.
    """
    with new_folder(target) as folder:
        scenes = []
        for i in range(count):
            scene = random_video_scene(np.random.default_rng((seed, i)), corpus, seconds=seconds)
            path = folder / f"scene-{i:04d}.mp4"
            write_scene_video(
                scene, path, size=size, fps=fps, masks=path.with_suffix(".masks") if masks else None
            )
            scenes.append({"file": path.name, "seed": [seed, i], **describe(scene)})
            progress(i + 1, count)
        (folder / "scenes.json").write_text(json.dumps(scenes, indent=1) + "\n", encoding="utf-8")
    return Path(target)

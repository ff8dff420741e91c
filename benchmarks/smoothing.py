"""Effect of `segment --smooth` on composed videos, whose exact masks are known.

    python benchmarks/smoothing.py [--model NAME] [--scenes N] [--seconds S] [--fps N] [--seed N]
        [--smooth LIST] [--noise LEVELS]

Half of the scenes move. Each frame has its own noise, as a camera's; other objects sound about every two
seconds. The model runs once on each video; the filter is that of `Predictor`. All scores are means over the
frames of a scene, then over scenes, with 95 % bootstrap intervals over scenes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from save_avs._text import markdown_table
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.inference.predictor import FrameModel, Predictor
from save_avs.metrics.bootstrap_and_permutation import Estimate, bootstrap_mean
from save_avs.runtimes import load_model
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import mix_audio, render_scene
from save_avs.synthesis.scene import Scene, SceneOptions
from save_avs.synthesis.video_export import random_video_scene
from save_avs.types import Bool, VideoChunk

SIDE = 256
BETA2 = 0.3  # of the benchmark's F
HEADINGS = ("smooth, s", "mIoU", "F at 0.5", "IoU of consecutive masks", "marked while no object sounds")


class Recorded:
    """A model whose logits are computed once and repeated for each filter."""

    def __init__(self, model: FrameModel) -> None:
        self._model = model
        self._logits: list[torch.Tensor] = []
        self._next = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def rewind(self) -> None:
        self._next = 0

    def __call__(self, images: torch.Tensor, log_mel: torch.Tensor) -> torch.Tensor:
        if self._next == len(self._logits):
            self._logits.append(self._model(images, log_mel))
        self._next += 1
        return self._logits[self._next - 1]


def compose(scene: Scene, fps: float, noise: float, rng: np.random.Generator) -> tuple[VideoChunk, Bool]:
    """Render a scene as a chunk and its exact masks, bool [T,H,W]."""
    times = np.arange(round(scene.duration * fps)) / fps
    frames, targets = [], []
    for time in times:
        frame, instances = render_scene(scene, time, SIDE, SIDE)
        noisy = frame + rng.normal(0, noise, frame.shape) if noise else frame
        frames.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
        targets.append(np.isin(instances, scene.sounding_at(time)))
    waveform = mix_audio(scene.audio_sources, 0.0, scene.duration)
    return VideoChunk(np.stack(frames), times, waveform, 0.0, SAMPLE_RATE), np.stack(targets)


def score(masks: Bool, targets: Bool) -> dict[str, float]:
    """Score the masks of a scene; a score that no frame has is left out.

    Consecutive masks are compared where the truth stays exactly the same and is not empty.
    """
    common, either = (masks & targets).sum((1, 2)), (masks | targets).sum((1, 2))
    sounding = targets.any((1, 2))
    f_scores = (1 + BETA2) * common / np.maximum(masks.sum((1, 2)) + BETA2 * targets.sum((1, 2)), 1)
    still = [
        (before & after).sum() / max((before | after).sum(), 1) if (before | after).any() else 1.0
        for (before, truth), (after, next_truth) in pairwise(zip(masks, targets, strict=True))
        if truth.any() and (truth == next_truth).all()
    ]
    values = (
        (common / np.maximum(either, 1))[sounding],
        f_scores[sounding],
        np.array(still),
        masks.mean((1, 2))[~sounding],
    )
    return {name: float(x.mean()) for name, x in zip(HEADINGS[1:], values, strict=True) if len(x)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="save-small")
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--fps", type=float, default=12.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=4.0, help="standard deviation, of 255")
    parser.add_argument("--smooth", default="0,0.1,0.2,0.5")
    args = parser.parse_args()
    corpus, network = Corpus.load("sample", "test"), load_model(args.model)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for i in range(args.scenes):
        rng = np.random.default_rng((args.seed, i))
        options = SceneOptions(motion=bool(i % 2), augment=False, texture_prob=0.0)
        scene = random_video_scene(rng, corpus, seconds=args.seconds, options=options)
        chunk, targets = compose(scene, args.fps, args.noise, rng)
        model: Any = Recorded(network)
        for smooth in args.smooth.split(","):
            model.rewind()
            masks = Predictor(model, smooth=float(smooth)).predict(chunk).masks
            for name, value in score(masks, targets).items():
                found[smooth][name].append(value)
        print(f"\r{i + 1} of {args.scenes} scenes", end="", flush=True)
    rows = [
        (smooth, *(_cell(bootstrap_mean(found[smooth][name])) for name in HEADINGS[1:])) for smooth in found
    ]
    print("\n" + markdown_table(HEADINGS, rows))


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


if __name__ == "__main__":
    main()

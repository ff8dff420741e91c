"""What a SAM makes of composed scenes when it is told where to look, and hears nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from save_avs.evaluation.scenes import (
    OWN,
    SceneReport,
    Trial,
    draw_scenes,
    figures_of,
    probabilities,
    score_trial,
)
from save_avs.metrics.frame_scores import frame_f_curves
from save_avs.metrics.mask_metrics import best_f_score
from save_avs.models.save import SAVE
from save_avs.synthesis.calibration_frames import OPTIONS, TIME
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.scene import SceneOptions
from save_avs.types import U8, Bool

Prompt = Literal["point", "box", "center", "picture"]
PROMPTS: tuple[Prompt, ...] = get_args(Prompt)


def evaluate_prompted(
    model: SAVE,
    corpus: Corpus,
    prompt: Prompt,
    *,
    scenes: int,
    seed: int,
    options: SceneOptions = OPTIONS,
    progress: Callable[[int], None] = lambda _: None,
) -> SceneReport:
    """Ask the SAM inside for what sounds, on the scenes that ``evaluate_scenes`` draws from the same seed.

    Args:
        model: without image adapters, in evaluation mode.
        corpus: of one split.
        prompt: ``point``, a random pixel of each sounding object; ``box``, around each. Its answers are then
            joined. ``center``, the middle of the picture, and ``picture``, a box around all of it, tell
            nothing: what is found so is what a guess is worth.
        scenes: how many.
        seed: of the scenes, and of the points.
        options: how scenes are drawn.
        progress: called after each scene with the number done.
    """
    found, curves, silent = [], [], 0
    drawn = draw_scenes(corpus, options, scenes=scenes, seed=seed, size=model.image_size)
    for i, one in enumerate(drawn):
        own = one.scene.sounding_at(TIME)
        masks = [mask for k in own if (mask := one.instances == k).any()]
        if masks:
            rng = np.random.default_rng((seed, i, 1))
            prob = _ask(model, one.picture, np.stack([_asked(prompt, mask, rng) for mask in masks]))
            trial = Trial(OWN[len(own) > 1], np.empty(0), np.logical_or.reduce(masks))
            score = score_trial(i, one.scene, trial, prob)
            found += [] if score is None else [score]
            curves.append(frame_f_curves(prob[None], torch.from_numpy(trial.truth)[None]))
        silent += len(own) < len(one.scene.objects)
        progress(i + 1)
    f_score = best_f_score(torch.cat(curves).numpy())
    return SceneReport(scenes, silent / scenes, figures_of(found), f_score, trials=found)


def _asked(prompt: Prompt, mask: Bool, rng: np.random.Generator) -> np.ndarray:
    """A point (x, y), or a box (x0, y0, x1, y1), in pixels."""
    side = len(mask)
    ys, xs = np.nonzero(mask)
    if prompt == "point":
        k = rng.integers(len(ys))
        return np.array([xs[k], ys[k]], np.float32)
    if prompt == "box":
        return np.array([xs.min(), ys.min(), xs.max(), ys.max()], np.float32)
    middle = (side - 1) / 2
    return np.array([middle, middle] if prompt == "center" else [0, 0, side - 1, side - 1], np.float32)


@torch.inference_mode()
def _ask(model: SAVE, picture: U8, prompts: np.ndarray) -> Tensor:
    """The highest probability that any of the prompts [N,2] or [N,4] finds, f32 [S,S]."""
    sam, asked = model.sam, torch.from_numpy(prompts).to(model.device)
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].to(model.device)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        embeddings = sam.image_encoder(sam.preprocess(image)).expand(len(asked), -1, -1, -1)
        if prompts.shape[1] == 2:
            sparse, dense = sam.prompt_encoder(points=(asked[:, None], asked.new_ones(len(asked), 1)))
        else:
            sparse, dense = sam.prompt_encoder(boxes=asked)
        position = sam.prompt_encoder.get_dense_pe()
        logits, _ = sam.mask_decoder(embeddings, position, sparse, dense, False)
    return probabilities(logits, picture.shape[:2]).amax(0)

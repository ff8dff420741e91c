"""SAM on composed scenes, prompted with points or boxes instead of sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from save_avs.evaluation.scenes import (
    OWN_SOUND,
    SceneReport,
    SoundTrial,
    random_rendered_scenes,
    score_trial,
    summarize_trials,
    upscaled_probabilities,
)
from save_avs.metrics.frame_scores import frame_f_curves
from save_avs.metrics.mask_metrics import best_f_score
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.sample_streams import EVAL_OPTIONS, EVAL_TIME
from save_avs.synthesis.scene import SceneOptions
from save_avs.types import U8, Bool

PromptKind = Literal["point", "box", "center", "image"]
PROMPT_KINDS: tuple[PromptKind, ...] = get_args(PromptKind)


def evaluate_prompted(
    model: SAVE,
    corpus: Corpus,
    prompt: PromptKind,
    *,
    scenes: int,
    seed: int,
    options: SceneOptions = EVAL_OPTIONS,
    progress: Callable[[int], None] = lambda _: None,
) -> SceneReport:
    """Prompt a model's SAM for the sounding objects, on the scenes of ``evaluate_scenes`` with the same seed.

    Args:
        model: without image adapters, in evaluation mode.
        corpus: one split of a corpus.
        prompt: ``point``, a random pixel of each sounding object; ``box``, a box around each; the masks of
            all objects are then joined. ``center``, the middle of the frame, and ``image``, a box around all
            of it, know nothing about the scene and give the baseline.
        scenes: number of scenes.
        seed: of the scenes and points.
        options: of the scenes.
        progress: called after each scene with the number done.
    """
    scores, curves, silent = [], [], 0
    rendered = random_rendered_scenes(corpus, options, scenes=scenes, seed=seed, size=model.image_size)
    for i, one in enumerate(rendered):
        own = one.scene.sounding_at(EVAL_TIME)
        masks = [mask for k in own if (mask := one.instances == k).any()]
        if masks:
            rng = np.random.default_rng((seed, i, 1))
            prompts = np.stack([_make_prompt(prompt, mask, rng) for mask in masks])
            prob = _predict(model, one.frame, prompts)
            trial = SoundTrial(OWN_SOUND[len(own) > 1], np.empty(0, np.float32), np.logical_or.reduce(masks))
            score = score_trial(i, one.scene, trial, prob)
            scores += [] if score is None else [score]
            curves.append(frame_f_curves(prob[None], torch.from_numpy(trial.target)[None]))
        silent += len(own) < len(one.scene.objects)
        progress(i + 1)
    f_score = best_f_score(torch.cat(curves).numpy())
    return SceneReport(scenes, silent / scenes, summarize_trials(scores), f_score, trials=scores)


def _make_prompt(prompt: PromptKind, mask: Bool, rng: np.random.Generator) -> np.ndarray:
    """Return a point (x, y) or a box (x0, y0, x1, y1), in pixels."""
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
def _predict(model: SAVE, frame: U8, prompts: np.ndarray) -> Tensor:
    """Return the highest probability over the prompts, [N,2] or [N,4], for each pixel, f32 [S,S]."""
    sam, given = model.sam, torch.from_numpy(prompts).to(model.device)
    image = torch.from_numpy(frame).permute(2, 0, 1)[None].to(model.device)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        embeddings = sam.image_encoder(sam.preprocess(image)).expand(len(given), -1, -1, -1)
        if prompts.shape[1] == 2:
            sparse, dense = sam.prompt_encoder(points=(given[:, None], given.new_ones(len(given), 1)))
        else:
            sparse, dense = sam.prompt_encoder(boxes=given)
        position = sam.prompt_encoder.get_dense_pe()
        logits, _ = sam.mask_decoder(embeddings, position, sparse, dense, False)
    return upscaled_probabilities(logits, frame.shape[:2]).amax(0)

"""Validation loss of our training and of the reference: a small SAVE on composed scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import mean, stdev

import torch
from reference_training import reference_loss
from rich.table import Table
from torch import Tensor

from save_avs.losses import save_loss
from save_avs.models import SAVE, SaveConfig, build_save
from save_avs.models.freeze import freeze_except
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.sample_streams import SceneStream
from save_avs.synthesis.scene import SceneOptions
from save_avs.training.collate import collate_samples
from save_avs.training.optimizer import Optimizers
from save_avs.training.stage_schedule import cosine_with_warmup
from save_avs.types import AVBatch

PARTS = ["adapter", "audio_adapter", "mask_decoder"]
IMAGE_SIZE, BATCH_SIZE, VAL_SCENES = 64, 8, 64
CONFIG = SaveConfig.model_validate(
    {
        "name": "small",
        "image_size": IMAGE_SIZE,
        "audio": "compact",
        "sam": {
            "embed_dim": 64,
            "depth": 4,
            "num_heads": 4,
            "window_size": 3,
            "global_attn_indexes": (1, 3),
            "prompt_embed_dim": 64,
            "decoder_mlp_dim": 128,
        },
        "audio_adapter": {"hidden": 64},
    }
)


def our_loss(model: SAVE, batch: AVBatch) -> Tensor:
    logits = model(batch.images, batch.log_mel)
    return save_loss(logits, batch.masks, batch.has_mask).total


def batches(split: str, seed: int, count: int) -> Iterator[AVBatch]:
    """Yield batches of composed scenes of the bundled corpus, each under one sound."""
    corpus = Corpus.load("sample", "train" if split == "train" else "val")
    stream = SceneStream(corpus, SceneOptions(), IMAGE_SIZE, views=1, seed=seed)
    for i in range(count):
        yield collate_samples([stream[k].sample for k in range(i * BATCH_SIZE, (i + 1) * BATCH_SIZE)])


def train_model(loss: Callable[[SAVE, AVBatch], Tensor], seed: int, steps: int, *, bf16: bool) -> SAVE:
    """Train a model; weights and scenes depend on the seed, and bf16 comes with activation checkpointing."""
    torch.manual_seed(seed)
    model = build_save(CONFIG).train()
    freeze_except(model, PARTS)
    model.sam.image_encoder.activation_checkpointing = bf16
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizers = Optimizers(parameters, muon=False, lr=2e-3, weight_decay=0.01)
    for step, batch in enumerate(batches("train", seed, steps)):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss(model, batch)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizers.step(cosine_with_warmup(step, steps, warmup_steps=20))
    return model.eval()


@torch.inference_mode()
def validation_loss(model: SAVE, scenes: list[AVBatch]) -> float:
    """Return the mean loss, in float32."""
    return mean(float(our_loss(model, batch)) for batch in scenes)


def compare(seeds: int, steps: int) -> Table:
    """Tabulate the validation losses of both by seed, and their spread over seeds."""
    scenes = list(batches("val", 10_000, VAL_SCENES // BATCH_SIZE))
    reference, ours = [], []
    for seed in range(seeds):
        reference.append(validation_loss(train_model(reference_loss, seed, steps, bf16=False), scenes))
        ours.append(validation_loss(train_model(our_loss, seed, steps, bf16=True), scenes))
    untrained = validation_loss(build_save(CONFIG).eval(), scenes)
    table = Table(title=f"validation loss after {steps} steps ({untrained:.3f} untrained)")
    for heading in ("method", *(f"seed {seed}" for seed in range(seeds)), "mean", "standard deviation"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for name, values in (("reference, float32", reference), ("ours, bf16, activation checkpointing", ours)):
        cells = [f"{value:.4f}" for value in (*values, mean(values), stdev(values))]
        table.add_row(name, *cells)
    return table

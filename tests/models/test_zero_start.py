"""A fresh SAVE is SAM; after one step everything that should learn has a gradient, and nothing else."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from save_avs.losses import save_loss
from save_avs.models import SAVE
from save_avs.models.freeze import freeze_except
from save_avs.models.sam import Sam, build_sam
from tests.support.tiny_model import SAM, tiny_batch, tiny_config, tiny_model

SPATIAL = ("full", "depthwise", "bottleneck", "none", None)
RATIOS = (0.1, 0.25, 1.0)
AUDIO = list(product((True, False), (True, False), (0, 1, 3), ("all", "last", "none")))
TRAINABLE = ("adapter", "audio_adapter", "sam.mask_decoder")
# SAM's single-mask path neither asks the heads of the other masks nor rates the mask. A key's bias shifts all
# scores of a query alike, which the softmax cannot see: its gradient is zero but for rounding.
UNUSED = (
    "output_hypernetworks_mlps.1",
    "output_hypernetworks_mlps.2",
    "output_hypernetworks_mlps.3",
    "iou_pred",
)
INVISIBLE = "k_proj.bias"


def adapters(ratio: float, spatial: str | None) -> dict:
    return {"image_adapter": None if spatial is None else {"ratio": ratio, "spatial": spatial}}


def audio(residual: bool, shared: bool, tokens: int, inject_into: str) -> dict:
    chain = {
        "hidden": 24,
        "residual": residual,
        "shared": shared,
        "tokens": tokens,
        "inject_into": inject_into,
    }
    return {"audio_adapter": chain}


def plain_sam(model: SAVE, **changes) -> Sam:
    """The SAM inside, without its adapters."""
    config = tiny_config(**changes)
    sam = build_sam(config.sam, image_size=config.image_size)
    sam.load_state_dict({k: v for k, v in model.sam.state_dict().items() if ".adapter." not in k})
    return sam.eval()


@pytest.mark.parametrize("size", [64, 80])
@pytest.mark.parametrize("spatial", SPATIAL)
def test_image_embedding_equals_sams(spatial, size):
    changes = {"image_size": size, **adapters(0.25, spatial)}
    model = tiny_model(**changes)
    sam = plain_sam(model, **changes)
    images, log_mel = tiny_batch(size=size)
    with torch.no_grad():
        injections, _ = model.audio_adapter(model.audio_backbone(log_mel))
        heard = model.sam.image_encoder(model.sam.preprocess(images), injections)
        assert torch.equal(heard, sam.image_encoder(sam.preprocess(images)))
    assert heard.std() > 0.1


@pytest.mark.parametrize("options", AUDIO)
def test_image_embedding_equals_sams_for_every_audio_adapter(options):
    model = tiny_model(**audio(*options))
    sam = plain_sam(model)
    images, log_mel = tiny_batch()
    with torch.no_grad():
        injections, _ = model.audio_adapter(model.audio_backbone(log_mel))
        heard = model.sam.image_encoder(model.sam.preprocess(images), injections)
        assert torch.equal(heard, sam.image_encoder(sam.preprocess(images)))


@pytest.mark.parametrize("tokens", [0, 1, 3])
def test_decoder_equals_sams_with_the_same_tokens(tokens):
    model = tiny_model(**audio(True, True, tokens, "all"))
    sam = plain_sam(model)
    images, log_mel = tiny_batch()
    with torch.no_grad():
        _, prompt = model.audio_adapter(model.audio_backbone(log_mel))
        sparse = torch.zeros(2, 0, 32) if prompt is None else prompt
        _, dense = sam.prompt_encoder()
        position = sam.prompt_encoder.get_dense_pe()
        embeddings = sam.image_encoder(sam.preprocess(images))
        expected, _ = sam.mask_decoder(embeddings, position, sparse, dense.expand(2, -1, -1, -1), False)
        assert torch.equal(model(images, log_mel), expected)
    assert expected.shape == (2, 1, 16, 16) and expected.std() > 1e-3


def step(model: SAVE) -> None:
    """Forward and backward on a batch whose targets are not what a fresh model says."""
    size = model.image_size
    images, log_mel = tiny_batch(4, size)
    masks = (torch.rand(4, 1, size // 4, size // 4, generator=torch.Generator().manual_seed(5)) > 0.7).float()
    save_loss(model(images, log_mel), masks, torch.ones(4, dtype=torch.bool)).total.backward()


def without_gradient(model: SAVE) -> set[str]:
    """Trained parameters that no gradient reached."""
    return {
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().max() > 0)
    }


def idle(model: SAVE, tokens: int, inject_into: str) -> set[str]:
    """Parameters that these options leave out of the computation."""
    names = {n for n, p in model.named_parameters() if p.requires_grad}
    out = {n for n in names if any(part in n for part in UNUSED)}
    if tokens == 0 and inject_into == "none":
        out |= {n for n in names if n.startswith("audio_adapter.")}
    return out


def check_gradients(tokens: int, inject_into: str, **changes) -> None:
    model = tiny_model(**changes)
    freeze_except(
        model, [name for name in TRAINABLE if name != "adapter" or changes.get("image_adapter", True)]
    )
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    step(model)
    optimizer.step()
    optimizer.zero_grad()
    step(model)
    missing = {n for n in without_gradient(model) if INVISIBLE not in n}
    assert missing == idle(model, tokens, inject_into)
    for name, parameter in model.named_parameters():
        if name in frozen:
            assert parameter.grad is None and torch.equal(parameter, frozen[name]), name
    assert any(n.startswith("sam.image_encoder.blocks.0.attn") for n in frozen)
    assert any(n.startswith("audio_backbone") for n in frozen)


@pytest.mark.parametrize("options", AUDIO)
@pytest.mark.parametrize("spatial", SPATIAL)
def test_every_parameter_gets_a_gradient_after_one_step(spatial, options):
    check_gradients(options[2], options[3], **adapters(0.25, spatial), **audio(*options))


@pytest.mark.parametrize("size", [64, 80])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("spatial", SPATIAL[:4])
def test_every_parameter_gets_a_gradient_at_any_ratio_and_grid(spatial, ratio, size):
    # wide enough that at the smallest ratio not every ReLU of a block is dead by chance
    wide = {**SAM, "embed_dim": 96}
    check_gradients(1, "all", image_size=size, sam=wide, **adapters(ratio, spatial))


def test_first_step_trains_only_gates_of_image_adapters():
    """What the zero start keeps from learning at once: all of an image adapter but its gate."""
    model = tiny_model()
    freeze_except(model, TRAINABLE)
    step(model)
    waiting = {n for n in without_gradient(model) if INVISIBLE not in n} - idle(model, 1, "all")
    assert waiting == {
        n for n, _ in model.named_parameters() if ".adapter." in n and not n.endswith("adapter.gate")
    }

"""Estimate of the memory of a training step, from shapes alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from save_avs.models.save import SAVE

FLOAT32, BFLOAT16, ADAM = 4, 2, 8  # bytes per parameter: float32, bfloat16, AdamW's two averages
GB = 1e9


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of weights + gradients + optimizer + EMA + frames x activations."""

    weights: int  # 4 per parameter, frozen ones too; 2 more for each copy that mixed precision makes
    gradients: int  # 4 per trained parameter
    optimizer: int  # 8 per trained parameter, AdamW's two averages
    ema: int  # 4 per trained parameter where the stage averages them
    # what the forward pass of one frame keeps for the backward pass; with activation checkpointing the inputs
    # of the blocks, and the inside of the one that keeps most
    activations: int
    frames: int  # of a step

    @property
    def total(self) -> int:
        """The sum, without the allocator's gaps, workspaces and the program itself."""
        return self.weights + self.gradients + self.optimizer + self.ema + self.frames * self.activations

    def __str__(self) -> str:
        parts = (self.weights, self.gradients, self.optimizer, self.ema)
        sums = " + ".join(f"{part / GB:.2f}" for part in parts)
        return (
            f"{self.total / GB:.1f} GB = {sums} + {self.frames} x {self.activations / GB:.3f} "
            "(weights + gradients + optimizer + EMA + frames x activations)"
        )


def estimate_memory(model: SAVE, *, frames: int, mixed_precision: bool, ema: bool) -> MemoryEstimate:
    """Estimate a step of a model on the meta device, whose trained parameters require gradients.

    Activations are the tensors that autograd saves for one frame, counted by shape: half of it all in mixed
    precision, where most of them are bfloat16.
    """
    encoder = model.sam.image_encoder
    in_all = copied = _count(model.parameters())
    trained = _count(p for p in model.parameters() if p.requires_grad)
    activations = saved_bytes(model, lambda: forward_one(model))
    if encoder.activation_checkpointing:  # one block at a time is recomputed, and its weights are copied
        shape = (1, encoder.image_embedding_size, encoder.image_embedding_size, encoder.embed_dim)
        x = torch.zeros(shape, device="meta", requires_grad=True)
        activations += max(saved_bytes(block, lambda block=block: block(x)) for block in encoder.blocks)
        blocks = [_count(block.parameters()) for block in encoder.blocks]
        copied = in_all - sum(blocks) + max(blocks)
    return MemoryEstimate(
        weights=in_all * FLOAT32 + (copied * BFLOAT16 if mixed_precision else 0),
        gradients=trained * FLOAT32,
        optimizer=trained * ADAM,
        ema=trained * FLOAT32 if ema else 0,
        activations=activations // 2 if mixed_precision else activations,
        frames=frames,
    )


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)


def forward_one(model: SAVE) -> None:
    """Run one frame through a model on the meta device: shapes only."""
    side = model.image_size
    shapes = ((1, 3, side, side), (1, 1, *model.frontend.shape))
    image, log_mel = (torch.zeros(shape, device="meta") for shape in shapes)
    if model.semantic is None:
        model(image, log_mel)
    else:
        model.segment_classes(image, log_mel)


def saved_bytes(model: nn.Module, run: Callable[[], object]) -> int:
    """Return the bytes that autograd saves while ``run`` runs, each storage once, without the parameters."""
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    saved: dict[int, torch.UntypedStorage] = {}  # kept alive, so that no address is used twice

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            saved[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        run()
    return sum(storage.nbytes() for storage in saved.values())

"""How much memory a step of training takes: an estimate, from shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from save_avs.models.sam.image_encoder import ImageEncoderViT
from save_avs.models.save import SAVE

FLOAT, BFLOAT, ADAM = 4, 2, 8  # bytes a number: float32, bfloat16, AdamW's two averages
GB = 1e9
FORMULA = "weights + gradients + optimizer + average + frames x activations"


@dataclass(frozen=True)
class MemoryEstimate:
    """An estimate, in bytes: weights + gradients + optimizer + average + frames x activations.

    Attributes:
        weights: 4 bytes a parameter, frozen ones too; 2 more for each copy that mixed precision holds.
        gradients: 4 bytes a trained parameter.
        optimizer: 8 bytes a trained parameter, AdamW's two averages.
        average: 4 bytes a trained parameter where the stage averages them.
        activations: what one frame's forward pass keeps for the backward pass; where blocks are computed
            again, their inputs and the inside of the one that keeps most.
        frames: of a step.
    """

    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int
    frames: int

    @property
    def total(self) -> int:
        """All of it; not counted are the allocator's gaps, workspaces and the program itself."""
        return self.weights + self.gradients + self.optimizer + self.average + self.frames * self.activations

    def __str__(self) -> str:
        parts = (self.weights, self.gradients, self.optimizer, self.average)
        sums = " + ".join(f"{part / GB:.2f}" for part in parts)
        activations = f"{self.frames} x {self.activations / GB:.3f}"
        return f"{self.total / GB:.1f} GB = {sums} + {activations} ({FORMULA})"


def estimate_memory(model: SAVE, *, frames: int, bf16: bool, average: bool) -> MemoryEstimate:
    """Estimate a step of a model on the meta device, whose trained parameters require gradients.

    Activations are the tensors that autograd saves for one frame, counted by shape: half of it all in mixed
    precision, where most of them are bfloat16.

    Args:
        model: whose image encoder keeps or recomputes what is inside its blocks.
        frames: of a step.
        bf16: mixed precision.
        average: whether a moving average of the trained weights is held.
    """
    everything = _count(model.parameters())
    trained = _count(p for p in model.parameters() if p.requires_grad)
    kept = saved_bytes(model, lambda: forward_one(model)) + _inside_a_block(model.sam.image_encoder)
    copies = _copied(model) if bf16 else 0
    return MemoryEstimate(
        weights=everything * FLOAT + copies * BFLOAT,
        gradients=trained * FLOAT,
        optimizer=trained * ADAM,
        average=trained * FLOAT if average else 0,
        activations=kept // 2 if bf16 else kept,
        frames=frames,
    )


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)


def _copied(model: SAVE) -> int:
    """Parameters whose bfloat16 copies are held at one time: of recomputed blocks, one's."""
    encoder = model.sam.image_encoder
    if not encoder.activation_checkpointing:
        return _count(model.parameters())
    blocks = [_count(block.parameters()) for block in encoder.blocks]
    return _count(model.parameters()) - sum(blocks) + max(blocks)


def _inside_a_block(encoder: ImageEncoderViT) -> int:
    """Bytes that the backward pass computes again for one frame at a time: the most that a block keeps."""
    if not encoder.activation_checkpointing:
        return 0
    x = torch.zeros(1, encoder.grid, encoder.grid, encoder.embed_dim, device="meta", requires_grad=True)
    return max(saved_bytes(block, lambda block=block: block(x)) for block in encoder.blocks)


def forward_one(model: SAVE) -> None:
    """One frame through a model on the meta device: shapes only."""
    side = model.image_size
    shapes = ((1, 3, side, side), (1, 1, *model.frontend.shape))
    image, patch = (torch.zeros(shape, device="meta") for shape in shapes)
    if model.semantic is None:
        model(image, patch)
    else:
        model.segment_classes(image, patch)


def saved_bytes(model: nn.Module, run: Callable[[], object]) -> int:
    """Bytes of what autograd saves while ``run`` runs, each storage once, without the parameters."""
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    saved: dict[int, torch.UntypedStorage] = {}  # held, so that no address is given away twice

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            saved[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        run()
    return sum(storage.nbytes() for storage in saved.values())

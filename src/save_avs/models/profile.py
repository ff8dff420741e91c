"""Parameters and operations of a model, part by part, counted without allocating its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from save_avs.models.build import build_save
from save_avs.models.config import SaveConfig
from save_avs.models.freeze import freeze_except
from save_avs.models.save import SAVE
from save_avs.weights.state_dict import on_meta_device

# As in the paper's recipe; the mask decoder as in SAMA-AVS.
TRAINABLE = ("adapter", "audio_adapter", "mask_decoder")

PARTS: tuple[str, ...] = (
    "SAM encoder",
    "image stem",
    "image adapters",
    "audio backbone",
    "audio adapter",
    "prompt encoder",
    "mask decoder",
)
_MODULES = {
    "sam.image_encoder": "SAM encoder",
    "stem": "image stem",
    "audio_backbone": "audio backbone",
    "audio_adapter": "audio adapter",
    "sam.prompt_encoder": "prompt encoder",
    "sam.mask_decoder": "mask decoder",
}


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """A model's parameters, and the operations of one frame."""

    parts: Mapping[str, int]  # parameters of each of ``PARTS``
    trained: int  # number of trained parameters; in the paper's recipe adapters, audio adapter, mask decoder
    # of one frame and its sound, of each of ``PARTS``: multiplications and additions in matrix products and
    # convolutions, one each; all else (norms, activations, softmax) is not counted
    flops: Mapping[str, int]

    @property
    def total(self) -> int:
        """All parameters."""
        return sum(self.parts.values())

    @property
    def frozen(self) -> int:
        """Parameters that are not trained."""
        return self.total - self.trained


def profile_model(config: SaveConfig, trained: Sequence[str] = TRAINABLE) -> ModelProfile:
    """Count a model's parameters and the operations of one frame, on the meta device.

    ``trained`` names the parts that are trained (``freeze_except``); image adapters only if it has them.
    """
    with on_meta_device():
        model = build_save(config.model_copy(update={"classes": ()}))
    names = [name for name in trained if name != "adapter" or config.image_adapter is not None]
    trainable = set(freeze_except(model, names))
    parts = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        parts[_part(name)] += parameter.numel()
    return ModelProfile(
        parts=parts,
        trained=sum(p.numel() for n, p in model.named_parameters() if n in trainable),
        flops=_flops(model),
    )


def _part(name: str) -> str:
    if ".adapter." in f".{name}.":
        return "image adapters"
    return next(part for module, part in _MODULES.items() if name.startswith(module))


def _flops(model: SAVE) -> dict[str, int]:
    size = model.image_size
    images = torch.empty(1, 3, size, size, dtype=torch.uint8, device="meta")
    log_mel = torch.empty(1, 1, *model.frontend.shape, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images, log_mel)
    of = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    root = type(model).__name__

    def flops_of(module: str) -> int:
        return of.get(f"{root}.{module}", 0)

    adapters = sum(flops_of(name) for name, _ in model.named_modules() if name.endswith(".adapter"))
    flops = {part: flops_of(module) for module, part in _MODULES.items()} | {"image adapters": adapters}
    flops["SAM encoder"] -= adapters
    # the decoder runs in two calls, none of them its forward, so it is not counted by itself: it is the rest
    flops["mask decoder"] = counter.get_total_flops() - sum(flops.values())
    return {part: flops[part] for part in PARTS}

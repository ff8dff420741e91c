"""Numeric precision of a model: resolved for a device, and set."""

from pathlib import Path

import torch
from torch import nn

from save_avs.errors import UsageError
from save_avs.models.sam import cpu_kernels
from save_avs.models.save import SAVE, Precision


def resolve_precision(precision: str, device: torch.device) -> Precision:
    """Resolve ``auto`` to the faster precision of a device: bfloat16 pays only with native products."""
    match precision:
        case "fp32" | "bf16":
            return precision
        case "auto":
            return "bf16" if has_native_bf16(device) else "fp32"
    raise UsageError(f"unknown precision '{precision}': choose auto, fp32 or bf16")


def has_native_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 natively; on a CPU with AVX-512 BF16, AMX, or Arm's BF16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = Path("/proc/cpuinfo")
    if device.type != "cpu" or not cpu.exists():
        return False
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(cpu.read_text().split()))


def set_precision(model: SAVE, precision: Precision, *, pack: bool = True) -> SAVE:
    """Convert the weights to a precision and to the fastest memory layout, in place.

    In bfloat16 on a CPU the layers of the encoder's blocks are packed: for inference in this process alone,
    since a packed weight can be neither trained nor saved. ``pack=False`` leaves them plain.
    """
    model.precision = precision
    if precision == "bf16":
        model.to(torch.bfloat16)
        if pack and model.device.type == "cpu" and cpu_kernels.ENABLED and cpu_kernels.has_onednn():
            encoder = model.sam.image_encoder
            cpu_kernels.pack_layers(encoder.blocks, encoder.image_embedding_size)
    nn.utils.convert_conv2d_weight_memory_format(model, torch.channels_last)  # the layout of the tokens
    return model

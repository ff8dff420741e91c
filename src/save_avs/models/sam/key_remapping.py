"""Any publisher's SAM to one safetensors file with the official key names."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from save_avs._files import atomic_path
from save_avs.errors import UsageError
from save_avs.models.sam.load import read_sam_checkpoint
from save_avs.models.sam.presets import SamConfig, build_sam
from save_avs.weights.state_dict import strict_load


def convert_sam(source: str | Path, target: str | Path) -> SamConfig:
    """Write a SAM's tensors, unchanged, as safetensors with Meta's key names.

    The result is another file, with a sha256 of its own: a model trained on the original asks for that one.

    Args:
        source: Meta's .pth, a Hugging Face folder, or one weight file of either.
        target: a .safetensors file that does not exist yet; it appears whole or not at all.

    Returns:
        The sizes of the SAM.

    Raises:
        UsageError: when the source is not there, or the target is, or has another suffix.
        SaveAvsError: when the source is no whole SAM; the line names what is wrong.
    """
    target = check_output_path(Path(target))
    state, shape = read_sam_checkpoint(source)
    with torch.device("meta"):
        sam = build_sam(shape)
    strict_load(sam, state, source=str(source), assign=True)
    tensors = {key: tensor.contiguous() for key, tensor in state.items()}
    with atomic_path(target) as part:
        save_file(tensors, part, metadata={"format": "pt"})
        part.chmod(0o644)  # safetensors makes it readable by its owner alone
    return shape


def check_output_path(target: Path) -> Path:
    """The file that a conversion may write.

    Raises:
        UsageError: when it is there already, or has another suffix.
    """
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: the result is safetensors; name it so, as in sam.safetensors")
    if target.exists():
        raise UsageError(f"{target} exists already; remove it or name another file")
    return target

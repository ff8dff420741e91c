"""SAM's published checkpoints: read, loaded at any image size, converted to safetensors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from save_avs._files import atomic_path
from save_avs.errors import SaveAvsError, UsageError
from save_avs.models.sam.build_sam import SamConfig, build_sam
from save_avs.models.sam.sam import Sam
from save_avs.weights.state_dict import on_meta_device, read_state_dict, strict_load
from save_avs.weights.transformers_sam_keys import is_transformers_sam, remap_transformers_sam


class SamCheckpoint(NamedTuple):
    """A whole SAM's tensors under their official names, and the sizes that they show."""

    path: Path
    state: dict[str, Tensor]
    config: SamConfig
    image_size: int

    def build(self, image_size: int | None = None) -> Sam:
        """A SAM with these tensors, in evaluation mode; see `load_sam`."""
        state, patch_size = self.state, self.config.patch_size
        if image_size is not None and image_size != self.image_size:
            if image_size <= 0 or image_size % patch_size:
                raise UsageError(
                    f"image_size {image_size} must be a multiple of the patch size, {patch_size}"
                )
            state = resample_positions(state, self.config, image_size)
        with on_meta_device():
            sam = build_sam(self.config, image_size=image_size or self.image_size)
        strict_load(sam, state, source=str(self.path), assign=True)
        return sam.eval()


def load_sam(path: str | Path, *, image_size: int | None = None, dtype: torch.dtype = torch.float32) -> Sam:
    """Load a whole SAM onto the CPU, in evaluation mode.

    Args:
        path: Meta's .pth, a Hugging Face folder of transformers' ``SamModel``, or one weight file of either.
        image_size: side of the square input in pixels; the checkpoint's own (1024) when None. At another size
            the positions are resampled, see `resample_positions`.
        dtype: of the parameters.

    Raises:
        UsageError: when there is no such file, or image_size is not a multiple of the patch.
        SaveAvsError: when the file holds pickled code or anything but a whole SAM; the line names every
            missing, unexpected and misshaped key.
    """
    return read_sam_checkpoint(path).build(image_size).to(dtype)


def read_sam_checkpoint(path: str | Path) -> SamCheckpoint:
    """Read a whole SAM's tensors, under their official names, and the sizes that they show."""
    path = Path(path)
    state = read_state_dict(path)
    if is_transformers_sam(state):
        state = remap_transformers_sam(state)
    config, image_size = infer_config(state, source=str(path))
    if num_heads := _decoder_num_heads(path):
        config = config.model_copy(update={"decoder_num_heads": num_heads})
    return SamCheckpoint(path, state, config, image_size)


def infer_config(state: Mapping[str, Tensor], *, source: str) -> tuple[SamConfig, int]:
    """Infer the sizes and the image size of a state dict with official names.

    The decoder's number of heads does not show: SAM's 8 is assumed. Where a window is as wide as the whole
    grid, windowed and global blocks are the same, and all count as global.

    Raises:
        SaveAvsError: when the tensors that show them are missing, or not of SAM's dimensions.
    """
    try:
        positions, patch = state["image_encoder.pos_embed"], state["image_encoder.patch_embed.proj.weight"]
        depth = _count(state, "image_encoder.blocks.")
        tables = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"] for i in range(depth)]
        lin1 = state["image_encoder.blocks.0.mlp.lin1.weight"]
        num_mask_tokens, prompt_embed_dim = state["mask_decoder.mask_tokens.weight"].shape
        grid, embed_dim = positions.shape[1], positions.shape[-1]
        sides = [(len(table) + 1) // 2 for table in tables]
        windows = {side for side in sides if side != grid} or {grid}
        config = SamConfig(
            patch_size=patch.shape[-1],
            embed_dim=embed_dim,
            depth=depth,
            num_heads=embed_dim // tables[0].shape[1],
            mlp_ratio=len(lin1) / embed_dim,
            window_size=min(windows),
            global_attn_indexes=tuple(i for i, side in enumerate(sides) if side == grid),
            prompt_embed_dim=prompt_embed_dim,
            mask_in_chans=len(state["prompt_encoder.mask_downscaling.3.weight"]),
            decoder_depth=_count(state, "mask_decoder.transformer.layers."),
            decoder_mlp_dim=len(state["mask_decoder.transformer.layers.0.mlp.lin1.weight"]),
            num_multimask_outputs=num_mask_tokens - 1,
            iou_head_depth=_count(state, "mask_decoder.iou_prediction_head.layers."),
            iou_head_hidden_dim=len(state["mask_decoder.iou_prediction_head.layers.0.weight"]),
        )
        return config, grid * patch.shape[-1]
    except KeyError as error:
        raise SaveAvsError(f"{source}: not a whole SAM checkpoint; missing {error.args[0]}") from error
    except (IndexError, ValueError) as error:
        raise SaveAvsError(f"{source}: not a SAM checkpoint; its tensors have other dimensions") from error


def resample_positions(state: Mapping[str, Tensor], config: SamConfig, image_size: int) -> dict[str, Tensor]:
    """Resample the positions of a SAM's state to another image size.

    ``pos_embed`` is resampled over its two sides (bilinear), ``rel_pos`` of the global blocks over its length
    (linear), both with align_corners=False; windowed blocks see no further than before and keep theirs. A
    state that holds only some of them (a model's own part, without its pretrained one) gets those resampled.

    Source: Cheng et al. 2023, SAM-Med2D, arXiv 2308.16184 (ancestor).
    """
    grid = image_size // config.patch_size
    out = dict(state)
    if (key := "image_encoder.pos_embed") in state:
        positions = state[key].float().permute(0, 3, 1, 2)  # [1,C,H,W]
        positions = F.interpolate(positions, (grid, grid), mode="bilinear", align_corners=False)
        out[key] = positions.permute(0, 2, 3, 1).to(state[key].dtype)
    blocks = [f"image_encoder.blocks.{i}.attn.rel_pos_" for i in config.global_attn_indexes]
    for key in (block + side for block in blocks for side in "hw"):
        if key in state:
            table = state[key].float().t().unsqueeze(0)  # [1,d,2*grid-1]
            table = F.interpolate(table, 2 * grid - 1, mode="linear", align_corners=False)
            out[key] = table.squeeze(0).t().to(state[key].dtype)
    return out


def convert_sam(source: str | Path, output: str | Path) -> SamCheckpoint:
    """Write a SAM's tensors, unchanged, as safetensors with Meta's key names.

    The result is a different file, with a sha256 of its own: a model trained on the original needs that one.

    Args:
        source: Meta's .pth, a Hugging Face folder, or one weight file of either.
        output: a .safetensors file that does not exist yet; it appears complete or not at all.
    """
    output = check_output_path(Path(output))
    checkpoint = read_sam_checkpoint(source)
    checkpoint.build()
    tensors = {key: tensor.contiguous() for key, tensor in checkpoint.state.items()}
    with atomic_path(output) as part:
        save_file(tensors, part, metadata={"format": "pt"})
        part.chmod(0o644)  # safetensors makes it readable by its owner alone
    return checkpoint


def check_output_path(output: Path) -> Path:
    """Check that a file that a conversion is to write is named .safetensors and does not exist."""
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the output must be named .safetensors, as in sam.safetensors")
    if output.exists():
        raise UsageError(f"{output} already exists: remove it or choose another name")
    return output


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Number of numbered modules under a prefix."""
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})


def _decoder_num_heads(path: Path) -> int | None:
    """Attention heads of the decoder, from a Hugging Face folder's config.json where there is one."""
    config = path / "config.json"
    if not config.is_file():
        return None
    try:
        return json.loads(config.read_text()).get("mask_decoder_config", {}).get("num_attention_heads")
    except (ValueError, AttributeError) as error:
        raise SaveAvsError(f"{config}: not a model's configuration; fetch it again") from error

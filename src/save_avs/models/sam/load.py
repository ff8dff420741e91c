"""Loading SAM's published weights, at the size they were trained for or another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.errors import SaveAvsError, UsageError
from save_avs.models.sam.presets import SamConfig, build_sam
from save_avs.models.sam.sam import Sam
from save_avs.weights.key_remapping import is_transformers_sam, remap_transformers_sam
from save_avs.weights.state_dict import read_state_dict, strict_load


def load_sam(path: str | Path, *, image_size: int | None = None, dtype: torch.dtype = torch.float32) -> Sam:
    """Load a whole SAM onto the CPU, in evaluation mode.

    Args:
        path: Meta's .pth, a Hugging Face folder of transformers' ``SamModel``, or one weight file of either.
        image_size: side of the square input in pixels; the checkpoint's own (1024) when None. At another size
            the positions are resampled, see `resample_positions`.
        dtype: precision of the parameters.

    Raises:
        UsageError: when there is no such file, or image_size is not a multiple of the patch.
        SaveAvsError: when the file holds pickled code or something else than a whole SAM; the line names
            every missing, unexpected and mis-shaped key.
    """
    return make_sam(*read_sam_checkpoint(path), source=str(path), image_size=image_size, dtype=dtype)


def read_sam_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], SamConfig]:
    """Read a whole SAM's tensors, under their official names, and the sizes that they show.

    Raises:
        UsageError, SaveAvsError: as `load_sam`, but for keys that fit no SAM.
    """
    path = Path(path)
    state = read_state_dict(path)
    if is_transformers_sam(state):
        state = remap_transformers_sam(state)
    shape = infer_config(state, source=str(path))
    if num_heads := _decoder_heads(path):
        shape = replace(shape, decoder_num_heads=num_heads)
    return state, shape


def make_sam(
    state: dict[str, Tensor],
    shape: SamConfig,
    *,
    source: str,
    image_size: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Sam:
    """A SAM around the tensors of `read_sam_checkpoint`, in evaluation mode; see `load_sam`."""
    if image_size is not None and image_size != shape.image_size:
        if image_size <= 0 or image_size % shape.patch_size:
            raise UsageError(f"image_size {image_size} must be a multiple of the patch, {shape.patch_size}")
        state = resample_positions(state, shape, image_size)
        shape = replace(shape, image_size=image_size)
    with torch.device("meta"):  # parameters are not drawn only to be overwritten
        sam = build_sam(shape)
    strict_load(sam, state, source=source, assign=True)
    return sam.to(dtype).eval()


def infer_config(state: Mapping[str, Tensor], *, source: str) -> SamConfig:
    """Read off a state dict with official names every size that it shows.

    The decoder's number of heads does not show: SAM's 8 is assumed. Where a window is as wide as the whole
    grid, windowed and global blocks are the same, and all count as global.

    Raises:
        SaveAvsError: when the tensors that tell are not there, or not of SAM's dimensions.
    """
    try:
        positions, patch = state["image_encoder.pos_embed"], state["image_encoder.patch_embed.proj.weight"]
        depth = _count(state, "image_encoder.blocks.")
        tables = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"] for i in range(depth)]
        lin1 = state["image_encoder.blocks.0.mlp.lin1.weight"]
        masks, dim = state["mask_decoder.mask_tokens.weight"].shape
        grid, embed_dim = positions.shape[1], positions.shape[-1]
        sides = [(len(table) + 1) // 2 for table in tables]
        windows = {side for side in sides if side != grid} or {grid}
        return SamConfig(
            image_size=grid * patch.shape[-1],
            patch_size=patch.shape[-1],
            embed_dim=embed_dim,
            depth=depth,
            num_heads=embed_dim // tables[0].shape[1],
            mlp_ratio=len(lin1) / embed_dim,
            window_size=min(windows),
            global_attn_indexes=tuple(i for i, side in enumerate(sides) if side == grid),
            prompt_embed_dim=dim,
            mask_in_chans=len(state["prompt_encoder.mask_downscaling.3.weight"]),
            decoder_depth=_count(state, "mask_decoder.transformer.layers."),
            decoder_mlp_dim=len(state["mask_decoder.transformer.layers.0.mlp.lin1.weight"]),
            num_multimask_outputs=masks - 1,
            iou_head_depth=_count(state, "mask_decoder.iou_prediction_head.layers."),
            iou_head_hidden_dim=len(state["mask_decoder.iou_prediction_head.layers.0.weight"]),
        )
    except KeyError as error:
        raise SaveAvsError(f"{source}: not a whole SAM checkpoint; missing {error.args[0]}") from error
    except (IndexError, ValueError) as error:
        raise SaveAvsError(f"{source}: not a SAM checkpoint; its tensors have other dimensions") from error


def resample_positions(state: Mapping[str, Tensor], shape: SamConfig, image_size: int) -> dict[str, Tensor]:
    """Fit the positions of a checkpoint of ``shape`` to another image size.

    ``pos_embed`` is resampled over its two sides (bilinear), ``rel_pos`` of the global blocks over its length
    (linear), both with align_corners=False; windowed blocks look no further than before and keep theirs. A
    state that holds only some of them (a model's own part, beside its base) gets those resampled.

    Source: Cheng et al. 2023, SAM-Med2D, arXiv 2308.16184 (ancestor).
    """
    grid = image_size // shape.patch_size
    out = dict(state)
    if (key := "image_encoder.pos_embed") in state:
        positions = state[key].float().permute(0, 3, 1, 2)  # [1,C,H,W]
        positions = F.interpolate(positions, (grid, grid), mode="bilinear", align_corners=False)
        out[key] = positions.permute(0, 2, 3, 1).to(state[key].dtype)
    for key in (
        f"image_encoder.blocks.{i}.attn.rel_pos_{side}" for i in shape.global_attn_indexes for side in "hw"
    ):
        if key in state:
            table = state[key].float().t().unsqueeze(0)  # [1,d,2*grid-1]
            table = F.interpolate(table, 2 * grid - 1, mode="linear", align_corners=False)
            out[key] = table.squeeze(0).t().to(state[key].dtype)
    return out


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered modules stand under a prefix."""
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})


def _decoder_heads(path: Path) -> int | None:
    """Attention heads of the decoder where a Hugging Face folder's config.json tells them."""
    config = path / "config.json"
    if not config.is_file():
        return None
    try:
        return json.loads(config.read_text()).get("mask_decoder_config", {}).get("num_attention_heads")
    except (ValueError, AttributeError) as error:
        raise SaveAvsError(f"{config}: not a model's configuration; fetch it again") from error

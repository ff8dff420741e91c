"""Compare full-size SAMs with transformers' SamModel.

    python -m scripts.check_sam_parity [vit_b vit_l vit_h]

For each size, a SamModel at 1024 px with random weights (including biases, norms and position embeddings) is
run on an image with three kinds of prompt. Its weights are then saved in Meta's format and in that of
transformers, loaded by `load_sam`, and run on the same inputs. One model is in memory at a time; ViT-H needs
about 14 GB of memory and 6 GB of disk (TMPDIR).
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from save_avs.models.sam import PRESETS, Sam, load_sam
from save_avs.weights.transformers_sam_keys import remap_transformers_sam
from tests.support.sam_oracle import make_oracle

SIZE = 1024
PROMPT_KINDS = ({"points"}, {"boxes"}, {"points", "masks"})
HEAD = "| model | format | embedding | its std | without last block | prompts | mask logits | IoU | s |"


def main(names: list[str]) -> None:
    """Print a table of the largest differences."""
    print(HEAD, "|---" * HEAD.count(" | ") + "|---|", sep="\n", flush=True)
    for name in names or PRESETS:
        with tempfile.TemporaryDirectory() as folder:
            expected = run_oracle(name, Path(folder))
            gc.collect()
            for format, source in (
                ("Meta", Path(folder) / "meta.pth"),
                ("Hugging Face", Path(folder) / "hub"),
            ):
                print(compare(name, format, source, expected), flush=True)
                gc.collect()


@torch.no_grad()
def run_oracle(name: str, folder: Path) -> dict[str, Any]:
    """Return the outputs of transformers' model, and save its weights in both formats in ``folder``."""
    oracle = make_oracle(PRESETS[name], SIZE)
    inputs = make_inputs()
    image = oracle.get_image_embeddings(inputs["images"])
    outputs: dict[str, Any] = {"image": image, "prompted": []}
    for kinds in PROMPT_KINDS:
        points = inputs["xy"][:, None] if "points" in kinds else None
        labels = inputs["labels"][:, None] if "points" in kinds else None
        boxes = inputs["boxes"][:, None] if "boxes" in kinds else None
        masks = inputs["masks"] if "masks" in kinds else None
        sparse, dense = oracle.prompt_encoder(points, labels, boxes, masks)
        out = oracle(
            image_embeddings=image,
            input_points=points,
            input_labels=labels,
            input_boxes=boxes,
            input_masks=masks,
            multimask_output=True,
        )
        outputs["prompted"].append((sparse[:, 0], dense, out.pred_masks[:, 0], out.iou_scores[:, 0]))
    state = oracle.state_dict()
    torch.save(remap_transformers_sam(state), folder / "meta.pth")
    (folder / "hub").mkdir()
    oracle.config.save_pretrained(folder / "hub")
    tensors = {key: tensor for key, tensor in state.items() if not key.startswith("prompt_encoder.shared")}
    save_file(tensors, folder / "hub" / "model.safetensors", metadata={"format": "pt"})
    return outputs


@torch.no_grad()
def compare(name: str, format: str, source: Path, expected: dict[str, Any]) -> str:
    """Return a row of the table: the largest differences of our outputs from the expected ones."""
    start = time.monotonic()
    sam, inputs = load_sam(source), make_inputs()
    image = sam.image_encoder(inputs["images"])
    prompt = masks = iou = 0.0
    for kinds, (sparse, dense, logits, scores) in zip(PROMPT_KINDS, expected["prompted"], strict=True):
        ours = run_prompted(sam, expected["image"], inputs, kinds)
        prompt = max(
            prompt, max_difference(ours[0], sparse), max_difference(ours[1], dense.expand_as(ours[1]))
        )
        masks, iou = max(masks, max_difference(ours[2], logits)), max(iou, max_difference(ours[3], scores))
    std = float(expected["image"].std())
    sam.image_encoder.blocks[-1] = nn.Identity()
    ablated = max_difference(sam.image_encoder(inputs["images"]), expected["image"])
    values = (max_difference(image, expected["image"]), std, ablated, prompt, masks, iou)
    cells = " | ".join(f"{value:.2g}" for value in values)
    return f"| {name} | {format} | {cells} | {time.monotonic() - start:.0f} |"


def run_prompted(sam: Sam, image: Tensor, inputs: dict[str, Tensor], kinds: set[str]) -> tuple[Tensor, ...]:
    """Return sparse and dense prompt embeddings, mask logits and predicted IoU."""
    sparse, dense = sam.prompt_encoder(
        points=(inputs["xy"], inputs["labels"]) if "points" in kinds else None,
        boxes=inputs["boxes"] if "boxes" in kinds else None,
        masks=inputs["masks"] if "masks" in kinds else None,
    )
    return sparse, dense, *sam.mask_decoder(image, sam.prompt_encoder.get_dense_pe(), sparse, dense, True)


def make_inputs() -> dict[str, Tensor]:
    """Make an image, points with labels, a box and a mask."""
    rng = torch.Generator().manual_seed(1)
    return {
        "images": torch.randn(1, 3, SIZE, SIZE, generator=rng),
        "xy": SIZE * torch.rand(1, 3, 2, generator=rng),
        "labels": torch.tensor([[1, 0, -1]]),
        "boxes": SIZE * torch.rand(1, 4, generator=rng),
        "masks": torch.randn(1, 1, SIZE // 4, SIZE // 4, generator=rng),
    }


def max_difference(a: Tensor, b: Tensor) -> float:
    """Return the largest absolute difference."""
    assert a.shape == b.shape, (a.shape, b.shape)
    return float((a - b).abs().max())


if __name__ == "__main__":
    main(sys.argv[1:])

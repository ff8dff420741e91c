"""Full-size SAMs against transformers' SamModel: `python scripts/check_sam_parity.py [vit_b vit_l vit_h]`.

For each size, a SamModel at 1024 px with every weight drawn (biases, norms and positions too) answers one
picture and three kinds of prompt. Its weights are then written in Meta's format and in the Hugging Face
format, loaded by `load_sam`, and asked the same. One model is in memory at a time; ViT-H needs about 14 GB of
memory and 6 GB of disk (TMPDIR).
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
from save_avs.weights.key_remapping import remap_transformers_sam

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sam"))
from sam_oracle import make_oracle  # pyright: ignore[reportMissingImports]

SIZE = 1024
KINDS = ({"points"}, {"boxes"}, {"points", "masks"})
HEAD = "| model | format | embedding | its std | without a block | prompts | mask logits | IoU | s |"


def main(names: list[str]) -> None:
    """Print a table of the largest differences."""
    print(HEAD, "|---" * HEAD.count(" | ") + "|---|", sep="\n", flush=True)
    for name in names or PRESETS:
        with tempfile.TemporaryDirectory() as folder:
            expected = answers(name, Path(folder))
            gc.collect()
            for form, source in (("Meta", Path(folder) / "meta.pth"), ("Hugging Face", Path(folder) / "hub")):
                print(row(name, form, source, expected), flush=True)
                gc.collect()


@torch.no_grad()
def answers(name: str, folder: Path) -> dict[str, Any]:
    """What transformers answers; leaves its weights in both formats in ``folder``."""
    oracle = make_oracle(PRESETS[name])
    given = prompts()
    image = oracle.get_image_embeddings(given["images"])
    found: dict[str, Any] = {"image": image, "asked": []}
    for kinds in KINDS:
        points = given["xy"][:, None] if "points" in kinds else None
        labels = given["labels"][:, None] if "points" in kinds else None
        boxes = given["boxes"][:, None] if "boxes" in kinds else None
        masks = given["masks"] if "masks" in kinds else None
        sparse, dense = oracle.prompt_encoder(points, labels, boxes, masks)
        out = oracle(
            image_embeddings=image,
            input_points=points,
            input_labels=labels,
            input_boxes=boxes,
            input_masks=masks,
            multimask_output=True,
        )
        found["asked"].append((sparse[:, 0], dense, out.pred_masks[:, 0], out.iou_scores[:, 0]))
    state = oracle.state_dict()
    torch.save(remap_transformers_sam(state), folder / "meta.pth")
    (folder / "hub").mkdir()
    oracle.config.save_pretrained(folder / "hub")
    tensors = {key: tensor for key, tensor in state.items() if not key.startswith("prompt_encoder.shared")}
    save_file(tensors, folder / "hub" / "model.safetensors", metadata={"format": "pt"})
    return found


@torch.no_grad()
def row(name: str, form: str, source: Path, expected: dict[str, Any]) -> str:
    """One line of the table: the largest differences of our answers from the expected ones."""
    began = time.monotonic()
    sam, given = load_sam(source), prompts()
    image = sam.image_encoder(given["images"])
    prompt = masks = quality = 0.0
    for kinds, (sparse, dense, logits, scores) in zip(KINDS, expected["asked"], strict=True):
        ours = ask(sam, expected["image"], given, kinds)
        prompt = max(prompt, gap(ours[0], sparse), gap(ours[1], dense.expand_as(ours[1])))
        masks, quality = max(masks, gap(ours[2], logits)), max(quality, gap(ours[3], scores))
    std = float(expected["image"].std())
    sam.image_encoder.blocks[-1] = nn.Identity()
    lost = gap(sam.image_encoder(given["images"]), expected["image"])
    figures = (gap(image, expected["image"]), std, lost, prompt, masks, quality)
    told = " | ".join(f"{figure:.2g}" for figure in figures)
    return f"| {name} | {form} | {told} | {time.monotonic() - began:.0f} |"


def ask(sam: Sam, image: Tensor, given: dict[str, Tensor], kinds: set[str]) -> tuple[Tensor, ...]:
    """Sparse and dense prompt embeddings, mask logits and IoU."""
    sparse, dense = sam.prompt_encoder(
        points=(given["xy"], given["labels"]) if "points" in kinds else None,
        boxes=given["boxes"] if "boxes" in kinds else None,
        masks=given["masks"] if "masks" in kinds else None,
    )
    return sparse, dense, *sam.mask_decoder(image, sam.prompt_encoder.get_dense_pe(), sparse, dense, True)


def prompts() -> dict[str, Tensor]:
    """A picture, points with labels, a box, a mask; always the same."""
    draw = torch.Generator().manual_seed(1)
    return {
        "images": torch.randn(1, 3, SIZE, SIZE, generator=draw),
        "xy": SIZE * torch.rand(1, 3, 2, generator=draw),
        "labels": torch.tensor([[1, 0, -1]]),
        "boxes": SIZE * torch.rand(1, 4, generator=draw),
        "masks": torch.randn(1, 1, SIZE // 4, SIZE // 4, generator=draw),
    }


def gap(a: Tensor, b: Tensor) -> float:
    """Largest difference."""
    assert a.shape == b.shape, (a.shape, b.shape)
    return float((a - b).abs().max())


if __name__ == "__main__":
    main(sys.argv[1:])

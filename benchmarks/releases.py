"""Speed ratios of each release, kept as JSON: ours against another implementation in the same run.

    python benchmarks/releases.py [--rounds N]     measure this version into benchmarks/results/VERSION.json
    python benchmarks/releases.py --table          print the history, as docs/lab-notes/releases.md has it

Both implementations of a pair run interleaved on random weights or the same masks, so a ratio depends little
on the machine's load: above 1, ours is faster. tests/benchmarks fails where one is below `LEAST`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference_models import build_transformers_sam, make_reference_encoder
from rich import print as show

from save_avs._files import atomic_write
from save_avs._rle import encode_rle
from save_avs._text import json_document, markdown_table
from save_avs.evaluation.runtime_speed import DTYPES, time_call, time_interleaved
from save_avs.models.sam import PRESETS, build_sam
from save_avs.models.sam.cpu_kernels import has_onednn, pack_layers
from save_avs.models.save import Precision

RESULTS = Path(__file__).parent / "results"
Pair = tuple[Callable[[], object], Callable[[], object]]  # ours, theirs


BLOCKS = PRESETS["vit_b"].model_copy(update={"depth": 4, "global_attn_indexes": (3,)})


@torch.inference_mode()
def encoder(precision: Precision, against: str = "transformers") -> Pair:
    """Four blocks of SAM's ViT-B encoder, three of them windowed, on an image of 256 px."""
    dtype, size = DTYPES[precision], 256
    ours = build_sam(BLOCKS, image_size=size).image_encoder.eval()
    theirs = (
        build_transformers_sam(BLOCKS, size).get_submodule("vision_encoder")
        if against == "transformers"
        else make_reference_encoder(ours)
    ).to(dtype)
    ours = ours.to(dtype)
    if precision == "bf16" and has_onednn():
        pack_layers(ours.blocks, ours.image_embedding_size)
    image = torch.randn(1, 3, size, size, dtype=dtype)
    return torch.inference_mode()(lambda: ours(image)), torch.inference_mode()(lambda: theirs(image))


def rle() -> Pair:
    """Run-length codes of masks of 720p with one object."""
    from faster_coco_eval.core import mask as coco

    y, x = np.mgrid[:720, :1280]
    masks = [(x - 640) ** 2 + (y - 300 - 20 * i) ** 2 < 200**2 for i in range(8)]
    return (
        lambda: [encode_rle(mask) for mask in masks],
        lambda: [coco.encode(np.asfortranarray(mask, np.uint8)) for mask in masks],
    )


# Name: how both are built, and what the other is.
PAIRS: dict[str, tuple[Callable[[], Pair], str]] = {
    "encoder, float32": (partial(encoder, "fp32"), "transformers"),
    "encoder, bfloat16": (partial(encoder, "bf16"), "transformers"),
    "encoder, float32, as published": (partial(encoder, "fp32", "reference"), "published AVS code"),
    "run-length codes": (rle, "faster-coco-eval"),
}
LEAST = {"encoder, float32": 0.8, "run-length codes": 0.1}  # below is a gross regression


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Time a pair; return milliseconds of both and their ratio."""
    build, other = PAIRS[name]
    ours, theirs = build()
    seconds = time_interleaved(
        {"ours": partial(time_call, ours), "theirs": partial(time_call, theirs)}, rounds
    )
    ms = {key: round(1000 * value, 3) for key, value in seconds.items()}
    ratio = round(seconds["theirs"] / seconds["ours"], 2)
    return {"name": name, "against": other, "ratio": ratio, "ours_ms": ms["ours"], "theirs_ms": ms["theirs"]}


def table() -> str:
    """Format the ratios of all releases, newest first, as Markdown."""
    releases = [json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")]
    releases.sort(key=lambda release: [int(part) for part in release["version"].split(".")], reverse=True)
    rows = [
        (release["version"], release["date"], one["name"], one["against"], f"{one['ratio']:.2f}")
        for release in releases
        for one in release["ratios"]
    ]
    return markdown_table(("version", "date", "what", "against", "times as fast"), rows)


def main() -> None:
    """Measure this version, or print the history."""
    parser = argparse.ArgumentParser(description="Speed ratios of this version.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    torch.manual_seed(0)
    result = {
        "version": version("save-avs"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        },
        "versions": {name: version(name) for name in ("torch", "transformers", "faster-coco-eval", "numpy")},
        "rounds": options.rounds,
        "ratios": [measure(name, options.rounds) for name in PAIRS],
    }
    atomic_write(RESULTS / f"{result['version']}.json", json_document(result))
    show(result["ratios"])


if __name__ == "__main__":
    main()

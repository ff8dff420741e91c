"""Copy a trained model into the package.

    python scripts/bundle_model.py runs/save-tiny/9-patchwork-256/model save-tiny
    python scripts/bundle_model.py runs/save-small/4-scenes-256/model save-small

Writes all weights, also those it was built on, as float16 to a folder in packages/save-avs-models; the model
card there is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from save_avs.models.serialization import load_folder, save_model

MODELS = Path(__file__).parents[1] / "packages/save-avs-models/src/save_avs_models"


def main(source: str, name: str) -> None:
    """Save the model of a folder as float16, under a name."""
    model = load_folder(source)
    model.pretrained = None
    folder = save_model(model, MODELS / name, dtype=torch.float16)
    parameters = sum(p.numel() for p in model.parameters())
    size = (folder / "model.safetensors").stat().st_size
    print(f"{folder}: {parameters / 1e6:.2f} M parameters, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])

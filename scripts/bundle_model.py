"""Copy a trained model into the package.

    python scripts/bundle_model.py runs/save-tiny/9-patchwork-256/model

Writes float16 weights to save-tiny/ in packages/save-avs-models; the model card there is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from save_avs.models.serialization import load_folder, save_model

TARGET = Path(__file__).parents[1] / "packages/save-avs-models/src/save_avs_models/save-tiny"


def main(source: str) -> None:
    """Save the model of a folder as float16."""
    model = load_folder(source)
    save_model(model, TARGET, dtype=torch.float16)
    parameters = sum(p.numel() for p in model.parameters())
    size = (TARGET / "model.safetensors").stat().st_size
    print(f"{TARGET}: {parameters / 1e6:.2f} M parameters, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1])

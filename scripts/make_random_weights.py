"""Write random SAM and VGGish weights in the published formats, to try training without downloading any.

    python scripts/make_random_weights.py DIR [vit_b|vit_l|vit_h]

Writes DIR/sam.pth, a SAM at 1024 px with Meta's keys, and DIR/vggish.pth with torchvggish's keys. They
are for checking that a pipeline loads, trains, saves and evaluates; the masks are meaningless.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from save_avs.models.audio.registry import backbone_class
from save_avs.models.sam import PRESETS, build_sam


def main(folder: Path, size: str = "vit_b") -> None:
    """Write both files."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(build_sam(PRESETS[size]).state_dict(), folder / "sam.pth")
    torch.save(backbone_class("vggish")().state_dict(), folder / "vggish.pth")
    print(f"random weights: {folder / 'sam.pth'}, {folder / 'vggish.pth'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

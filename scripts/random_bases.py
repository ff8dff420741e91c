"""Write random weights in the published formats, to try the way from data to table without the real ones.

    python scripts/random_bases.py DIR [vit_b|vit_l|vit_h]

writes DIR/sam.pth, a SAM of 1024 px under Meta's key names, and DIR/vggish.pth, under torchvggish's.
A model on them knows nothing; that they load, train, save and come back is what they are for.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from save_avs.models.audio.registry import build_backbone
from save_avs.models.sam import PRESETS, build_sam


def main(folder: Path, size: str = "vit_b") -> None:
    """Write both files."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(build_sam(PRESETS[size]).state_dict(), folder / "sam.pth")
    torch.save(build_backbone("vggish").state_dict(), folder / "vggish.pth")
    print(f"random weights: {folder / 'sam.pth'}, {folder / 'vggish.pth'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

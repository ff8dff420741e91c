"""Masks as files: masks.json, and the formats of other tools (a module and a line in the table each)."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from save_avs.formats.coco import build_coco_dataset, write_coco
from save_avs.formats.cvat import write_cvat
from save_avs.formats.label_studio import write_label_studio
from save_avs.formats.masks_json import LABEL, MaskDocument, load_masks_json, write_masks_json
from save_avs.formats.png_npz import write_npz, write_png

__all__ = [
    "LABEL",
    "MASK_FORMATS",
    "MaskDocument",
    "MaskFormat",
    "build_coco_dataset",
    "load_masks_json",
    "write_masks_json",
]


class MaskFormat(NamedTuple):
    """A file format for masks."""

    file: str  # name of the file or folder in a results folder
    # writes the masks to such a path; the file appears complete or not at all
    write: Callable[[Path, MaskDocument], None]


MASK_FORMATS: dict[str, MaskFormat] = {
    "png": MaskFormat("masks", write_png),
    "coco": MaskFormat("masks.coco.json", write_coco),
    "npz": MaskFormat("masks.npz", write_npz),
    "cvat": MaskFormat("masks.cvat.xml", write_cvat),
    "labelstudio": MaskFormat("masks.labelstudio.json", write_label_studio),
}

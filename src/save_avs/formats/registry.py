"""The formats by name: a new one is a file beside this and a line in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from save_avs.formats.coco import write_coco
from save_avs.formats.cvat import write_cvat
from save_avs.formats.label_studio import write_label_studio
from save_avs.formats.maskset import MaskDocument
from save_avs.formats.npz import write_npz
from save_avs.formats.png import write_png


@dataclass(frozen=True)
class MaskFormat:
    """A way to write masks.

    Attributes:
        file: the file or folder it becomes in a results folder.
        write: writes a mask set to such a path.
    """

    file: str
    write: Callable[[Path, MaskDocument], None]


MASK_FORMATS: dict[str, MaskFormat] = {
    "png": MaskFormat("masks", write_png),
    "coco": MaskFormat("masks.coco.json", write_coco),
    "npz": MaskFormat("masks.npz", write_npz),
    "cvat": MaskFormat("masks.cvat.xml", write_cvat),
    "labelstudio": MaskFormat("masks.labelstudio.json", write_label_studio),
}

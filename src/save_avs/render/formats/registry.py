"""The formats by name: a new one is a file beside this and a line in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from save_avs.render.formats.coco import write_coco
from save_avs.render.formats.cvat import write_cvat
from save_avs.render.formats.label_studio import write_label_studio
from save_avs.render.formats.maskset import MaskSet
from save_avs.render.formats.npz import write_npz
from save_avs.render.formats.png import write_png


@dataclass(frozen=True)
class Format:
    """A way to write masks.

    Attributes:
        file: the file or folder it becomes in a results folder.
        write: writes a mask set to such a path.
    """

    file: str
    write: Callable[[Path, MaskSet], None]


FORMATS: dict[str, Format] = {
    "png": Format("masks", write_png),
    "coco": Format("masks.coco.json", write_coco),
    "npz": Format("masks.npz", write_npz),
    "cvat": Format("masks.cvat.xml", write_cvat),
    "labelstudio": Format("masks.labelstudio.json", write_label_studio),
}

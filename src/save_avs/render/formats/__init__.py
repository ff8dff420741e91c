"""Masks as the tools of others read them: COCO, NumPy, CVAT, Label Studio, PNG."""

from save_avs.render.formats.coco import coco_dataset
from save_avs.render.formats.maskset import LABEL, MaskSet
from save_avs.render.formats.registry import FORMATS, Format

__all__ = ["FORMATS", "LABEL", "Format", "MaskSet", "coco_dataset"]

"""Masks as the tools of others read them: COCO, NumPy, CVAT, Label Studio, PNG."""

from save_avs.formats.coco import build_coco_dataset
from save_avs.formats.maskset import LABEL, MaskDocument
from save_avs.formats.registry import MASK_FORMATS, MaskFormat

__all__ = ["LABEL", "MASK_FORMATS", "MaskDocument", "MaskFormat", "build_coco_dataset"]

"""CVAT's XML 1.1: masks on frames, which CVAT takes for tasks made of a video and of its pictures alike.

CVAT does not know masks in tracks, so each marked frame is an ``image`` of its own; in a task made of the
video it is found by its frame number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np

from save_avs._files import atomic_path
from save_avs.formats.maskset import LABEL, MaskDocument
from save_avs.formats.row_rle import row_run_lengths
from save_avs.types import Bool


def write_cvat(path: Path, masks: MaskDocument) -> None:
    """Write annotations of the frames that are marked, whole or not at all."""
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="\n") as out:
        out.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        out.write(_text(_meta(masks)))
        for image in _images(masks):
            out.write(_text(image))
        out.write("</annotations>\n")


def _meta(masks: MaskDocument) -> Xml.Element:
    height, width = masks.video_masks.size
    meta = Xml.Element("meta")
    task = Xml.SubElement(meta, "task")
    _add(task, name=Path(masks.video["path"]).name, size=len(masks.video_masks), mode="annotation", overlap=0)
    label = Xml.SubElement(Xml.SubElement(task, "labels"), "label")
    _add(label, name=LABEL, color="#ff7010", type="mask")
    Xml.SubElement(label, "attributes")
    _add(Xml.SubElement(task, "original_size"), width=width, height=height)
    return meta


def _images(masks: MaskDocument) -> Iterator[Xml.Element]:
    height, width = masks.video_masks.size
    written: set[int] = set()  # more frames a second than the video has show one of its frames again
    for i, number in enumerate(masks.frame_numbers()):
        mask = masks.video_masks.mask(i)
        if number in written or not mask.any():
            continue
        written.add(number)
        name = f"{masks.images}frame_{number:06d}.png"
        image = Xml.Element("image", id=str(number), name=name, width=str(width), height=str(height))
        plain = {"label": LABEL, "source": "auto", "occluded": "0", "z_order": "0"}
        Xml.SubElement(image, "mask", plain | _code(mask))
        yield image


def _code(mask: Bool) -> dict[str, str]:
    """The box of a mask, bool [H,W], and in it run lengths by rows, the unmarked first."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    lengths = row_run_lengths(box)
    return {
        "rle": ", ".join(map(str, lengths if not box[0, 0] else [0, *lengths])),
        "left": str(columns[0]),
        "top": str(rows[0]),
        "width": str(box.shape[1]),
        "height": str(box.shape[0]),
    }


def _add(parent: Xml.Element, **texts: Any) -> None:
    for tag, text in texts.items():
        Xml.SubElement(parent, tag).text = str(text)


def _text(element: Xml.Element) -> str:
    Xml.indent(element)
    return Xml.tostring(element, encoding="unicode") + "\n"

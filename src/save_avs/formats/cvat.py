"""CVAT XML 1.1: masks on frames, for tasks created from a video or from its images.

CVAT has no masks in tracks, so each marked frame is an ``image`` of its own; a task created from the video
finds it by its frame number, which counts every frame of the video.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from save_avs._files import atomic_path
from save_avs._rle import rle_area, rle_bounding_box, row_run_lengths
from save_avs.formats.masks_json import LABEL, MaskDocument
from save_avs.types import VideoMasks


def write_cvat(path: Path, document: MaskDocument) -> None:
    """Write annotations of the marked frames."""
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="\n") as out:
        out.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        out.write(_xml_text(_meta(document)))
        for image in _images(document):
            out.write(_xml_text(image))
        out.write("</annotations>\n")


def _meta(document: MaskDocument) -> Xml.Element:
    height, width = document.video_masks.size
    meta = Xml.Element("meta")
    task = Xml.SubElement(meta, "task")
    name, size = Path(document.video["path"]).name, len(document.video_masks)
    _add_texts(task, name=name, size=size, mode="annotation", overlap=0)
    label = Xml.SubElement(Xml.SubElement(task, "labels"), "label")
    _add_texts(label, name=LABEL, color="#ff7010", type="mask")
    Xml.SubElement(label, "attributes")
    _add_texts(Xml.SubElement(task, "original_size"), width=width, height=height)
    return meta


def _images(document: MaskDocument) -> Iterator[Xml.Element]:
    height, width = document.video_masks.size
    written: set[int] = set()  # several processed frames can be one frame of the video
    for i, number in enumerate(document.video_masks.source_indices):
        if number in written or not rle_area(document.video_masks.counts[i]):
            continue
        written.add(number)
        name = f"{document.image_prefix}frame_{number:06d}.png"
        image = Xml.Element("image", id=str(number), name=name, width=str(width), height=str(height))
        attributes = {"label": LABEL, "source": "auto", "occluded": "0", "z_order": "0"}
        Xml.SubElement(image, "mask", attributes | _encode_mask(document.video_masks, i))
        yield image


def _encode_mask(masks: VideoMasks, i: int) -> dict[str, str]:
    """Return the bounding box of a mask, and the run lengths in it by rows, unmarked first."""
    rows, columns = rle_bounding_box(masks.counts[i], masks.size)
    box = masks.mask(i)[rows, columns]
    lengths = row_run_lengths(box)
    return {
        "rle": ", ".join(map(str, lengths if not box[0, 0] else [0, *lengths])),
        "left": str(columns.start),
        "top": str(rows.start),
        "width": str(box.shape[1]),
        "height": str(box.shape[0]),
    }


def _add_texts(parent: Xml.Element, **texts: Any) -> None:
    for tag, text in texts.items():
        Xml.SubElement(parent, tag).text = str(text)


def _xml_text(element: Xml.Element) -> str:
    Xml.indent(element)
    return Xml.tostring(element, encoding="unicode") + "\n"

"""CVAT XML 1.1: masks on frames, for tasks created from a video or from its images.

CVAT has no masks in tracks (a job with one does not open), so each marked frame is an ``image`` of its own; a
task created from the video finds it by its frame number, which counts every frame of the video. The masks of
one tracked object have its id as their group, which CVAT shows in one color, and as an attribute.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from save_avs._files import atomic_path
from save_avs._rle import row_run_lengths
from save_avs.formats.masks_json import LABEL, MaskDocument
from save_avs.types import MaskObject

TRACK_ATTRIBUTE = "track_id"


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
    attributes = Xml.SubElement(label, "attributes")
    if any(each.id for frame in document.video_masks.objects or () for each in frame):
        attribute = Xml.SubElement(attributes, "attribute")
        _add_texts(attribute, name=TRACK_ATTRIBUTE, mutable="False", input_type="text", default_value="")
    _add_texts(Xml.SubElement(task, "original_size"), width=width, height=height)
    return meta


def _images(document: MaskDocument) -> Iterator[Xml.Element]:
    height, width = document.video_masks.size
    written: set[int] = set()  # several processed frames can be one frame of the video
    for i, number in enumerate(document.video_masks.source_indices):
        annotations = document.annotations(i)
        if number in written or not annotations:
            continue
        written.add(number)
        name = f"{document.image_prefix}frame_{number:06d}.png"
        image = Xml.Element("image", id=str(number), name=name, width=str(width), height=str(height))
        for found in annotations:
            _add_mask(image, found)
        yield image


def _add_mask(image: Xml.Element, found: MaskObject) -> None:
    """Add a mask: its bounding box, and the run lengths in it by rows, unmarked first."""
    left, top, width, height = found.box
    box = found.mask[top : top + height, left : left + width]
    lengths = row_run_lengths(box)
    attributes = {
        "label": LABEL,
        "source": "auto",
        "occluded": "0",
        "z_order": "0",
        "rle": ", ".join(map(str, lengths if not box[0, 0] else [0, *lengths])),
    } | dict(zip(("left", "top", "width", "height"), map(str, found.box), strict=True))
    mask = Xml.SubElement(image, "mask", attributes)
    if found.id is not None:
        mask.set("group_id", str(found.id))
        Xml.SubElement(mask, "attribute", name=TRACK_ATTRIBUTE).text = str(found.id)


def _add_texts(parent: Xml.Element, **texts: Any) -> None:
    for tag, text in texts.items():
        Xml.SubElement(parent, tag).text = str(text)


def _xml_text(element: Xml.Element) -> str:
    Xml.indent(element)
    return Xml.tostring(element, encoding="unicode") + "\n"

"""Predictions in and out: masks in files, in the layout of the benchmark's own annotations.

The mask of a frame has the path of its annotation in the data set, ``s4_data/gt_masks/test/bird/X/X_1.png``,
below a folder of its own, with the suffix ``.png`` or ``.npz``.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from save_avs._files import atomic_write, read_regular
from save_avs._text import json_document
from save_avs.datasets.image_and_video_clips import ClipDataset, ImageSequenceClip
from save_avs.errors import DataError, UsageError, first_problem
from save_avs.evaluation.forward import (
    FrameBatch,
    MaskValues,
    ModelOutputs,
    ModelSource,
    Shape,
    resize_logits,
    resize_target,
)
from save_avs.evaluation.prediction_files import (
    SUFFIXES,
    MaskForm,
    PngContent,
    StoredMask,
    read_header,
    read_mask_file,
    write_npz,
    write_png,
)
from save_avs.inference.predictor import FrameModel
from save_avs.metrics.protocols import BENCHMARK_SIZE
from save_avs.models.save import Resize

INDEX = "predictions.json"
MaskFileFormat = Literal["npz", "png16", "png"]
MASK_FILE_FORMATS: dict[MaskFileFormat, str] = {
    "npz": "the network's logits as they are: scores are the same to the last digit",
    "png16": "probabilities at the frame's size, 16-bit gray",
    "png": "masks at the frame's size, 0 and 255",
}
_NAMED = 3  # files that a message names

Place = tuple[int, int]  # clip in the data set, frame in the clip


@dataclass(frozen=True)
class PredictionIndex:
    """Content of ``predictions.json``: what wrote the masks, and for what."""

    model: str
    image_size: int
    resize: Resize
    precision: str
    data: str
    split: str
    version: Literal[1] = 1


_INDEX_JSON = TypeAdapter(PredictionIndex)


@dataclass(frozen=True)
class StoredOutputs:
    """Masks from files, for the rows of a batch."""

    masks: tuple[StoredMask, ...]
    resize: Resize

    def masks_at(self, rows: Sequence[int], shape: Shape, frame: Shape) -> MaskValues:
        """Resize masks by nearest neighbor, probabilities and logits bilinearly."""
        resized = [self._resize(self.masks[k], shape, frame) for k in rows]
        return MaskValues(torch.stack(resized), self.masks[rows[0]].form != "logits")

    def labels_at_benchmark_size(self, rows: Sequence[int], frame: Shape) -> Tensor | None:
        """Resize label maps by nearest neighbor."""
        size = (BENCHMARK_SIZE, BENCHMARK_SIZE)
        labels = [torch.from_numpy(found) for k in rows if (found := self.masks[k].labels) is not None]
        return torch.cat([resize_target(one[None], size) for one in labels]) if labels else None

    def _resize(self, mask: StoredMask, shape: Shape, frame: Shape) -> Tensor:
        values = torch.from_numpy(mask.values)[None, None]
        if mask.form == "mask":
            return F.interpolate(values, shape, mode="nearest-exact")[0, 0]
        return resize_logits(values, shape, frame=frame, resize=self.resize)[0, 0]


@dataclass(frozen=True)
class StoredPredictions:
    """The masks of every annotated frame of a data set, read as they are scored."""

    name: str  # of the model that wrote them, else of their folder
    image_size: int  # side of the network's input, else of square masks; 0 if neither is known
    resize: Resize  # how frames became the network's square
    precision: str  # of the network; ``stored`` if it is not known
    files: Mapping[Place, Path]  # of each frame, by (clip, position)
    classes: tuple[str, ...]  # of the label maps; empty without
    content: PngContent  # of 8-bit PNGs
    reads_images = False

    def predict(self, batch: FrameBatch, *, labels: bool) -> StoredOutputs:
        """Read the masks of a batch."""
        places = zip(batch.clips, batch.positions, strict=True)
        classes = len(self.classes) if labels or self.content == "labels" else 0
        masks = tuple(read_mask_file(self.files[place], self.content, classes) for place in places)
        return StoredOutputs(masks, self.resize)


FrameOutputs = ModelOutputs | StoredOutputs  # predictions for the rows of a batch
MaskSource = ModelSource | StoredPredictions  # what predicts: a model, or files that some system wrote


def open_predictions(
    folder: str | Path,
    clips: ClipDataset,
    *,
    content: PngContent = "mask",
    others: Iterable[ClipDataset] = (),
) -> StoredPredictions:
    """Find the predicted mask of each annotated frame, and check names and sizes of all before any is scored.

    Args:
        folder: holds the masks in the layout of the data set's annotations.
        clips: the data set.
        content: what 8-bit PNGs hold: a mask (0 and one other value), the probability (0..255), or
            class labels (0 for the background), which need a data set with classes.
        others: further splits of the data set, whose masks the folder may hold as well.

    Raises:
        UsageError: there is no such folder, it holds masks of another split, or labels cannot be used.
        DataError: masks are missing, misnamed, of a wrong size, or of several forms.

    Examples:
        >>> import save_avs.datasets, save_avs.evaluation
        >>> clips = save_avs.datasets.open_dataset("s4", "AVSBench", "test")  # doctest: +SKIP
        >>> masks = save_avs.evaluation.open_predictions("masks", clips)  # doctest: +SKIP
        >>> save_avs.evaluation.evaluate_clips(masks, clips, ["official"]).table()  # doctest: +SKIP
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of masks")
    if content == "labels" and not clips.classes:
        raise UsageError(f"{clips.name} has no classes, so masks cannot hold labels: use mask or probability")
    index = _read_index(folder, clips)
    names = mask_names(clips)
    known_elsewhere = {name for other in others for name in mask_names(other).values()}
    files = _match_files(folder, clips, names, known_elsewhere)
    headers = {place: read_header(path, content) for place, path in files.items()}
    side = _check_sizes(folder, clips, files, {place: header.shape for place, header in headers.items()})
    forms: Counter[MaskForm] = Counter(header.form for header in headers.values())
    if len(forms) > 1:
        kinds = ", ".join(f"{count} {form}" for form, count in forms.most_common())
        raise DataError(f"{folder}: files of several kinds ({kinds}): give all in one")
    labeled = sum(header.has_labels for header in headers.values())
    if labeled not in {0, len(headers)}:
        raise DataError(f"{folder}: {labeled} of {len(headers)} files have labels: give all or none")
    return StoredPredictions(
        name=index.model if index else folder.resolve().name,
        image_size=index.image_size if index else side,
        resize=index.resize if index else "squash",
        precision=index.precision if index else "stored",
        files=files,
        classes=clips.classes if labeled else (),
        content=content,
    )


def mask_names(clips: ClipDataset) -> dict[Place, str]:
    """Return the path of each annotation in the data set's folder, without suffix, by clip and frame.

    A UsageError if the data set has videos, whose frames are only known once they are read.
    """
    names = {}
    for i, entry in enumerate(clips.entries):
        if not isinstance(entry, ImageSequenceClip):
            raise UsageError(
                f"{clips.name}: masks of videos have no files of their own: put the data set into shards "
                "(save-avs data shard), or use `save-avs segment`"
            )
        for k, name in enumerate(entry.annotation_names(clips.folder)):
            if name is not None:
                names[i, k] = name[: -len(PurePosixPath(name).suffix)]
    return names


def _read_index(folder: Path, clips: ClipDataset) -> PredictionIndex | None:
    path = folder / INDEX
    if not path.exists():
        return None
    try:
        index = _INDEX_JSON.validate_json(read_regular(path), strict=True)
    except (ValueError, OSError) as error:
        reason = first_problem(error) if isinstance(error, ValidationError) else error
        raise DataError(f"{path}: not written by `save-avs eval --save-masks` ({reason})") from error
    if (index.data, index.split) != (clips.name, clips.split):
        raise UsageError(
            f"{folder} holds masks of {index.data}, split {index.split}, not of {clips.name}, "
            f"split {clips.split}: name another folder, or remove {INDEX}"
        )
    return index


def _match_files(
    folder: Path, clips: ClipDataset, names: Mapping[Place, str], known_elsewhere: set[str]
) -> dict[Place, Path]:
    """Pair frames with files; all of one split, no more and no less."""
    parents = {PurePosixPath(name).parent for name in names.values()}
    top = folder / (os.path.commonpath(parents) if parents else "")
    found: dict[str, list[Path]] = {}
    for path in sorted(top.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            name = path.relative_to(folder).as_posix()
            found.setdefault(name[: -len(path.suffix)], []).append(path)
    expected = set(names.values())
    problems = [
        _problem(f"of {len(expected)} masks missing", sorted(expected - found.keys())),
        _problem("files that no frame has", sorted(found.keys() - expected - known_elsewhere)),
        _problem("frames with two files", sorted(n for n in expected & found.keys() if len(found[n]) > 1)),
    ]
    if any(problems):
        raise DataError(
            f"{folder}: {'; '.join(filter(None, problems))}. Name the masks of {clips.name}, split "
            f"{clips.split}, as its annotations are, one of each annotated frame"
        )
    return {place: found[name][0] for place, name in names.items()}


def _problem(text: str, names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return f"{len(names)} {text} ({', '.join(names[:_NAMED])}{more})" if names else ""


def _check_sizes(
    folder: Path, clips: ClipDataset, files: Mapping[Place, Path], shapes: Mapping[Place, Shape]
) -> int:
    """Check that each mask has its frame's size, or is the square that most are; return its side, else 0."""
    squares = Counter(h for h, w in shapes.values() if h == w)
    side, count = squares.most_common(1)[0] if squares else (0, 0)
    side = side if 2 * count >= len(shapes) else 0
    odd = [place for place, shape in shapes.items() if shape != (side, side)]
    entries = {i: clips.entries[i] for i, _ in odd}
    frames = {i: clip.frame_size() for i, clip in entries.items() if isinstance(clip, ImageSequenceClip)}
    wrong = [place for place in odd if shapes[place] != frames[place[0]]]
    if wrong:
        texts = []
        for place in wrong[:_NAMED]:
            (h, w), (frame_h, frame_w) = shapes[place], frames[place[0]]
            texts.append(f"{files[place].relative_to(folder)} {w} x {h}, its frame {frame_w} x {frame_h}")
        more = ", ..." if len(wrong) > _NAMED else ""
        expected = f"the frame's size or {side} x {side}" if side else "the frame's size"
        raise DataError(
            f"{folder}: {len(wrong)} of {len(shapes)} masks of a wrong size ({', '.join(texts)}{more}): "
            f"give {expected}"
        )
    return side


class PredictionWriter:
    """Writes the masks of a model into an empty folder, in the layout of the dataset's annotations.

    ``file_format`` is one of `MASK_FILE_FORMATS`. A UsageError says that the dataset has no such layout.
    """

    def __init__(
        self, folder: Path, clips: ClipDataset, model: FrameModel, file_format: MaskFileFormat
    ) -> None:
        self._folder, self._names, self._format = folder, mask_names(clips), file_format
        # PNGs have the frame's size: their padding is gone.
        resize: Resize = model.resize if file_format == "npz" else "squash"
        index = PredictionIndex(
            model.name, model.image_size, resize, model.precision, clips.name, clips.split
        )
        atomic_write(folder / INDEX, json_document(asdict(index)))

    def add(self, batch: FrameBatch, outputs: FrameOutputs) -> None:
        """Write the masks of a batch, which the model predicted."""
        assert isinstance(outputs, ModelOutputs)  # those of files are not written again
        for k, place in enumerate(zip(batch.clips, batch.positions, strict=True)):
            path = self._folder / f"{self._names[place]}{'.npz' if self._format == 'npz' else '.png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame = (batch.targets[k].shape[0], batch.targets[k].shape[1])
            if self._format == "npz":
                labels = outputs.labels_at_benchmark_size([k], frame)
                found = None if labels is None else labels[0].to(torch.uint8).cpu().numpy()
                write_npz(path, outputs.masks[k].cpu().numpy(), found)
            else:
                probs = outputs.masks_at([k], frame, frame).values[0].sigmoid().cpu().numpy()
                write_png(path, probs, binary=self._format == "png")

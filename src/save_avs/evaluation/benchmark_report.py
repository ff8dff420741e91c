"""The report of a benchmark: a Markdown table, one JSON document, a contact sheet."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs.evaluation.benchmark_sheet import draw_sheet
from save_avs.evaluation.reference_results import (
    PublishedResult,
    published_label_results,
    published_mask_results,
)
from save_avs.evaluation.results import About, Evidence, Example, GroupScores, LabelScores, ProtocolScores
from save_avs.evaluation.tables import report_table

VERSION = 1


@dataclass(frozen=True)
class BenchmarkReport:
    """What `evaluate_clips` finds.

    Attributes:
        about: the model, the data and the circumstances.
        scores: under each protocol, in the order asked for.
        labels: of label maps, where model and data have them.
        examples: the best, the median and the worst clips.
        evidence: what single clips scored, for `compare`.
    """

    about: About
    scores: tuple[ProtocolScores, ...]
    labels: LabelScores | None
    examples: tuple[Example, ...]
    evidence: Evidence

    def table(self) -> str:
        """Everything as Markdown, in per cent."""
        return report_table(self)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values: scores in 0..1, NaN as None, published figures marked as such."""
        about = self.about
        return plain(
            {
                "version": VERSION,
                "about": asdict(about),
                "protocols": {s.protocol.name: _protocol(s) for s in self.scores},
                "labels": None if self.labels is None else _labels(self.labels),
                "published": {
                    "masks": [_published(p) for p in published_mask_results(about.data, about.split)],
                    "labels": [_published(p) for p in published_label_results(about.data, about.split)],
                },
                "clips": self._clips(),
            }
        )

    def save(self, folder: str | Path) -> Path:
        """Write report.json, report.md and examples.png into a folder."""
        folder = Path(folder)
        about = self.about
        atomic_write(folder / "report.json", dumps(self.as_json()))
        atomic_write(folder / "report.md", self.table())
        title = f"{about.model} on {about.data}, split {about.split}"
        draw_sheet(folder / "examples.png", self.examples, title)
        return folder

    def _clips(self) -> list[dict[str, Any]]:
        """Mean IoU of each clip under the first protocol's view."""
        scores = self.evidence.clip_ious(self.scores[0].protocol.scoring)
        rows = zip(self.evidence.names, self.evidence.sources, scores, strict=True)
        return [{"name": name, "source": source, "miou": round(iou, 6)} for name, source, iou in rows]


def plain(value: Any) -> Any:
    """Replace NaN, which JSON does not know, by None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def dumps(document: dict[str, Any]) -> str:
    """One JSON document, readable, with a line's end."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _protocol(scores: ProtocolScores) -> dict[str, Any]:
    protocol = scores.protocol
    return {
        "says": protocol.description,
        "clips_per_batch": protocol.clips_per_batch,
        "view": asdict(protocol.scoring),
        "overall": _group(scores.overall),
        "categories": {g.name: _group(g) for g in scores.categories},
        "objects": {g.name: _group(g) for g in scores.objects},
    }


def _group(group: GroupScores) -> dict[str, Any]:
    return {"clips": group.clips, "frames": group.frames, **{m: asdict(s) for m, s in group.scores.items()}}


def _labels(labels: LabelScores) -> dict[str, Any]:
    columns = zip(labels.classes, labels.frames, labels.miou, labels.f, strict=True)
    return {
        "variants": {name: {m: asdict(s) for m, s in both.items()} for name, both in labels.overall.items()},
        "classes": {name: {"frames": n, "miou": iou, "f": f} for name, n, iou, f in columns},
    }


def _published(figure: PublishedResult) -> dict[str, Any]:
    scores = {
        "miou": round(figure.miou / 100, 6),
        "f": None if figure.f is None else round(figure.f / 100, 6),
    }
    return {"method": figure.method, **scores, "protocol": figure.protocol, "caveat": figure.caveat}

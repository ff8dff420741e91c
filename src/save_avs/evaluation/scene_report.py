"""The report of an evaluation: report.json, report.md, and a sheet of examples."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from save_avs._files import atomic_path, atomic_write
from save_avs.evaluation.scenes import LABELS, SceneReport
from save_avs.types import U8
from save_avs.visualization.overlay import TARGET_COLOR, draw_mask

COLUMNS = 4


def save_scene_report(report: SceneReport, about: dict[str, Any], folder: str | Path) -> Path:
    """Write the report of composed scenes; ``about`` says of which model, data, split and seed."""
    folder = Path(folder)
    figures = {name: asdict(figure) for name, figure in report.figures.items()}
    facts = {
        **about,
        "scenes": report.scenes,
        "with_silent_object": report.with_silent_object,
        "f_score": report.f_score,
        "figures": figures,
    }
    atomic_write(folder / "report.json", json.dumps(facts, indent=2) + "\n")
    atomic_write(folder / "report.md", scene_table(report, about))
    with atomic_path(folder / "examples.png") as part:
        Image.fromarray(sheet(report)).save(part)
    return folder


def scene_table(report: SceneReport, about: dict[str, Any]) -> str:
    """The figures as a Markdown table with 95 % bootstrap intervals over scenes."""
    head = ", ".join(f"{key} {value}" for key, value in about.items())
    lines = [
        f"{head}; {report.scenes} scenes, {report.with_silent_object:.0%} of them with a silent object.",
        "",
        "| figure | mean | 95 % interval | scenes |",
        "|---|---|---|---|",
    ]
    for name, figure in report.figures.items():
        lines.append(
            f"| {LABELS[name]} | {figure.mean:.3f} | {figure.low:.3f} to {figure.high:.3f} | {figure.count} |"
        )
    lines.append(f"| F-score (benchmark's, protocol `dataset`) | {report.f_score:.3f} | | {report.scenes} |")
    return "\n".join(lines) + "\n"


def sheet(report: SceneReport) -> U8:
    """Pairs of pictures: what should be marked (blue), what the model marked (amber)."""
    pairs = [
        np.concatenate([draw_mask(picture, truth, TARGET_COLOR), draw_mask(picture, found)], axis=1)
        for picture, truth, found in report.examples
    ]
    blank = np.full_like(pairs[0], 255)
    pairs += [blank] * (-len(pairs) % COLUMNS)
    rows = [np.concatenate(pairs[i : i + COLUMNS], axis=1) for i in range(0, len(pairs), COLUMNS)]
    return np.concatenate(rows)

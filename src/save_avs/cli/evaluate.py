"""`save-avs eval`: how good a model is, in figures with intervals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli.options import Device, Precision
from save_avs.errors import UsageError

EXAMPLES = """Examples:

\b
  save-avs data stamps corpora/stamps
  save-avs eval save-tiny --data scenes --split test
  save-avs eval runs/save-tiny/7-together-256/model --data scenes --split zero-shot -o runs/eval/zero-shot
"""

DATA = ("scenes",)
SPLITS = ("train", "val", "test", "zero-shot")


def evaluate(
    model: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A bundled model, or a model's folder.")],
    data: Annotated[
        str, typer.Option("--data", metavar="|".join(DATA), help="What to evaluate on.")
    ] = "scenes",
    split: Annotated[
        str, typer.Option("--split", metavar="|".join(SPLITS), help="Which part of the corpus.")
    ] = "test",
    corpus: Annotated[
        Path, typer.Option("--corpus", metavar="DIR", help="The corpus that scenes are composed from.")
    ] = Path("corpora/stamps"),
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="How many scenes to draw.")] = 600,
    seed: Annotated[int, typer.Option("--seed", min=0, help="What the scenes are drawn from.")] = 2024,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where report.json, report.md, examples.png go."),
    ] = Path("runs/eval"),
    precision: Precision = "auto",
    device: Device = "auto",
) -> int:
    """Measure a model: how well its masks fit, and whether it listens."""
    if data not in DATA:
        raise UsageError(f"unknown data '{data}': choose {' or '.join(DATA)}")
    if split not in SPLITS:
        raise UsageError(f"unknown split '{split}': choose one of {', '.join(SPLITS)}")
    from save_avs.cli.running import announced_model
    from save_avs.data.corpus import Corpus
    from save_avs.evaluation import evaluate_scenes, markdown, write_report

    things = Corpus.load(corpus, split)
    network = announced_model(model, device=device, precision=precision)

    def progress(done: int) -> None:
        if done % 50 == 0 or done == scenes:
            print(f"{done}/{scenes} scenes", file=sys.stderr)

    report = evaluate_scenes(network, things, scenes=scenes, seed=seed, progress=progress)
    about = {
        "model": network.name,
        "data": data,
        "split": split,
        "seed": seed,
        "precision": network.precision,
    }
    folder = write_report(report, about, output)
    typer.echo(markdown(report, about))
    typer.echo(f"report: {folder}")
    return 0

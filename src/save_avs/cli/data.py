"""`save-avs data`: corpora, and clips composed from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from save_avs.cli import data_check, data_features, data_shard
from save_avs.cli._console import print_info, print_line
from save_avs.cli._options import DryRun
from save_avs.cli._progress import count as count_progress
from save_avs.errors import UsageError

DEFAULT_CORPUS = Path("corpora/tuxpaint")
LAYOUTS = ("clips", "s4", "ms3", "avss", "v3", "synthetic")
SPLITS = ("train", "val", "test", "zero-shot")
CLIP_SIZE, BENCHMARK_SIZE = (360, 640), (224, 224)
CLIP_SECONDS = 8.0

TUXPAINT_EXAMPLES = """Examples:

\b
  save-avs data tuxpaint
  save-avs data tuxpaint corpora/tuxpaint --packages ~/debs

\b
It takes the Debian packages tuxpaint-stamps-default, tuxpaint-data,
tuxmath-data, tuxtype-data, mate-backgrounds, ukui-wallpapers,
lomiri-wallpapers-16.04, lomiri-wallpapers-20.04, palapeli-data,
hugin-data, opencv-doc, scratch and fluid-soundfont-gm (530 MB; nothing
is installed), and needs dpkg-deb, fluidsynth and the Python package mido.
"""
COMPOSE_EXAMPLES = """Examples:

\b
  save-avs data compose sample -o clips
  save-avs data compose corpora/tuxpaint -o clips --count 20 --seconds 10 --masks
  save-avs data compose corpora/tuxpaint -o avs --layout s4 --count 100
  save-avs data compose sample -o v3 --layout v3 --count 10 --size 64x64
"""

app = typer.Typer(
    help="Data sets: look them over; compose clips with exact masks from cutouts and sounds.",
    no_args_is_help=True,
)


app.command("check", epilog=data_check.EXAMPLES)(data_check.check)
app.command("features", epilog=data_features.EXAMPLES)(data_features.features)
app.command("shard", epilog=data_shard.EXAMPLES)(data_shard.shard)


@app.command("tuxpaint", epilog=TUXPAINT_EXAMPLES)
def tuxpaint(
    target: Annotated[
        Path, typer.Argument(metavar="[DIR]", show_default=str(DEFAULT_CORPUS), help="The corpus to make.")
    ] = DEFAULT_CORPUS,
    packages: Annotated[
        Path | None,
        typer.Option(
            "--packages", metavar="DIR", help="Where .deb files lie already; others are downloaded."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Build save-tiny's corpus, from Debian's Tux Paint stamps, photographs and a soundfont."""
    from save_avs.synthesis.tuxpaint import build_tuxpaint_corpus

    if packages is not None and not packages.is_dir():
        raise UsageError(f"--packages {packages}: no such folder")
    if dry_run:
        source = "530 MB of Debian packages" if packages is None else f"the packages in {packages}"
        print_line(f"would build {target} from {source}")
        return 0
    folder = build_tuxpaint_corpus(target, packages=packages, report=print_info)
    print_line(f"corpus: {folder}")
    return 0


@app.command("compose", epilog=COMPOSE_EXAMPLES)
def compose(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus's folder, or: sample.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to make.")],
    layout: Annotated[
        str, typer.Option("--layout", metavar="|".join(LAYOUTS), help="mp4 files, or a benchmark's folders.")
    ] = "clips",
    count: Annotated[int, typer.Option("--count", min=1, help="How many clips, in each split.")] = 10,
    split: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="|".join(SPLITS),
            show_default="test; benchmarks: all of theirs",
            help="Whose pictures and sounds to use; benchmarks take several.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same clips.")] = 0,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0.1, show_default="8; benchmarks: their own", help="Length of a clip."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="WxH", show_default="640x360; benchmarks: 224x224", help="Of frames."),
    ] = None,
    masks: Annotated[
        bool, typer.Option("--masks", help="Write each frame's exact mask too (benchmarks always have them).")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Compose clips: things on photographs that take turns sounding, with exact masks of what sounds."""
    if layout not in LAYOUTS:
        raise UsageError(f"unknown layout '{layout}': choose one of {', '.join(LAYOUTS)}")
    if output.exists():
        raise UsageError(f"{output} exists already; remove it or name another folder")
    pixels = _size(size)
    if dry_run:
        print_line(f"would compose {count} clips a split from {corpus}, as {layout} -> {output}")
        return 0
    if layout == "clips":
        folder = _compose_clips(
            corpus,
            output,
            split=_one_split(split),
            count=count,
            seed=seed,
            seconds=CLIP_SECONDS if seconds is None else seconds,
            size=pixels or CLIP_SIZE,
            masks=masks,
        )
    else:
        if seconds is not None:
            raise UsageError(f"clips of {layout} have a length of their own: leave out --seconds")
        folder = _compose_benchmark(
            corpus, output, layout=layout, splits=split, count=count, seed=seed, size=pixels or BENCHMARK_SIZE
        )
    print_line(f"clips: {folder}")
    return 0


def _compose_clips(corpus: str, output: Path, *, split: Any, **how: Any) -> Path:
    from save_avs.synthesis.corpus import Corpus
    from save_avs.synthesis.video_export import write_scene_videos

    return write_scene_videos(Corpus.load(corpus, split), output, progress=_progress, **how)


def _compose_benchmark(
    corpus: str, output: Path, *, layout: str, splits: list[str] | None, **how: Any
) -> Path:
    from save_avs.synthesis.corpus import Corpus
    from save_avs.synthesis.layout_files import LayoutRequest
    from save_avs.synthesis.layouts import LAYOUT_WRITERS, write_layout

    writer = LAYOUT_WRITERS[layout]
    chosen: list[Any] = list(dict.fromkeys(splits or writer.splits))
    for name in chosen:
        if name not in writer.splits:
            raise UsageError(f"unknown split '{name}' for {layout}: choose of {', '.join(writer.splits)}")
    if writer.needs_all_splits and set(chosen) != set(writer.splits):
        raise UsageError(f"{layout} needs all of {', '.join(writer.splits)}: leave out --split")
    corpora = {name: Corpus.load(corpus, name) for name in chosen}
    return write_layout(layout, LayoutRequest(corpora, progress=_progress, **how), output)


def _one_split(wanted: list[str] | None) -> str:
    chosen = list(dict.fromkeys(wanted or ["test"]))
    for name in chosen:
        if name not in SPLITS:
            raise UsageError(f"unknown split '{name}' for clips: choose of {', '.join(SPLITS)}")
    if len(chosen) > 1:
        raise UsageError("one --split at a time, please: clips lie in one folder")
    return chosen[0]


def _size(text: str | None) -> tuple[int, int] | None:
    """WIDTHxHEIGHT to (height, width)."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise UsageError(f"--size {text}: write it as WIDTHxHEIGHT, as in 640x360")
    return int(match[2]), int(match[1])


def _progress(done: int, of: int) -> None:
    count_progress("clips", done, of)

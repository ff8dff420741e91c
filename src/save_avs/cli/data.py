"""`save-avs data`: corpora, and clips composed from them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from save_avs.errors import UsageError

DEFAULT_CORPUS = Path("corpora/stamps")
LAYOUTS = ("clips", "s4")
SPLITS = ("train", "val", "test", "zero-shot")
CLIP_SIZE, S4_SIZE = (360, 640), (224, 224)
CLIP_SECONDS = 8.0

STAMPS_EXAMPLES = """Examples:

\b
  save-avs data stamps
  save-avs data stamps corpora/stamps --packages ~/debs

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
  save-avs data compose corpora/stamps -o clips --count 20 --seconds 10 --masks
  save-avs data compose corpora/stamps -o avs --layout s4 --count 100
"""

app = typer.Typer(
    help="Build corpora of cutouts and sounds, and compose clips with exact masks from them.",
    no_args_is_help=True,
)


@app.command("stamps", epilog=STAMPS_EXAMPLES)
def stamps(
    target: Annotated[
        Path, typer.Argument(metavar="[DIR]", show_default=str(DEFAULT_CORPUS), help="The corpus to make.")
    ] = DEFAULT_CORPUS,
    packages: Annotated[
        Path | None,
        typer.Option(
            "--packages", metavar="DIR", help="Where .deb files lie already; others are downloaded."
        ),
    ] = None,
) -> int:
    """Build save-tiny's corpus, from Debian's Tux Paint stamps, photographs and a soundfont."""
    from save_avs.data.stamps import build_stamps

    if packages is not None and not packages.is_dir():
        raise UsageError(f"--packages {packages}: no such folder")
    folder = build_stamps(target, packages=packages, report=_say)
    typer.echo(f"corpus: {folder}")
    return 0


@app.command("compose", epilog=COMPOSE_EXAMPLES)
def compose(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus's folder, or: sample.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to make.")],
    layout: Annotated[
        str, typer.Option("--layout", metavar="|".join(LAYOUTS), help="mp4 files, or AVSBench's S4 folders.")
    ] = "clips",
    count: Annotated[int, typer.Option("--count", min=1, help="How many clips, in each split.")] = 10,
    split: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="|".join(SPLITS),
            show_default="test; s4: train, val and test",
            help="Whose pictures and sounds to use; s4 takes several.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same clips.")] = 0,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0.1, show_default="8; s4: 5, always", help="Length of a clip."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="WxH", show_default="640x360; s4: 224x224", help="Of the frames."),
    ] = None,
    masks: Annotated[
        bool, typer.Option("--masks", help="Write each frame's exact mask too (s4 always has masks).")
    ] = False,
) -> int:
    """Compose clips: things on photographs that take turns sounding, with exact masks of what sounds."""
    if layout not in LAYOUTS:
        raise UsageError(f"unknown layout '{layout}': choose {' or '.join(LAYOUTS)}")
    splits = _splits(layout, split)
    pixels = _size(size) or (S4_SIZE if layout == "s4" else CLIP_SIZE)
    if layout == "s4" and seconds is not None:
        raise UsageError("S4's clips are 5 s long: leave out --seconds")
    if output.exists():
        raise UsageError(f"{output} exists already; remove it or name another folder")
    from save_avs.data.corpus import Corpus

    corpora = {name: Corpus.load(corpus, name) for name in splits}
    if layout == "s4":
        from save_avs.data.s4 import write_s4

        folder = write_s4(corpora, output, count=count, seed=seed, size=pixels, progress=_progress)
    else:
        from save_avs.data.clips import write_clips

        folder = write_clips(
            corpora[splits[0]],
            output,
            count=count,
            seed=seed,
            seconds=CLIP_SECONDS if seconds is None else seconds,
            size=pixels,
            masks=masks,
            progress=_progress,
        )
    typer.echo(f"clips: {folder}")
    return 0


def _splits(layout: str, wanted: list[str] | None) -> list[Any]:
    known = SPLITS[:3] if layout == "s4" else SPLITS
    chosen = list(dict.fromkeys(wanted or (known if layout == "s4" else ["test"])))
    for name in chosen:
        if name not in known:
            raise UsageError(f"unknown split '{name}' for {layout}: choose of {', '.join(known)}")
    if layout == "clips" and len(chosen) > 1:
        raise UsageError("one --split at a time, please: clips lie in one folder")
    return chosen


def _size(text: str | None) -> tuple[int, int] | None:
    """WIDTHxHEIGHT to (height, width)."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise UsageError(f"--size {text}: write it as WIDTHxHEIGHT, as in 640x360")
    return int(match[2]), int(match[1])


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _progress(done: int, of: int) -> None:
    """A line that counts in a terminal; elsewhere one every tenth of the way."""
    if sys.stderr.isatty():
        typer.echo(f"\r{done}/{of} clips", err=True, nl=done == of)
    elif done == of or done % max(1, of // 10) == 0:
        _say(f"{done}/{of} clips")

"""``python -m studies compose``: composed scenes in a benchmark's folders."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import check_new_folder
from save_avs.cli._progress import print_count
from save_avs.cli.data import parse_frame_size


def compose(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus's folder, or: sample.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make.")],
    layout: Annotated[
        str, typer.Option("--layout", metavar="s4|ms3|avss|v3|synthetic", help="The benchmark's folders.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, help="Number of clips per split.")] = 10,
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="SPLIT", show_default="all of its splits", help="Split; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 0,
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Size of the frames.")] = "224x224",
) -> int:
    """Compose clips with exact masks in a benchmark's folders: a stand-in where its archives are not at hand.

    \b
    Examples:
      python -m studies compose corpora/tuxpaint -o avs --layout s4 --count 100
      python -m studies compose sample -o v3 --layout v3 --count 10 --size 64x64
    """
    from save_avs.synthesis.corpus import Corpus as SceneCorpus
    from studies.composed_benchmarks.clips import LayoutRequest
    from studies.composed_benchmarks.layouts import check_splits, write_layout

    pixels, splits = parse_frame_size(size), check_splits(layout, split)
    check_new_folder(output)
    request = LayoutRequest(
        {name: SceneCorpus.load(corpus, name) for name in splits},
        count=count,
        seed=seed,
        size=pixels,
        progress=partial(print_count, "clips"),
    )
    print_line(f"clips: {write_layout(layout, request, output)}")
    return 0

"""`save-avs weights`: the published checkpoints that full-size models stand on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli._console import print_info, print_line
from save_avs.cli._options import DryRun
from save_avs.cli.completion import weight_names
from save_avs.errors import DataError

LIST_EXAMPLES = """Example:

\b
  save-avs weights list

\b
SAVE_AVS_CACHE names the folder where weights are kept.
"""
FETCH_EXAMPLES = """Examples:

\b
  save-avs weights fetch sam-vit-b
  save-avs weights fetch vggish --from ~/Downloads/vggish-10086976.pth
  save-avs weights fetch sam-vit-b-hf --from https://mirror.example/sam-vit-base/
  SAVE_AVS_CACHE=/data/weights save-avs weights fetch sam-vit-h --offline

\b
A fetch that was cut goes on where it stopped when it is run again.
"""
VERIFY_EXAMPLES = """Examples:

\b
  save-avs weights verify sam_vit_b_01ec64.pth
  save-avs weights verify runs/s4/model
"""
CONVERT_EXAMPLES = """Examples:

\b
  save-avs weights convert sam_vit_b_01ec64.pth sam_vit_b.safetensors
  save-avs weights convert sam-vit-base/ sam_vit_b.safetensors

\b
The tensors stay as they are, under Meta's names. The result is another
file with a sha256 of its own: a model trained on the original asks for
the original.
"""

app = typer.Typer(help="List, fetch, verify and convert published weights.", no_args_is_help=True)


@app.command("list", epilog=LIST_EXAMPLES)
def list_weights() -> int:
    """List the weights that can be fetched, what is known of each, and which lie in the cache."""
    from save_avs.cli._download_progress import format_size
    from save_avs.weights.cache import cache_dir, cached_path
    from save_avs.weights.registry import PRETRAINED_WEIGHTS

    print_line(f"cache: {cache_dir()}", end="\n\n")
    for known in PRETRAINED_WEIGHTS.values():
        size = known.weights.size
        there = all(cached_path(file, known.name).is_file() for file in known.files)
        told = "size not published" if size is None else format_size(size)
        cached = "; in the cache" if there else ""
        print_line(f"{known.name}: {known.description}; {told}; {known.license}{cached}")
        print_line(f"    {known.sha256_source}")
        for file in known.files:
            print_line(f"    {file.url}")
    return 0


@app.command("fetch", epilog=FETCH_EXAMPLES)
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="As `save-avs weights list` has it.", autocompletion=weight_names
        ),
    ],
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="URL|FILE",
            help="Where to fetch it from, in place of the publisher; several are tried in turn.",
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Touch no network.")] = False,
    dry_run: DryRun = False,
) -> int:
    """Fetch weights into the cache, checked, or check those that are there. Prints their path."""
    from save_avs.cli._download_progress import DownloadProgress
    from save_avs.weights.cache import cached_path
    from save_avs.weights.fetch import TransferReporter, fetch_weights
    from save_avs.weights.registry import get_pretrained_weights

    wanted = get_pretrained_weights(name)
    if dry_run:
        for file in wanted.files:
            target = cached_path(file, wanted.name)
            origin = ", ".join(sources or [file.url])
            print_line(f"{target}: {'is there' if target.is_file() else f'would be fetched from {origin}'}")
        return 0
    with DownloadProgress() as shown:
        files = fetch_weights(
            wanted,
            sources=sources or (),
            offline=offline,
            report=TransferReporter(shown.step, shown.print_line),
        )
    for file in files:
        state = "fetched" if file.new else "there already"
        print_info(f"{file.path.name}: {state}, sha256 {file.identity.sha256}")
    print_info(f"checked: {wanted.sha256_source}")
    print_line(files[0].path)
    return 0


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A checkpoint, or the folder that holds one.")],
) -> int:
    """Say what a weight file or a model folder is, whether it is complete, and whether it is a known one."""
    from save_avs.models.weights_inspection import inspect_weights

    found = inspect_weights(path)
    rows = [("file", str(found.file)), ("holds", found.description)]
    if found.identity is not None:
        rows += [("size", f"{found.identity.size:,} bytes"), ("sha256", found.identity.sha256)]
        rows += [("known", found.published or "no: its sha256 is none that we know")]
    for name, value in (*rows, *(("note", line) for line in found.notes)):
        if value:
            print_line(f"{name:8}{value}")
    if found.problems:
        raise DataError(f"{found.file}: {'; '.join(found.problems)}")
    print_line(f"{'':8}complete")
    return 0


@app.command("convert", epilog=CONVERT_EXAMPLES)
def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Meta's .pth, or a Hugging Face folder.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The .safetensors file to write.")],
    dry_run: DryRun = False,
) -> int:
    """Write a SAM as one safetensors file with Meta's key names."""
    from save_avs.models.sam.checkpoint import check_output_path, convert_sam, read_sam_checkpoint
    from save_avs.models.weights_inspection import describe_sam

    if dry_run:
        check_output_path(target)
        checkpoint = read_sam_checkpoint(source)
    else:
        checkpoint = convert_sam(source, target)
    name = describe_sam(checkpoint.config, checkpoint.image_size)
    print_line(f"{'would write ' if dry_run else ''}SAM {name}: {target}")
    return 0

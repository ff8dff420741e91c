"""`save-avs weights`: pretrained weights that full-size models build on."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from save_avs.cli._console import print_info, print_line
from save_avs.cli._options import DryRun, complete_weights
from save_avs.errors import DataError


def list_weights() -> int:
    """List the weights that can be fetched, what is known of each, and which are in the cache.

    \b
    Example:
      save-avs weights list

    SAVE_AVS_CACHE sets the cache folder.
    """
    from save_avs.cli._progress import format_size
    from save_avs.weights.cache import cache_dir, cached_path
    from save_avs.weights.registry import pretrained_weights

    print_line(f"cache: {cache_dir()}", end="\n\n")
    for weights in pretrained_weights().values():
        size = weights.weights.size
        fetched = all(cached_path(file, weights.name).is_file() for file in weights.files)
        shown = "size not published" if size is None else format_size(size)
        cached = "; in the cache" if fetched else ""
        print_line(f"{weights.name}: {weights.description}; {shown}; {weights.license}{cached}")
        print_line(f"    {weights.sha256_source}")
        for file in weights.files:
            print_line(f"    {file.url}")
    return 0


def fetch(
    name: Annotated[
        str,
        Argument(metavar="NAME", help="Name in `save-avs weights list`.", autocompletion=complete_weights),
    ],
    sources: Annotated[
        list[str] | None,
        Option(
            "--from",
            metavar="URL|FILE",
            help="Instead of the publisher: a URL, hf:OWNER/NAME, file or folder; repeatable, tried in turn.",
        ),
    ] = None,
    offline: Annotated[bool, Option("--offline", help="Do not use the network.")] = False,
    dry_run: DryRun = False,
) -> int:
    """Fetch weights into the cache or check those that are there, and print their path.

    \b
    Examples:
      save-avs weights fetch sam-vit-b
      save-avs weights fetch vggish --from ~/Downloads/vggish-10086976.pth
      save-avs weights fetch sam-vit-b-hf --from https://mirror.example/sam-vit-base/
      SAVE_AVS_CACHE=/data/weights save-avs weights fetch sam-vit-h --offline

    An interrupted fetch resumes when it is run again.
    """
    from save_avs.cli._progress import DownloadProgress
    from save_avs.weights.cache import cached_path
    from save_avs.weights.fetch import fetch_weights
    from save_avs.weights.registry import get_pretrained_weights

    weights = get_pretrained_weights(name)
    if dry_run:
        for file in weights.files:
            target = cached_path(file, weights.name)
            origin = ", ".join(sources or [file.url])
            plan = "is in the cache" if target.is_file() else f"would be fetched from {origin}"
            print_line(f"{target}: {plan}")
        return 0
    with DownloadProgress() as progress:
        files = fetch_weights(
            weights,
            sources=sources or (),
            offline=offline,
            on_progress=progress.update,
            on_message=progress.print_line,
        )
    for file in files:
        state = "fetched" if file.new else "already in the cache"
        print_info(f"{file.path.name}: {state}, sha256 {file.identity.sha256}")
    print_info(f"checked: {weights.sha256_source}")
    print_line(files[0].path)
    return 0


def verify(
    path: Annotated[Path, Argument(metavar="PATH", help="A checkpoint, or the folder that holds one.")],
) -> int:
    """Show what a weight file or a model folder is, and whether it is complete and published.

    \b
    Examples:
      save-avs weights verify sam_vit_b_01ec64.pth
      save-avs weights verify runs/s4/model
    """
    from save_avs.models.weights_inspection import inspect_weights

    found = inspect_weights(path)
    rows = [("file", str(found.file)), ("holds", found.description)]
    if found.identity is not None:
        rows += [("size", f"{found.identity.size:,} bytes"), ("sha256", found.identity.sha256)]
        rows += [("known", found.published or "no: not the sha256 of any published weights")]
    for name, value in (*rows, *(("note", line) for line in found.notes)):
        if value:
            print_line(f"{name:8}{value}")
    if found.problems:
        raise DataError(f"{found.file}: {'; '.join(found.problems)}")
    print_line(f"{'':8}complete")
    return 0


def convert(
    source: Annotated[Path, Argument(metavar="SRC", help="Meta's .pth file, or a Hugging Face folder.")],
    target: Annotated[Path, Argument(metavar="DST", help="The .safetensors file to write.")],
    dry_run: DryRun = False,
) -> int:
    """Convert a SAM to one safetensors file with Meta's key names.

    \b
    Examples:
      save-avs weights convert sam_vit_b_01ec64.pth sam_vit_b.safetensors
      save-avs weights convert sam-vit-base/ sam_vit_b.safetensors

    The tensors do not change. The result is another file with its own sha256: a model trained on the original
    still requires the original.
    """
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

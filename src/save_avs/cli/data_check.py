"""`save-avs data check`: missing files, leaks and other problems of datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from save_avs.cli._console import print_block, print_info, print_line
from save_avs.cli._options import AsJson, DatasetRoot, DryRun, Overwrite, output_folder, resolve_output_dir
from save_avs.cli._progress import print_count
from save_avs.errors import DataError

if TYPE_CHECKING:
    from save_avs.datasets.check import DatasetReport
    from save_avs.visualization.contact_sheet import Tile

DEFAULT = Path("runs/check")
OK, PROBLEMS_FOUND = 0, 3
SHOWN = 20  # of each list on the terminal; report.json lists all
SAMPLES = 4  # of each split on the contact sheet


def check(
    root: DatasetRoot,
    data: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            show_default="all that are found",
            help="Dataset to check: s4, ms3, v2, ...; repeatable.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        output_folder("runs/check, or the next free name", "Folder for report.json and the contact sheets."),
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Check datasets for missing and broken files, leaks between splits and stray pixels in masks.

    \b
    Examples:
      save-avs data check archives
      save-avs data check archives --data s4 --json
      save-avs data check archives --data v2 -o check-v2
    """
    from save_avs._files import atomic_write
    from save_avs.datasets.check import DatasetChecker, find_datasets
    from save_avs.datasets.registry import resolve_spec
    from save_avs.datasets.stored_files import data_path

    path = data_path(root)
    specs = [resolve_spec(name, path) for name in dict.fromkeys(data)] if data else find_datasets(path)
    folder = resolve_output_dir(output, DEFAULT, overwrite=overwrite)
    if dry_run:
        print_line(f"would check {', '.join(spec.name for spec in specs)} in {root} -> {folder}")
        return OK
    checker = DatasetChecker(print_count)
    reports = [checker.check(spec, path) for spec in specs]
    if not data:  # one table lists three subsets, and not every tree has them all
        reports = [r for r in reports if r.clips or any(f.kind == "broken" for f in r.problems)] or reports
    document = json.dumps({"root": root, "data": list(map(_record, reports))}, indent=1, default=_plain)
    atomic_write(folder / "report.json", document + "\n")
    for report in reports:
        _draw_sheet(report, folder / f"{report.name}.png")
    if as_json:
        print_block(document)
    else:
        for line in (line for report in reports for line in _lines(report)):
            print_line(line)
    print_info(f"report and contact sheets: {folder}")
    return PROBLEMS_FOUND if any(report.problems for report in reports) else OK


def _record(report: DatasetReport) -> dict[str, Any]:
    """Return what JSON holds of a report."""
    splits = [
        vars(split) | {"stray_pixels": [{"path": path, "pieces": n} for path, n in split.stray_pixels]}
        for split in report.splits
    ]
    head = {"name": report.name, "title": report.title, "folder": report.folder}
    return {**head, "problems": report.table_problems, "splits": splits, "leaks": report.leaks}


def _plain(value: object) -> object:
    """Return what JSON takes of a problem, or of a file."""
    from save_avs.datasets.check import FileProblem

    return vars(value) if isinstance(value, FileProblem) else str(value)


def _lines(report: DatasetReport) -> list[str]:
    """Format a report as lines."""
    head = f"{'split':8}{'clips':>8}{'official':>10}{'files':>9}{'missing':>9}{'broken':>8}{'stray':>7}"
    lines = [f"{report.name}: {report.title}, in {report.folder}", f"  {head}"]
    for split in report.splits:
        kinds = [problem.kind for problem in split.problems]
        official = "-" if split.official is None else str(split.official)
        lines.append(
            f"  {split.split:8}{split.clips:8}{official:>10}{split.files:9}"
            f"{kinds.count('missing'):9}{kinds.count('broken'):8}{len(split.stray_pixels):7}"
        )
    lines += _listed(
        [f"{p.kind}: {p.path}" + ("" if p.kind == p.reason else f": {p.reason}") for p in report.problems]
    )
    if report.leaks:
        lines.append(f"  source videos with clips in more than one split: {len(report.leaks)}")
        counts = {
            source: ", ".join(f"{count} in {split}" for split, count in where.items())
            for source, where in report.leaks.items()
        }
        lines += _listed([f"{source}: {count}" for source, count in counts.items()], "    ")
    stray_pixels = [f"{path}: {n}" for split in report.splits for path, n in split.stray_pixels]
    if stray_pixels:
        lines.append(
            f"  annotations with stray pixels (pieces of at most 8 in 224 x 224): {len(stray_pixels)}"
        )
        lines += _listed(stray_pixels, "    ")
    return [*lines, ""]


def _listed(items: list[str], indent: str = "  ") -> list[str]:
    rest = len(items) - SHOWN
    more = [f"{indent}... and {rest} more, all in report.json"] if rest > 0 else []
    return [indent + item for item in items[:SHOWN]] + more


def _draw_sheet(report: DatasetReport, path: Path) -> None:
    """Draw the contact sheet of a dataset, of the samples that can be read."""
    from save_avs.visualization.contact_sheet import draw_contact_sheet

    tiles = [tile for clips in report.opened for tile in _tiles(clips)]
    if tiles:
        draw_contact_sheet(path, tiles, title=f"{report.title}: frames, and what sounds in them", columns=3)


def _tiles(clips: Any) -> list[Tile]:
    """Samples spread over a split: of each the first annotated frame, preferably one with a mask."""
    from save_avs.visualization.contact_sheet import Tile
    from save_avs.visualization.overlay import draw_mask

    step = max(1, len(clips) // SAMPLES)
    tiles = []
    for i in range(0, len(clips), step)[:SAMPLES]:
        try:
            sample = clips[i]
        except DataError:
            continue  # named in the report
        k = int((sample.has_mask * (1 + sample.masks.any(axis=(1, 2)))).argmax())
        caption = f"{clips.split} {', '.join(clips.metadata(i).categories) or sample.name}"
        frame = sample.frames[k]
        tiles.append(Tile((frame, draw_mask(frame, sample.masks[k])), (caption,)))
    return tiles

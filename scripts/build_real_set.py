"""Build a set of real photographs with masks, and recordings, for ``save-avs eval --data real``.

    python -m scripts.build_real_set photographs --esc50 ESC-50
    save-avs eval save-small --data real --root photographs

``real_set.yaml`` lists photographs in packages of Debian 12, their authors and licenses, and outlines
drawn by hand. It takes 155 MB of packages (nothing is installed), and needs apt-get and dpkg-deb.
Recordings come from two of the packages, and from the last fold of your copy of ESC-50; classes without
a recording are left out. OUT/sources.csv says who made what.
"""

import argparse
import csv
import hashlib
import io
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageChops, ImageDraw, ImageOps

from save_avs._files import atomic_folder
from save_avs.errors import SaveAvsError, UsageError
from save_avs.types import Bool
from scripts.build_tuxpaint_corpus import Report, unpack_packages
from scripts.join_esc50 import write_credits

SIDE = 640  # longer side of a photograph as written
CREDITS = "sources.csv"
_FIELDS: tuple[str, ...] = ("file", "class", "package", "path", "author", "license")
_FINE = 8  # an outline is filled at so many times the picture's size, then averaged
_DATA = Path(__file__).parent

Entry = Mapping[str, Any]


def build_real_set(
    target: str | Path,
    *,
    esc50: Path | None = None,
    packages: Path | None = None,
    min_side: int = 0,
    report: Report = print,
) -> dict[str, int]:
    """Write the set into ``target``; return the number of photographs of each class.

    Args:
        target: a folder that does not exist yet.
        esc50: a folder of ESC-50's clips, under their own names.
        packages: a folder of .deb files; missing ones are downloaded.
        min_side: leave out photographs whose longer side has fewer pixels.
        report: receives one line per package.

    Raises:
        UsageError: the target exists, or no class has both a photograph and a recording.
        SaveAvsError: a package cannot be downloaded, or holds another version of a photograph.
    """
    plan = yaml.safe_load((_DATA / "real_set.yaml").read_text("utf-8"))
    names = sorted({entry["package"] for entry in (*plan["images"], *plan["sounds"])})
    with atomic_folder(Path(target)) as folder, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        roots = unpack_packages({"real": names}, Path(scratch), packages, report)
        sounds = [(entry, roots[entry["package"]] / entry["path"]) for entry in plan["sounds"]]
        sounds += _last_fold(esc50, plan["esc50"]) if esc50 else []
        audible = {entry["class"] for entry, _ in sounds}
        counts: dict[str, int] = {}
        sources = []
        for entry in plan["images"]:
            photo = _load_photo(entry, roots[entry["package"]])
            if entry["class"] in audible and max(photo.size) >= min_side:
                counts[entry["class"]] = counts.get(entry["class"], 0) + 1
                sources.append(_write_photo(entry, photo, folder))
        if not counts:
            raise UsageError("no photograph is large enough: choose a smaller --min-side")
        sources += [_write_sound(entry, path, folder) for entry, path in sounds if entry["class"] in counts]
        write_credits(folder / CREDITS, sources)
    return counts


def fill_outline(rings: list[list[float]], size: tuple[int, int]) -> Bool:
    """Fill rings [x, y, x, y, ...] by the even-odd rule, bool [H,W] of a picture of ``size`` (W, H)."""
    width, height = size
    fine = Image.new("1", (width * _FINE, height * _FINE))
    for ring in rings:
        layer = Image.new("1", fine.size)
        ImageDraw.Draw(layer).polygon([round((value + 0.5) * _FINE - 0.5) for value in ring], fill=1)
        fine = ImageChops.logical_xor(fine, layer)
    shares = np.asarray(fine).reshape(height, _FINE, width, _FINE).mean((1, 3))
    return shares >= 0.5


def _load_photo(entry: Entry, root: Path) -> Image.Image:
    """Read a photograph, upright and cropped, at most SIDE pixels a side."""
    path = root / entry["path"]
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        message = f"{entry['package']} has another {path.name}: give the package of Debian 12 in --packages"
        raise SaveAvsError(message)
    photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    if "crop" in entry:
        photo = photo.crop(tuple(entry["crop"]))
    photo.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return photo


def _write_photo(entry: Entry, photo: Image.Image, folder: Path) -> dict[str, str]:
    path = folder / "images" / entry["class"] / f"{entry['name']}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path)
    mask = fill_outline(entry["outline"], photo.size)
    Image.fromarray(mask.astype(np.uint8) * 255).save(path.with_suffix(".mask.png"))
    return _source(entry, path, folder)


def _write_sound(entry: Entry, source: Path, folder: Path) -> dict[str, str]:
    path = folder / "sounds" / entry["class"] / f"{entry['package']}-{source.name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    return _source(entry, path, folder)


def _source(entry: Entry, path: Path, folder: Path) -> dict[str, str]:
    return {"file": path.relative_to(folder).as_posix(), **{name: str(entry[name]) for name in _FIELDS[1:]}}


def _last_fold(root: Path, names: list[str]) -> list[tuple[Entry, Path]]:
    """Return the free clips of ESC-50's last fold, which no training uses, with their sources."""
    plan = yaml.safe_load((_DATA / "esc50.yaml").read_text("utf-8"))
    rows = list(csv.DictReader(io.StringIO((_DATA / "esc50_free.csv").read_text("utf-8"))))
    free = {row["clip"]: row for row in rows if row["clip"].startswith(f"{plan['held_out_fold']}-")}
    clips = {"-".join(path.stem.split("-")[:3]): path for path in sorted(root.rglob("*")) if path.is_file()}
    found: list[tuple[Entry, Path]] = []
    for name in names:
        for clip, row in free.items():
            if row["sound"] in plan["classes"][name] and clip in clips:
                entry = {"class": name, "package": "esc50", "path": clip}
                found.append(({**entry, "author": row["author"], "license": row["license"]}, clips[clip]))
    if not found:
        raise UsageError(f"{root} has no free clip of ESC-50's last fold: give the folder of its repository")
    return found


def main() -> None:
    """Build the set that the command line names."""
    parser = argparse.ArgumentParser(description="Build a set of real photographs for eval --data real.")
    parser.add_argument("target", help="folder to make")
    parser.add_argument("--esc50", type=Path, metavar="DIR", help="your copy of ESC-50")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="folder with .deb files")
    parser.add_argument("--min-side", type=int, default=0, metavar="PX", help="leave out smaller photographs")
    arguments = parser.parse_args()
    for option in ("esc50", "packages"):
        folder = getattr(arguments, option)
        if folder is not None and not folder.is_dir():
            parser.error(f"--{option} {folder}: no such folder")
    try:
        counts = build_real_set(
            arguments.target,
            esc50=arguments.esc50,
            packages=arguments.packages,
            min_side=arguments.min_side,
        )
    except SaveAvsError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{sum(counts.values())} photographs of {len(counts)} classes: {arguments.target}")


if __name__ == "__main__":
    main()

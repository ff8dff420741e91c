"""The training corpus of save-tiny, from Debian's free Tux Paint stamps, photographs and a soundfont.

``tuxpaint.yaml`` says which image belongs to which sound, and to which split.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from PIL import Image

from save_avs._extras import require
from save_avs._files import atomic_folder
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.errors import SaveAvsError, UsageError
from save_avs.synthesis.corpus import CorpusSplit, Manifest, load_cutout
from save_avs.synthesis.midi import phrases, play
from save_avs.synthesis.output_files import shrink_image, write_wav
from save_avs.types import F32
from save_avs.video.audio_reader import read_audio_file

TEST_SHARE = 0.3  # of a long recording, from its end, kept for testing
MIN_TEST_S = 0.7
MIN_SIDE = 40  # smaller stamps have no outline worth learning
PHOTO_SIDE = 1280
KINDS: tuple[str, ...] = ("silent", "promptable")  # groups of stamps without sound

Plan = Mapping[str, Any]
Report = Callable[[str], None]

_LICENSE = "stamps: GPL-2 (Tux Paint stamps, by their artists); photographs: see the Debian packages"
_PHOTOGRAPHS = {".jpg", ".jpeg", ".png"}
_TOOLS = {"dpkg-deb": "dpkg", "fluidsynth": "fluidsynth"}


def build_tuxpaint_corpus(
    target: str | Path, *, packages: str | Path | None = None, report: Report = print
) -> Path:
    """Build the corpus in ``target`` and return it.

    Args:
        target: a folder that does not exist yet.
        packages: a folder of already downloaded .deb files; missing ones are downloaded (Debian, Ubuntu).
        report: receives one line per step.

    Raises:
        UsageError: the target exists, or a required tool does not.
        SaveAvsError: a package cannot be downloaded.
    """
    require("tuxpaint", "mido")
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise UsageError(f"building the Tux Paint corpus requires {tool}: apt-get install {package}")
    plan = load_plan()
    with atomic_folder(Path(target)) as folder, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        roots = _unpack(plan["packages"], Path(scratch), Path(packages) if packages else None, report)
        _CorpusBuilder(plan, roots, folder, report).build()
    return Path(target)


def load_plan() -> Plan:
    """Read ``tuxpaint.yaml``."""
    return yaml.safe_load(resources.files("save_avs.synthesis").joinpath("tuxpaint.yaml").read_text("utf-8"))


class AssignedImage(NamedTuple):
    """A stamp, its group, and the splits it serves; None for all."""

    stamp: str
    group: str
    splits: tuple[CorpusSplit, ...] | None


def assign_images(plan: Plan, stamps: Iterable[str]) -> Iterator[AssignedImage]:
    """Assign each stamp to one group, or to none.

    Args:
        plan: ``tuxpaint.yaml``.
        stamps: all stamps of the package, in order.
    """
    classes = {**plan["classes"], **plan["zero_shot"]}
    used = set(plan["never"])
    for name, entry in classes.items():
        test = entry.get("test", [])
        used.update(entry["appearances"], test)
        splits = ("train", "val") if test else None
        yield from (AssignedImage(stamp, name, splits) for stamp in entry["appearances"])
        yield from (AssignedImage(stamp, name, ("test",)) for stamp in test)
    for stamp in stamps:
        if stamp in used or stamp.endswith("_mirror"):
            continue
        kind = next((k for k in KINDS if any(stamp.startswith(f"{f}/") for f in plan[k]["folders"])), None)
        if kind is not None:
            test_only = kind == "silent" and _one_in_five(stamp)
            yield AssignedImage(stamp, kind, ("test", "zero-shot") if test_only else ("train", "val"))


def _one_in_five(stamp: str) -> bool:
    """Whether a silent object is kept for testing; a hash of its name decides."""
    return int(hashlib.sha256(stamp.encode()).hexdigest(), 16) % 5 == 0


def _unpack(
    wanted: Mapping[str, Any], scratch: Path, packages: Path | None, report: Report
) -> dict[str, Path]:
    """Unpack each package into a folder of its own: name to folder."""
    names = [n for value in wanted.values() for n in ([value] if isinstance(value, str) else value)]
    roots = {}
    for name in names:
        report(f"unpacking {name}")
        found = sorted(packages.glob(f"{name}_*.deb")) if packages else []
        archive = found[-1] if found else _download(name, scratch)
        roots[name] = scratch / name
        subprocess.run(["dpkg-deb", "-x", str(archive), str(roots[name])], check=True)
    return roots


def _download(name: str, folder: Path) -> Path:
    call = ["apt-get", "download", name]
    try:
        result = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError(f"apt-get not found: download the package {name} and give its folder") from error
    found = sorted(folder.glob(f"{name}_*.deb"))
    if not found:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SaveAvsError(f"cannot download the Debian package {name}: {reason}")
    return found[-1]


class _CorpusBuilder:
    """Writes cutouts, sounds, backgrounds and ``corpus.json`` from unpacked packages."""

    def __init__(self, plan: Plan, roots: Mapping[str, Path], out: Path, report: Report) -> None:
        self.plan, self.out, self.report = plan, out, report
        packages = plan["packages"]
        self.stamps = roots[packages["stamps"]] / "usr/share/tuxpaint/stamps"
        self.soundfont = next(roots[packages["soundfont"]].rglob("*.sf2"))
        self.photographs = [roots[n] for n in [*packages["photographs"], packages["templates"]]]
        self.splits: dict[str, tuple[CorpusSplit, ...]] = {}
        self.test_from_s: dict[str, float] = {}

    def build(self) -> None:
        classes, zero_shot = self.plan["classes"], self.plan["zero_shot"]
        counts = self._write_cutouts()
        self.report(f"{counts['silent']} silent objects, {counts['promptable']} more for prompts")
        for name, entry in {**classes, **zero_shot}.items():
            self._write_recordings(name, entry.get("sounds", []))
            self._write_phrases(name, entry.get("notes"))
        self.report(f"{len(classes)} sounding classes, {len(zero_shot)} more for zero-shot")
        self.report(f"{self._write_backgrounds()} backgrounds")
        Manifest(
            splits=self.splits,
            test_from_s=self.test_from_s,
            zero_shot=tuple(sorted(zero_shot)),
            promptable=("promptable",),
            license=_LICENSE,
        ).save(self.out)

    def _write_cutouts(self) -> dict[str, int]:
        """Copy the stamps; return how many there are of each kind without sound."""
        found = sorted(self.stamps.rglob("*.png"))
        stamps = [path.relative_to(self.stamps).with_suffix("").as_posix() for path in found]
        counts = dict.fromkeys(KINDS, 0)
        for stamp, group, splits in assign_images(self.plan, stamps):
            source = self.stamps / f"{stamp}.png"
            if group in KINDS:
                if _shorter_side(source) < MIN_SIDE:
                    continue
                counts[group] += 1
            path = self._new_path("cutouts", group, f"{source.stem}.png")
            Image.fromarray(load_cutout(source)).save(path)
            self._assign(path, splits)
        return counts

    def _write_recordings(self, name: str, stamps: list[str]) -> None:
        for stamp in stamps:
            waveform = read_audio_file(self.stamps / f"{stamp}.ogg", sample_rate=SAMPLE_RATE)
            path = self._write_sound(name, Path(stamp).name, waveform)
            seconds = len(waveform) / SAMPLE_RATE
            if name not in self.plan["zero_shot"] and seconds * TEST_SHARE >= MIN_TEST_S:
                self.test_from_s[self._name(path)] = round(seconds * (1 - TEST_SHARE), 3)

    def _write_phrases(self, name: str, notes: Mapping[str, Any] | None) -> None:
        for i, phrase in enumerate(phrases(notes) if notes else ()):
            path = self._write_sound(name, f"note-{i:02d}", play(phrase, self.soundfont))
            if name not in self.plan["zero_shot"]:
                self._assign(path, ("test",) if i % 4 == 3 else ("train", "val"))

    def _write_sound(self, name: str, stem: str, waveform: F32) -> Path:
        path = self._new_path("sounds", name, f"{stem}.wav")
        write_wav(path, waveform)
        return path

    def _write_backgrounds(self) -> int:
        """Copy the photographs, the first of each name; return how many."""
        paths = [path for root in self.photographs for path in sorted(root.rglob("*")) if path.is_file()]
        images = {f"/{p.with_suffix('').as_posix()}": p for p in paths if p.suffix.lower() in _PHOTOGRAPHS}
        count = 0
        for split, names in self.plan["backgrounds"].items():
            for name in names:
                source = next((p for stem, p in images.items() if stem.endswith(f"/{name}")), None)
                if source is None:
                    continue
                path = self._new_path("backgrounds", f"{name.replace('/', '-')}.jpg")
                shrink_image(source, path, PHOTO_SIDE, quality=90)
                self._assign(path, ("test", "zero-shot") if split == "test" else (split,))
                count += 1
        return count

    def _new_path(self, *parts: str) -> Path:
        path = self.out.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _name(self, path: Path) -> str:
        return path.relative_to(self.out).as_posix()

    def _assign(self, path: Path, splits: tuple[CorpusSplit, ...] | None) -> None:
        if splits is not None:
            self.splits[self._name(path)] = splits


def _shorter_side(path: Path) -> int:
    with Image.open(path) as image:
        return min(image.size)

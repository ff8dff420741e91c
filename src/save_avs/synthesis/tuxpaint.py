"""``save-avs data tuxpaint``: the first corpus, from Debian's free stamps, photographs and a soundfont.

Which picture belongs to which sound, and to which split, is written down in ``stamps.yaml``.
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
from save_avs.errors import SaveAvsError, UsageError
from save_avs.synthesis.corpus import RATE, CorpusSplit, Manifest, load_cutout
from save_avs.synthesis.corpus_io import new_folder, shrink_image, write_wav
from save_avs.synthesis.midi import phrases, play
from save_avs.types import F32
from save_avs.video.audio_reader import read_audio_file

HELD_SHARE = 0.3  # of a long recording, from its end, kept for testing
MIN_HELD_S = 0.7
MIN_SIDE = 40  # smaller stamps have no outline worth learning
PHOTO_SIDE = 1280
KINDS: tuple[str, ...] = ("silent", "promptable")  # groups of stamps that have no sound

Plan = Mapping[str, Any]
Report = Callable[[str], None]

_LICENCE = "stamps: GPL-2 (Tux Paint stamps, by their artists); photographs: see the Debian packages"
_PHOTOGRAPHS = {".jpg", ".jpeg", ".png"}
_TOOLS = {"dpkg-deb": "dpkg", "fluidsynth": "fluidsynth"}


def build_tuxpaint_corpus(
    target: str | Path, *, packages: str | Path | None = None, report: Report = print
) -> Path:
    """Build the corpus in ``target``; returns it.

    Args:
        target: a folder that does not exist yet.
        packages: a folder of already downloaded .deb files; those it lacks are downloaded (Debian, Ubuntu).
        report: receives one line a step.

    Raises:
        UsageError: when the target exists, or a tool that this needs does not.
        SaveAvsError: when a package cannot be had.
    """
    require("tuxpaint", "mido")
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise UsageError(f"building the stamps corpus needs {tool}: apt-get install {package}")
    plan = load_plan()
    with new_folder(target) as built, tempfile.TemporaryDirectory(dir=built.parent) as scratch:
        roots = _unpack(plan["packages"], Path(scratch), Path(packages) if packages else None, report)
        _Builder(plan, roots, built, report).build()
    return Path(target)


def load_plan() -> Plan:
    """Read ``stamps.yaml``."""
    return yaml.safe_load(resources.files("save_avs.datasets").joinpath("stamps.yaml").read_text("utf-8"))


class Assigned(NamedTuple):
    """A stamp, the group it serves as a cutout, and the splits it serves; None for all."""

    stamp: str
    group: str
    splits: tuple[CorpusSplit, ...] | None


def assign_images(plan: Plan, stamps: Iterable[str]) -> Iterator[Assigned]:
    """Share the stamps out among the groups: each serves one, or none.

    Args:
        plan: ``stamps.yaml``.
        stamps: every stamp of the package, in order.
    """
    every = {**plan["classes"], **plan["zero_shot"]}
    for name, entry in every.items():
        held = entry.get("test", [])
        yield from (Assigned(look, name, ("train", "val") if held else None) for look in entry["looks"])
        yield from (Assigned(look, name, ("test",)) for look in held)
    used = {look for entry in every.values() for look in [*entry["looks"], *entry.get("test", [])]}
    free = [s for s in stamps if s not in used | set(plan["never"]) and not s.endswith("_mirror")]
    for stamp in free:
        kind = next((k for k in KINDS if _lies_in(stamp, plan[k]["folders"])), None)
        if kind is not None:
            held = kind == "silent" and _one_in_five(stamp)
            yield Assigned(stamp, kind, ("test", "zero-shot") if held else ("train", "val"))


def _lies_in(stamp: str, folders: list[str]) -> bool:
    return any(stamp.startswith(f"{folder}/") for folder in folders)


def _one_in_five(stamp: str) -> bool:
    """Whether a silent thing is kept for testing: a fair draw that each stamp's name decides."""
    return int(hashlib.sha256(stamp.encode()).hexdigest(), 16) % 5 == 0


def _unpack(
    wanted: Mapping[str, Any], scratch: Path, packages: Path | None, report: Report
) -> dict[str, Path]:
    """Unpack each wanted package into a folder of its own: name to folder."""
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
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError(f"no apt-get here: download the package {name} and name its folder") from error
    found = sorted(folder.glob(f"{name}_*.deb"))
    if not found:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SaveAvsError(f"cannot download the Debian package {name}: {reason}")
    return found[-1]


class _Builder:
    """Writes cutouts, sounds, backgrounds and ``corpus.json`` from unpacked packages."""

    def __init__(self, plan: Plan, roots: Mapping[str, Path], out: Path, report: Report) -> None:
        self.plan, self.out, self.report = plan, out, report
        wanted = plan["packages"]
        self.stamps = roots[wanted["stamps"]] / "usr/share/tuxpaint/stamps"
        self.soundfont = next(roots[wanted["soundfont"]].rglob("*.sf2"))
        self.photographs = [roots[n] for n in [*wanted["photographs"], wanted["templates"]]]
        self.splits: dict[str, tuple[CorpusSplit, ...]] = {}
        self.test_from_s: dict[str, float] = {}

    def build(self) -> None:
        counts = self._cutouts()
        self.report(f"{counts['silent']} silent things, {counts['promptable']} more to prompt for")
        for name, entry in {**self.plan["classes"], **self.plan["zero_shot"]}.items():
            self._recordings(name, entry.get("sounds", []))
            self._phrases(name, entry.get("notes"))
        self.report(
            f"{len(self.plan['classes'])} classes that sound, {len(self.plan['zero_shot'])} more unseen"
        )
        self.report(f"{self._backgrounds()} backgrounds")
        Manifest(
            splits=self.splits,
            test_from_s=self.test_from_s,
            zero_shot=tuple(sorted(self.plan["zero_shot"])),
            promptable=("promptable",),
            license=_LICENCE,
        ).save(self.out)

    def _cutouts(self) -> dict[str, int]:
        """Copy the stamps; returns how many of each kind without sound."""
        found = sorted(self.stamps.rglob("*.png"))
        stamps = [path.relative_to(self.stamps).with_suffix("").as_posix() for path in found]
        counts = dict.fromkeys(KINDS, 0)
        for stamp, group, splits in assign_images(self.plan, stamps):
            source = self.stamps / f"{stamp}.png"
            if group in KINDS:
                if _shorter_side(source) < MIN_SIDE:
                    continue
                counts[group] += 1
            path = self._new("cutouts", group, f"{source.stem}.png")
            Image.fromarray(load_cutout(source)).save(path)
            self._serve(path, splits)
        return counts

    def _recordings(self, name: str, stamps: list[str]) -> None:
        for stamp in stamps:
            waveform = read_audio_file(self.stamps / f"{stamp}.ogg", sample_rate=RATE)
            path = self._write_sound(name, Path(stamp).name, waveform)
            seconds = len(waveform) / RATE
            if name not in self.plan["zero_shot"] and seconds * HELD_SHARE >= MIN_HELD_S:
                self.test_from_s[self._name(path)] = round(seconds * (1 - HELD_SHARE), 3)

    def _phrases(self, name: str, notes: Mapping[str, Any] | None) -> None:
        for i, phrase in enumerate(phrases(notes) if notes else ()):
            path = self._write_sound(name, f"note-{i:02d}", play(phrase, self.soundfont))
            if name not in self.plan["zero_shot"]:
                self._serve(path, ("test",) if i % 4 == 3 else ("train", "val"))

    def _write_sound(self, name: str, stem: str, waveform: F32) -> Path:
        path = self._new("sounds", name, f"{stem}.wav")
        write_wav(path, waveform)
        return path

    def _backgrounds(self) -> int:
        """Copy the photographs, the first of each name; returns how many."""
        paths = [path for root in self.photographs for path in sorted(root.rglob("*")) if path.is_file()]
        pictures = {f"/{p.with_suffix('').as_posix()}": p for p in paths if p.suffix.lower() in _PHOTOGRAPHS}
        count = 0
        for split, names in self.plan["backgrounds"].items():
            for name in names:
                source = next((p for stem, p in pictures.items() if stem.endswith(f"/{name}")), None)
                if source is None:
                    continue
                path = self._new("backgrounds", f"{name.replace('/', '-')}.jpg")
                shrink_image(source, path, PHOTO_SIDE, quality=90)
                self._serve(path, ("test", "zero-shot") if split == "test" else (split,))
                count += 1
        return count

    def _new(self, *parts: str) -> Path:
        path = self.out.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _name(self, path: Path) -> str:
        return path.relative_to(self.out).as_posix()

    def _serve(self, path: Path, splits: tuple[CorpusSplit, ...] | None) -> None:
        if splits is not None:
            self.splits[self._name(path)] = splits


def _shorter_side(path: Path) -> int:
    with Image.open(path) as picture:
        return min(picture.size)

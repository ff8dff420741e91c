"""``save-avs data stamps``: the first corpus, from Debian's free stamps, photographs and a soundfont.

Which picture belongs to which sound, and to which split, is written down in ``stamps.yaml``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
import wave as wavfile
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from save_avs.data.corpus import RATE, load_cutout
from save_avs.errors import SaveAvsError, UsageError
from save_avs.media.audio_file import read_audio_file
from save_avs.types import F32

HELD_SHARE = 0.3  # of a long recording, from its end, kept for testing
MIN_HELD_S = 0.7
NOTE_S = 1.6
MIN_SIDE = 40  # smaller stamps have no outline worth learning

Report = Callable[[str], None]


def build_stamps(target: str | Path, *, packages: str | Path | None = None, report: Report = print) -> Path:
    """Build the corpus in ``target``; returns it.

    Args:
        target: a folder that does not exist yet.
        packages: a folder of already downloaded .deb files; without it they are downloaded (Debian, Ubuntu).
        report: receives one line a step.

    Raises:
        UsageError: when the target exists, or a tool that this needs does not.
        SaveAvsError: when a package cannot be had.
    """
    target = Path(target)
    if target.exists():
        raise UsageError(f"{target} exists already; remove it or name another folder")
    for tool, package in (("dpkg-deb", "dpkg"), ("fluidsynth", "fluidsynth")):
        if shutil.which(tool) is None:
            raise UsageError(f"building the stamps corpus needs {tool}: apt-get install {package}")
    plan = yaml.safe_load(resources.files("save_avs.data").joinpath("stamps.yaml").read_text())
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        roots = _unpack(plan["packages"], Path(scratch), Path(packages) if packages else None, report)
        built = Path(scratch) / "corpus"
        _Builder(plan, roots, built, report).build()
        built.rename(target)
    return target


def _unpack(wanted: dict[str, Any], scratch: Path, packages: Path | None, report: Report) -> dict[str, Path]:
    names = [n for value in wanted.values() for n in ([value] if isinstance(value, str) else value)]
    roots = {}
    for name in names:
        report(f"unpacking {name}")
        found = sorted((packages or scratch).glob(f"{name}_*.deb"))
        if not found:
            call = ["apt-get", "download", name]
            done = subprocess.run(call, cwd=scratch, capture_output=True, text=True, check=False)
            found = sorted(scratch.glob(f"{name}_*.deb"))
            if not found:
                reason = (done.stderr or "").strip().splitlines()[-1:] or ["no reason given"]
                raise SaveAvsError(f"cannot download the Debian package {name}: {reason[0]}")
        roots[name] = scratch / name
        subprocess.run(["dpkg-deb", "-x", str(found[-1]), str(roots[name])], check=True)
    return roots


class _Builder:
    """Writes cutouts, sounds, backgrounds and ``corpus.json`` from unpacked packages."""

    def __init__(self, plan: dict[str, Any], roots: dict[str, Path], out: Path, report: Report) -> None:
        self.plan, self.out, self.report = plan, out, report
        wanted = plan["packages"]
        self.stamps = roots[wanted["stamps"]] / "usr/share/tuxpaint/stamps"
        self.soundfont = next(roots[wanted["soundfont"]].rglob("*.sf2"))
        self.photo_roots = [roots[n] for n in [*wanted["photographs"], wanted["templates"]]]
        self.splits: dict[str, list[str]] = {}
        self.held_from: dict[str, float] = {}

    def build(self) -> None:
        every = {**self.plan["classes"], **self.plan["zero_shot"]}
        for name, entry in every.items():
            self._looks(name, entry)
            self._sounds(name, entry)
        self.report(f"{len(every)} classes that sound")
        promptable = [self._kind("silent", silent=True), self._kind("promptable", silent=False)]
        self.report(f"{promptable[0]} silent things, {promptable[1]} more to prompt for")
        self.report(f"{sum(1 for _ in self._backgrounds())} backgrounds")
        facts = {
            "splits": self.splits,
            "held_from": self.held_from,
            "zero_shot": sorted(self.plan["zero_shot"]),
            "promptable": ["promptable"],
            "licence": "stamps: GPL-2 (Tux Paint stamps, by their artists); photographs: see the Debian packages",
        }
        (self.out / "corpus.json").write_text(json.dumps(facts, indent=1))

    def _looks(self, name: str, entry: dict[str, Any]) -> None:
        for look in entry["looks"]:
            self._cutout(look, name, ["train", "val"] if entry.get("test") else None)
        for look in entry.get("test", []):
            self._cutout(look, name, ["test"])

    def _cutout(self, stamp: str, group: str, splits: list[str] | None) -> None:
        picture = Image.fromarray(load_cutout(self.stamps / f"{stamp}.png"))
        path = self.out / "cutouts" / group / f"{Path(stamp).name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
        if splits:
            self.splits[str(path.relative_to(self.out))] = splits

    def _kind(self, group: str, *, silent: bool) -> int:
        """Copy the stamps of a kind that no class uses; one silent thing in five is kept for testing."""
        taken = 0
        for stamp in self._unused(self.plan[group]["folders"]):
            with Image.open(self.stamps / f"{stamp}.png") as picture:
                if min(picture.size) < MIN_SIDE:
                    continue
            held = silent and int(hashlib.sha256(stamp.encode()).hexdigest(), 16) % 5 == 0
            splits = (["test", "zero-shot"] if held else ["train", "val"]) if silent else ["train", "val"]
            self._cutout(stamp, group, splits)
            taken += 1
        return taken

    def _unused(self, folders: list[str]) -> Iterator[str]:
        every = [*self.plan["classes"].values(), *self.plan["zero_shot"].values()]
        used = {look for entry in every for look in [*entry["looks"], *entry.get("test", [])]}
        used |= set(self.plan["never"])
        for path in sorted(self.stamps.rglob("*.png")):
            stamp = str(path.relative_to(self.stamps).with_suffix(""))
            mirrored = stamp.endswith("_mirror")
            if stamp not in used and not mirrored and any(stamp.startswith(f"{f}/") for f in folders):
                self.plan["never"].append(stamp)  # a stamp serves one group only
                yield stamp

    def _sounds(self, name: str, entry: dict[str, Any]) -> None:
        for stamp in entry.get("sounds", []):
            wave = read_audio_file(self.stamps / f"{stamp}.ogg", rate=RATE)
            path = self._write_sound(name, Path(stamp).name, wave)
            if len(wave) / RATE * HELD_SHARE >= MIN_HELD_S and name not in self.plan["zero_shot"]:
                self.held_from[path] = round(len(wave) / RATE * (1 - HELD_SHARE), 3)
        for i, events in enumerate(_phrases(entry.get("notes"))):
            path = self._write_sound(name, f"note-{i:02d}", self._play(events))
            if name not in self.plan["zero_shot"]:
                self.splits[path] = ["test"] if i % 4 == 3 else ["train", "val"]

    def _write_sound(self, name: str, stem: str, wave: F32) -> str:
        path = self.out / "sounds" / name / f"{stem}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wavfile.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes())
        return str(path.relative_to(self.out))

    def _play(self, events: list[Event]) -> F32:
        with tempfile.TemporaryDirectory() as folder:
            score, sound = Path(folder) / "notes.mid", Path(folder) / "notes.wav"
            write_midi(score, events)
            call = ["fluidsynth", "-ni", "-g", "0.8", "-r", "44100", "-F", str(sound), str(self.soundfont), str(score)]
            subprocess.run(call, capture_output=True, check=True)
            wave = read_audio_file(sound, rate=RATE)
        return wave[: int((events[-1][0] + NOTE_S) * RATE)]

    def _backgrounds(self) -> Iterator[Path]:
        wanted = {name: split for split, names in self.plan["backgrounds"].items() for name in names}
        for root in self.photo_roots:
            for path in sorted(root.rglob("*")):
                if path.suffix.lower() not in {".jpg", ".jpeg", ".png"} or path.stem not in wanted or not path.is_file():
                    continue
                split = wanted.pop(path.stem)
                out = self.out / "backgrounds" / f"{path.stem}.jpg"
                out.parent.mkdir(parents=True, exist_ok=True)
                with Image.open(path) as image:
                    image.draft("RGB", (1280, 1280))
                    rgb = image.convert("RGB")
                rgb.thumbnail((1280, 1280), Image.Resampling.LANCZOS)
                rgb.save(out, quality=90)
                self.splits[str(out.relative_to(self.out))] = ["test", "zero-shot"] if split == "test" else [split]
                yield out


Event = tuple[float, int, int, int]  # start in seconds, MIDI channel, program, key


def _phrases(notes: dict[str, Any] | None) -> Iterable[list[Event]]:
    """Short phrases of an instrument, spread over its range, the same at every build."""
    if notes is None:
        return
    if "pattern" in notes:
        for i in range(8):
            step = 0.14 + 0.02 * i
            yield [(k * step, 9, 0, key) for k, key in enumerate(np.roll(notes["pattern"], i).tolist())]
    elif "drums" in notes:
        for i in range(8):
            keys = np.roll(notes["drums"], i).tolist()
            yield [(k * (0.2 + 0.03 * i), 9, 0, key) for k, key in enumerate(keys)]
    else:
        low, high = notes["keys"]
        for i, key in enumerate(np.linspace(low, high, 16).round().astype(int).tolist()):
            second = key + (4, 7, -5, 12)[i % 4]
            yield [(0.0, 0, notes["program"], key), (0.7, 0, notes["program"], min(max(second, low), high))]


def write_midi(path: Path, events: list[Event]) -> None:
    """Write notes as a standard MIDI file (format 0, 480 ticks a quarter at 120 a minute: 960 ticks a second)."""
    import mido

    timed: list[tuple[float, mido.Message]] = []
    for start, channel, program, key in events:
        timed.append((start, mido.Message("program_change", channel=channel, program=program)))
        timed.append((start, mido.Message("note_on", channel=channel, note=key, velocity=100)))
        timed.append((start + 0.9, mido.Message("note_off", channel=channel, note=key)))
    track, now = mido.MidiTrack(), 0
    for seconds, message in sorted(timed, key=lambda pair: pair[0]):
        tick = round(seconds * 960)
        track.append(message.copy(time=tick - now))
        now = tick
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(str(path))

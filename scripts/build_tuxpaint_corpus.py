"""Build the training corpus of save-tiny, from Debian's free Tux Paint stamps, photographs and a soundfont.

    python scripts/build_tuxpaint_corpus.py corpora/tuxpaint
    python scripts/build_tuxpaint_corpus.py corpora/tuxpaint --packages ~/debs

``tuxpaint.yaml`` says which packages are used, and which image belongs to which sound and to which split. It
takes 430 MB of Debian packages (nothing is installed), and needs dpkg-deb, fluidsynth and the Python package
mido (``pip install --group corpus``).
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image

from save_avs._files import atomic_folder
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.errors import SaveAvsError, UsageError
from save_avs.synthesis.corpus import CorpusSplit, Manifest, load_cutout
from save_avs.synthesis.output_files import shrink_image, write_wav
from save_avs.types import F32
from save_avs.video.audio_reader import load_audio

DEFAULT_TARGET = "corpora/tuxpaint"
TEST_SHARE = 0.3  # of a long recording, from its end, kept for testing
MIN_TEST_S = 0.7
MIN_SIDE = 40  # smaller stamps have no outline worth learning
PHOTO_SIDE = 1280
KINDS: tuple[str, ...] = ("silent", "promptable")  # groups of stamps without sound

TAIL_S = 1.6  # kept after the start of the last note
_LENGTH_S = 0.9
_TICKS = 960  # per second: 480 per quarter note at 120 quarter notes per minute
_DRUMS = 9  # General MIDI's channel of percussion
_PHRASES, _DRUM_PHRASES = 16, 8
_SECOND_NOTE = (4, 7, -5, 12)  # semitones from the first

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
    if find_spec("mido") is None:
        raise UsageError("building the Tux Paint corpus requires mido: pip install --group corpus")
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise UsageError(f"building the Tux Paint corpus requires {tool}: apt-get install {package}")
    plan = load_plan()
    with atomic_folder(Path(target)) as folder, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        roots = unpack_packages(plan["packages"], Path(scratch), Path(packages) if packages else None, report)
        _CorpusBuilder(plan, roots, folder, report).build()
    return Path(target)


def load_plan() -> Plan:
    """Read ``tuxpaint.yaml``."""
    return yaml.safe_load(Path(__file__).with_name("tuxpaint.yaml").read_text("utf-8"))


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


def unpack_packages(
    wanted: Mapping[str, Any], scratch: Path, packages: Path | None, report: Report
) -> dict[str, Path]:
    """Unpack each package into a folder of its own in ``scratch``: name to folder.

    Args:
        wanted: its values are names of Debian packages, or lists of them.
        scratch: a folder that exists.
        packages: a folder of .deb files; what it lacks is downloaded.
        report: receives one line per package.

    Raises:
        SaveAvsError: a package cannot be downloaded.
    """
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
            waveform = load_audio(self.stamps / f"{stamp}.ogg", sample_rate=SAMPLE_RATE)
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


class Note(NamedTuple):
    """One note: start in seconds, MIDI channel, program and key."""

    start: float
    channel: int
    program: int
    key: int


def phrases(notes: Mapping[str, Any]) -> Iterator[list[Note]]:
    """Yield phrases of an instrument, spread over its range, the same every time.

    Args:
        notes: ``{program, keys: [lowest, highest]}`` of a melody instrument; or ``{drums: [key, ...]}``,
            struck one after another; or ``{pattern: [key, ...]}``, the same faster.
    """
    if "program" in notes:
        yield from _melodies(notes["program"], *notes["keys"])
    elif "pattern" in notes:
        yield from _beats(notes["pattern"], fastest=0.14, growth=0.02)
    else:
        yield from _beats(notes["drums"], fastest=0.2, growth=0.03)


def _melodies(program: int, low: int, high: int) -> Iterator[list[Note]]:
    for i, key in enumerate(np.linspace(low, high, _PHRASES).round().astype(int).tolist()):
        second = min(max(key + _SECOND_NOTE[i % len(_SECOND_NOTE)], low), high)
        yield [Note(0.0, 0, program, key), Note(0.7, 0, program, second)]


def _beats(keys: list[int], *, fastest: float, growth: float) -> Iterator[list[Note]]:
    for i in range(_DRUM_PHRASES):
        step = fastest + growth * i
        yield [Note(k * step, _DRUMS, 0, key) for k, key in enumerate(np.roll(keys, i).tolist())]


def play(notes: list[Note], soundfont: Path) -> F32:
    """Play a phrase at 16 kHz, f32 [S], until 1.6 s after the start of its last note.

    Raises:
        SaveAvsError: FluidSynth fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        midi, audio = Path(folder) / "notes.mid", Path(folder) / "notes.wav"
        write_midi(midi, notes)
        options = ["-ni", "-g", "0.8", "-r", "44100", "-F", str(audio)]
        call = ["fluidsynth", *options, str(soundfont), str(midi)]
        result = subprocess.run(call, capture_output=True, text=True, check=False)
        if result.returncode:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SaveAvsError(f"FluidSynth failed on {soundfont.name}: {reason}")
        waveform = load_audio(audio, sample_rate=SAMPLE_RATE)
    return waveform[: int((notes[-1].start + TAIL_S) * SAMPLE_RATE)]


def write_midi(path: Path, notes: list[Note]) -> None:
    """Write notes as a standard MIDI file, format 0, at 960 ticks per second."""
    import mido

    timed: list[tuple[float, Any]] = [(0.0, None)]
    for start, channel, program, key in notes:
        timed.append((start, mido.Message("program_change", channel=channel, program=program)))
        timed.append((start, mido.Message("note_on", channel=channel, note=key, velocity=100)))
        timed.append((start + _LENGTH_S, mido.Message("note_off", channel=channel, note=key)))
    timed.sort(key=lambda pair: pair[0])
    ticks = [round(seconds * _TICKS) for seconds, _ in timed]
    track = mido.MidiTrack(
        message.copy(time=now - before)
        for (before, now), (_, message) in zip(pairwise(ticks), timed[1:], strict=True)
    )
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(str(path))


def main() -> None:
    """Build the corpus that the command line names."""
    parser = argparse.ArgumentParser(description="Build the training corpus of save-tiny.")
    parser.add_argument("target", nargs="?", default=DEFAULT_TARGET, help="folder to make")
    parser.add_argument("--packages", type=Path, help="folder with .deb files; missing ones are downloaded")
    arguments = parser.parse_args()
    if arguments.packages is not None and not arguments.packages.is_dir():
        parser.error(f"--packages {arguments.packages}: no such folder")
    try:
        print(f"corpus: {build_tuxpaint_corpus(arguments.target, packages=arguments.packages)}")
    except SaveAvsError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

"""Make the bundled corpus, a part of Tux Paint's stamps, and the sample clip composed from it.

    python scripts/build_tuxpaint_corpus.py corpora/tuxpaint
    python scripts/make_sample.py corpora/tuxpaint

Writes scenes/ and sample.mp4 into packages/save-avs-models/; LICENCE.md and GPL-2.txt in scenes/ are kept.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image

from save_avs._extras import models_folder
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.synthesis.background import Background
from save_avs.synthesis.corpus import Corpus, Manifest
from save_avs.synthesis.output_files import shrink_image
from save_avs.synthesis.scene import AudioSource, Scene, SceneObject, random_noise
from save_avs.synthesis.video_export import write_scene_video
from save_avs.types import F32
from save_avs.video.audio_reader import load_audio

BUNDLED = models_folder()
CLASSES = ("dog", "duck", "elephant", "fire engine", "horse", "owl", "rooster", "trumpet", "violin")
NOTES = ("note-03", "note-06", "note-09", "note-12")  # of each instrument; the first is for testing
SILENT = (
    "banana",
    "soccer",
    "double_decker_bus",
    "teapot",
    "pineapple",
    "sombrero",
)  # three for test, three for training
BACKGROUNDS = (
    "seeding_by_Clements_Engelhardt",
    "aitzgorri_by_Aitzol_Berasategi",
    "picosdeeuropa_by_Aitzol_Berasategi",
    "Dune",  # training
    "Storm",  # validation
)
BACKGROUND_SIDE, QUALITY = 640, 85
LICENCE = "see LICENCE.md"

SECONDS = 8.0
TURNS = {"rooster": ((0.6, 2.6), (5.4, 7.2)), "elephant": ((3.0, 5.0), (5.4, 7.2))}


def make_scenes(source: Path, target: Path) -> None:
    """Copy a part of the corpus, with smaller backgrounds, and sounds as FLAC."""
    for kind in ("cutouts", "sounds", "backgrounds"):
        shutil.rmtree(target / kind, ignore_errors=True)
    renamed = {}
    for file in sorted(files_to_copy(source)):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".wav":
            copy = copy.with_suffix(".flac")
            write_flac(copy, load_audio(file, sample_rate=SAMPLE_RATE))
        elif file.parent.name == "backgrounds":
            shrink_image(file, copy, BACKGROUND_SIDE, quality=QUALITY)
        else:
            shutil.copyfile(file, copy)
        renamed[file.relative_to(source).as_posix()] = copy.relative_to(target).as_posix()
    manifest = Manifest.load(source)
    Manifest(
        splits={renamed[f]: s for f, s in sorted(manifest.splits.items()) if f in renamed},
        test_from_s={renamed[f]: s for f, s in sorted(manifest.test_from_s.items()) if f in renamed},
        zero_shot=tuple(name for name in manifest.zero_shot if name in CLASSES),
        license=LICENCE,
    ).save(target)


def files_to_copy(source: Path) -> list[Path]:
    """List the files that are bundled."""
    cutouts = [p for name in CLASSES for p in (source / "cutouts" / name).glob("*.png")]
    sounds = [p for name in CLASSES for p in (source / "sounds" / name).glob("*.wav")]
    sounds = [p for p in sounds if not p.stem.startswith("note-") or p.stem in NOTES]
    silent = [source / "cutouts" / "silent" / f"{name}.png" for name in SILENT]
    backgrounds = [source / "backgrounds" / f"{name}.jpg" for name in BACKGROUNDS]
    return [*cutouts, *sounds, *silent, *backgrounds]


def write_flac(path: Path, waveform: F32) -> None:
    """Write a mono waveform at 16 kHz losslessly; the same waveform gives the same bytes."""
    with av.open(str(path), "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        samples = np.round(waveform * 32768).clip(-32768, 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sample_scene(corpus: Corpus, photograph: Path) -> Scene:
    """Compose a scene: rooster, then elephant, then both, then silence, and a bus that is always silent."""
    cutouts = {cutout.name: cutout for group in corpus.cutouts.values() for cutout in group}
    objects = (
        SceneObject(cutouts["double_decker_bus"], (0.55, 0.7), 0.42),
        SceneObject(cutouts["elephant"], (0.22, 0.6), 0.66, velocity=(0.012, 0.0)),
        SceneObject(cutouts["rooster"], (0.84, 0.62), 0.52, velocity=(-0.012, 0.004)),
    )
    audio_sources = [
        AudioSource(name, corpus.sounds[name][0], span, gain=1.5, gap=0.1)
        for name, spans in TURNS.items()
        for span in spans
    ]
    hum = random_noise(np.random.default_rng(0), (0.0, SECONDS))
    with Image.open(photograph) as image:
        pixels = np.asarray(image.convert("RGB"))
    background = Background(pixels, (0.45, 0.2, 1.0, 0.75), False, (1.1, 1.1, 1.1))
    return Scene(background, objects, (*audio_sources, hum), SECONDS, segments=(1.6, 4.0, 6.3))


def main(source: Path) -> None:
    """Make both, and print their sizes."""
    make_scenes(source, BUNDLED / "scenes")
    clip = BUNDLED / "sample.mp4"
    photograph = source / "backgrounds" / f"{BACKGROUNDS[0]}.jpg"
    write_scene_video(sample_scene(Corpus.load(BUNDLED / "scenes", "test"), photograph), clip)
    size = sum(p.stat().st_size for p in (BUNDLED / "scenes").rglob("*") if p.is_file())
    print(f"{BUNDLED / 'scenes'}: {size / 1e6:.2f} MB; {clip}: {clip.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Scene plans, and drawing one at random from a corpus.

A scene is a plan in relative units, so that it can be rendered at any size: objects on a background, and
audio sources, each with the time span in which it sounds. ``render.py`` makes its frames and its audio.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.synthesis.background import Background, random_background, random_tint
from save_avs.synthesis.capture import Camera, random_camera, reverberate
from save_avs.synthesis.corpus import Corpus, Cutout
from save_avs.synthesis.lighting import Lighting, random_lighting
from save_avs.types import F32

NOISE_LOOP_S = 2.048  # length of the noise that is looped under a scene
NOISES = 48


@dataclass(frozen=True)
class SceneOptions:
    """How scenes are drawn."""

    num_objects: tuple[int, int] = (1, 4)  # fewest and most objects in view
    # smallest and largest longer side of a lone object, as a fraction of the frame's shorter side. The more
    # objects, the smaller each. Above 1 a scene looks like a crop of a larger one.
    object_size: tuple[float, float] = (0.3, 0.85)
    # probabilities that none, one or two of the classes in view sound in a segment
    source_count_probs: tuple[float, float, float] = (0.12, 0.5, 0.38)
    # probability that a segment without a source has the sound of a class out of view; otherwise it has only
    # noise
    off_screen_prob: float = 0.6
    # probability that an object, except for the first, is of a kind that never sounds
    silent_object_prob: float = 0.35
    motion: bool = False  # whether objects may move
    # wide ranges of tint, stretch, loudness and pitch, for training; otherwise narrow ones
    augment: bool = True
    texture_prob: float = 0.2  # probability of a procedural background instead of a photograph
    patchwork_prob: float = 0.0  # probability that patches of other backgrounds cover parts of the background
    camera_prob: float = 0.0  # probability that the frame is seen through a random camera
    # probability that objects take on the background's light and cast shadows
    lighting_prob: float = 0.0
    room_prob: float = 0.0  # probability that a sounding object is heard in a random room
    # probability that a class out of view is heard faintly beneath, which is nobody's sound
    beneath_prob: float = 0.0


@dataclass(frozen=True)
class SceneObject:
    """A cutout in its place."""

    cutout: Cutout  # its appearance
    center: tuple[float, float]  # (x, y) at time 0, as fractions of the frame's width and height
    size: float  # longer side as a fraction of the frame's shorter side
    aspect: float = 1.0  # stretch of the width
    angle: float = 0.0  # degrees, counterclockwise
    flip: bool = False  # mirrored left to right
    # (x, y) in fractions per second; objects turn back at the edges
    velocity: tuple[float, float] = (0.0, 0.0)
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)  # per-channel brightness

    def position_at(self, time: float) -> tuple[float, float]:
        """Return the center at a time in seconds; it turns back 0.15 from the edges, or where it started."""
        x, y = (_bounce(c, v * time) for c, v in zip(self.center, self.velocity, strict=True))
        return x, y


def _bounce(start: float, distance: float) -> float:
    low, high = min(start, 0.15), max(start, 0.85)
    position = start + distance
    if low <= position <= high:
        return position
    phase = (position - low) % (2 * (high - low))
    return low + min(phase, 2 * (high - low) - phase)


@dataclass(frozen=True)
class AudioSource:
    """A sound that loops from ``span[0]`` to ``span[1]`` seconds."""

    name: str | None  # its class; None for noise
    waveform: F32  # f32 [S] at 16 kHz
    span: tuple[float, float]  # start and end in seconds
    gain: float = 1.0  # factor on the waveform
    speed: float = 1.0  # playback rate, which shifts the pitch
    offset: float = 0.0  # where in the loop it starts, in seconds
    gap: float = 0.0  # pause between repetitions in seconds

    def active_at(self, time: float) -> bool:
        """Whether the span contains this time."""
        return self.span[0] <= time < self.span[1]


@dataclass(frozen=True)
class Scene:
    """Objects on a background, back to front, and audio sources."""

    background: Background
    objects: tuple[SceneObject, ...]
    audio_sources: tuple[AudioSource, ...]
    duration: float  # seconds
    # center times of the segments, within which the sounding objects do not change
    segments: tuple[float, ...]
    blur: float = 0.0  # radius of a final blur, as a fraction of the shorter side
    camera: Camera | None = None  # what is done to the frame after that
    lighting: Lighting | None = None  # None: objects keep their colors and cast no shadows

    def sounding_at(self, time: float) -> tuple[int, ...]:
        """Return the indices of the objects that sound at a time."""
        active = {source.name for source in self.audio_sources if source.active_at(time)}
        return tuple(i for i, item in enumerate(self.objects) if item.cutout.group in active)

    def silent_classes(self) -> tuple[str, ...]:
        """Return the groups in view that never sound in this scene."""
        names = {source.name for source in self.audio_sources}
        return tuple(item.cutout.group for item in self.objects if item.cutout.group not in names)


def random_scene(
    rng: np.random.Generator,
    corpus: Corpus,
    options: SceneOptions,
    *,
    segments: int = 1,
    segment_s: float = 1.2,
) -> Scene:
    """Draw a scene of ``segments`` segments of ``segment_s`` seconds, each with its own sounding objects."""
    objects = _random_objects(rng, corpus, options)
    in_view = [item.cutout.group for item in objects if item.cutout.group in corpus.sounding]
    duration = segments * segment_s
    audio_sources = [random_noise(rng, (0.0, duration))]
    for i in range(segments):
        span = (i * segment_s, (i + 1) * segment_s)
        audio_sources += random_audio_sources(rng, corpus, options, in_view, span)
    return Scene(
        background=random_background(
            rng,
            corpus.backgrounds,
            texture_prob=options.texture_prob,
            patchwork_prob=options.patchwork_prob,
            augment=options.augment,
        ),
        objects=tuple(objects),
        audio_sources=tuple(audio_sources),
        duration=duration,
        segments=tuple((i + 0.5) * segment_s for i in range(segments)),
        blur=rng.uniform(0.0, 0.006) if options.augment and rng.random() < 0.3 else 0.0,
        camera=random_camera(rng) if _happens(rng, options.camera_prob) else None,
        lighting=random_lighting(rng) if _happens(rng, options.lighting_prob) else None,
    )


def _happens(rng: np.random.Generator, prob: float) -> bool:
    """Draw an event; an impossible one draws nothing, so that older scenes stay as they were."""
    return prob > 0 and rng.random() < prob


def _random_objects(rng: np.random.Generator, corpus: Corpus, options: SceneOptions) -> list[SceneObject]:
    count = int(rng.integers(options.num_objects[0], options.num_objects[1] + 1))
    classes = rng.permutation(len(corpus.sounding))[:count]
    objects: list[SceneObject] = []
    for k in range(count):
        silent = bool(corpus.silent) and k > 0 and rng.random() < options.silent_object_prob
        group = str(rng.choice(corpus.silent)) if silent else corpus.sounding[classes[k % len(classes)]]
        objects.append(place_object(rng, corpus.random_cutout(rng, group), objects, count, options))
    return [objects[i] for i in rng.permutation(count)]


def place_object(
    rng: np.random.Generator,
    cutout: Cutout,
    others: Sequence[SceneObject],
    count: int,
    options: SceneOptions,
) -> SceneObject:
    """Place an object where it hides little of the others: the best of a few tries."""
    wide = options.augment
    size = rng.uniform(*options.object_size) * (1.0, 0.88, 0.76, 0.68)[min(count, 4) - 1]
    margin = min(0.42 * size, 0.4)
    best, least = (0.5, 0.5), np.inf
    for _ in range(6):
        x, y = (float(v) for v in rng.uniform(margin, 1 - margin, 2))
        overlap = sum(_overlap((x, y), size, other) for other in others)
        if overlap < least:
            best, least = (x, y), overlap
    speed = rng.uniform(-0.12, 0.12, 2) if options.motion and rng.random() < 0.6 else (0.0, 0.0)
    return SceneObject(
        cutout=cutout,
        center=best,
        size=size,
        # a 16:9 video squashed to a square narrows what it shows by exp(-0.58)
        aspect=float(np.exp(rng.uniform(-0.6, 0.25))) if wide else 1.0,
        angle=float(rng.normal(0, 12 if wide else 6)),
        flip=bool(rng.random() < 0.5),
        velocity=(float(speed[0]), float(speed[1])),
        gains=random_tint(rng, 0.3 if wide else 0.1),
    )


def _overlap(center: tuple[float, float], size: float, other: SceneObject) -> float:
    """Return how far a disc of an object's size reaches into another's."""
    distance = np.hypot(center[0] - other.center[0], center[1] - other.center[1])
    return max(0.0, float(0.5 * (size + other.size) - distance))


def random_audio_sources(
    rng: np.random.Generator,
    corpus: Corpus,
    options: SceneOptions,
    in_view: list[str],
    span: tuple[float, float],
) -> list[AudioSource]:
    """Draw what sounds in a segment: up to two of the classes in view, or none, or one out of view."""
    count = int(rng.choice(3, p=options.source_count_probs))
    chosen = [in_view[i] for i in rng.permutation(len(in_view))[:count]]
    absent = [name for name in corpus.sounding if name not in in_view]
    if not chosen and rng.random() < options.off_screen_prob:
        chosen = [str(rng.choice(absent))] if absent else []
    sources = [random_audio_source(rng, corpus, name, span, augment=options.augment) for name in chosen]
    sources = [
        replace(source, waveform=reverberate(rng, source.waveform))
        if _happens(rng, options.room_prob)
        else source
        for source in sources
    ]
    if absent and _happens(rng, options.beneath_prob):
        beneath = random_audio_source(rng, corpus, str(rng.choice(absent)), span, augment=options.augment)
        sources.append(replace(beneath, name=None, gain=beneath.gain * float(10 ** rng.uniform(-1.5, -0.9))))
    return sources


def random_audio_source(
    rng: np.random.Generator, corpus: Corpus, name: str, span: tuple[float, float], *, augment: bool
) -> AudioSource:
    """Draw one of the sounds of a class, from anywhere in it."""
    sounds = corpus.sounds[name]
    waveform = sounds[rng.integers(len(sounds))]
    low_db, high_db = (-10, 6) if augment else (-4, 4)
    return AudioSource(
        name=name,
        waveform=waveform,
        span=span,
        gain=float(10 ** (rng.uniform(low_db, high_db) / 20)),
        speed=float(np.exp(rng.uniform(-0.07, 0.07))) if augment else 1.0,
        offset=float(rng.uniform(0, len(waveform) / SAMPLE_RATE)),
        gap=float(rng.uniform(0.0, 0.15)),
    )


def random_noise(rng: np.random.Generator, span: tuple[float, float]) -> AudioSource:
    """Draw background noise between white and brown, 44 to 80 dB below full scale."""
    waveform = _noise(int(rng.integers(NOISES)))
    gain = float(10 ** rng.uniform(-4.0, -2.2))
    return AudioSource(None, waveform, span, gain=gain, offset=float(rng.uniform(0, NOISE_LOOP_S)))


@cache
def _noise(kind: int) -> F32:
    """Return one of a few noise loops of RMS 1, from white (the first) to brown (the last)."""
    num_samples = int(NOISE_LOOP_S * SAMPLE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(kind).standard_normal(num_samples))
    tilt = np.maximum(np.arange(len(spectrum)), 20.0) ** (-kind / (NOISES - 1))
    waveform = np.fft.irfft(spectrum * tilt, num_samples)
    return (waveform / waveform.std()).astype(np.float32)

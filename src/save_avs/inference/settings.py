"""Options of segmentation, checked before any work, and the names of the files that it writes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from PIL import ImageColor

from save_avs.errors import UsageError
from save_avs.formats import LABEL, MASK_FORMATS
from save_avs.video.container import Switch, check_read_options
from save_avs.visualization.overlay import OUTLINE, MaskPainter

MAX_OUTLINE = 5  # percent of the frame's shorter side
MAX_SMOOTH = 10  # seconds
DEFAULT_OUTPUTS = ("overlay", "masks", "timeline")

SUMMARY_FILE = "summary.json"
OUTPUT_FILES = {  # files, and the folders frames and logits
    "overlay": "overlay.mp4",
    "matte": "matte.mov",
    "masks": "masks.json",
    "timeline": "timeline.png",
    "frames": "frames",
    "video": "video.mp4",
    "logits": "logits",
} | {name: form.file for name, form in MASK_FORMATS.items()}
OUTPUTS = tuple(OUTPUT_FILES)

# Hours, minutes and seconds: below 60 where a larger unit is before them.
_TIME = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):(?=[0-5]?\d(?:\.|$)))?(\d+(?:\.\d*)?)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SegmentationSettings:
    """How to segment a video, and what to write; a UsageError if a value is out of range."""

    fps: float | None = None  # frames to process per second; None for every frame of the video
    threshold: float = 0.5  # pixels of a higher probability are marked; between 0 and 1
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS  # names out of ``OUTPUTS``; the summary is always written
    batch_size: int = 16  # frames per forward pass of the model
    smooth: float = 0.0  # time constant in seconds of the smoothing of the logits over time; 0 for none
    objects: bool = False  # separate each mask into objects, its connected parts
    track: bool = False  # give the objects ids that persist over time; implies ``objects``
    # of the mask in the overlay, as CSS writes it; ``auto`` for one that contrasts with the object
    color: str = "auto"
    opacity: float = 0.5  # of that color, 0 to 1
    # width of the line along its edge, percent of the frame's shorter side; 0 for none
    outline: float = OUTLINE
    # write score and name or id at each mask in the overlay; ids are written without it, too
    labels: bool = False
    tone_map: Switch = "auto"  # ``auto`` maps HDR and BT.2020 to BT.709; or ``off``
    deinterlace: Switch = "auto"  # ``auto`` deinterlaces the frames that are marked as interlaced; or ``off``
    # the audio track to use, counted from 1; None for the one that players choose
    audio_track: int | None = None
    audio: str | None = None  # file whose sound to use instead, its time 0 at that of the video
    # raise the level of the sound to -20 dBFS, for the model only, where it is below
    normalize_audio: bool = False
    start: float = 0.0  # frames before this time, in seconds, are left out
    end: float | None = None  # so are frames from this time on; None for the end of the video

    def __post_init__(self) -> None:
        """Check every value."""
        check_read_options(self.fps, self.tone_map, self.deinterlace, self.start, self.end)
        check_mask_options(self.threshold, self.batch_size, self.smooth)
        if unknown := [name for name in self.outputs if name not in OUTPUTS]:
            raise UsageError(f"unknown output {unknown[0]!r}: choose from {', '.join(OUTPUTS)}")
        object.__setattr__(self, "objects", self.objects or self.track)
        if not 0 <= self.outline <= MAX_OUTLINE:
            raise UsageError(f"the outline must be 0 to {MAX_OUTLINE} percent wide, not {self.outline:g}")
        if not 0 <= self.opacity <= 1:
            raise UsageError(f"the opacity must be between 0 and 1, not {self.opacity:g}")
        if self.audio_track is not None and self.audio_track < 1:
            raise UsageError(f"audio tracks are counted from 1, so there is no track {self.audio_track}")
        if self.audio is not None and not Path(self.audio).is_file():
            raise UsageError(f"{self.audio}: no such file")
        self.painter()

    def clip(self, time: float) -> float:
        """Return a time in seconds, or the end of the range to segment if that is earlier."""
        return time if self.end is None else min(time, self.end)

    def check_number_of_inputs(self, count: int) -> None:
        """Raise a UsageError if these settings are for fewer inputs."""
        if self.audio is not None and count > 1:
            raise UsageError(f"{self.audio} is the sound of one input, not of {count}: segment one at a time")

    def read_options(self) -> dict[str, Any]:
        """Return the options of ``read_video_chunks`` that decide which frames and sound there are."""
        names = ("tone_map", "deinterlace", "audio_track", "audio", "normalize_audio", "start", "end")
        return {name: getattr(self, name) for name in names}

    def mask_options(self) -> dict[str, Any]:
        """Return the options of ``Predictor`` that decide what becomes of the logits."""
        options = {"smooth": self.smooth, "objects": self.objects, "track": self.track}
        return {**options, "logits": "logits" in self.outputs}

    def painter(self) -> MaskPainter:
        """Return what draws the masks of one video."""
        try:
            color = None if self.color == "auto" else ImageColor.getcolor(self.color, "RGB")
        except ValueError:
            raise UsageError(f"unknown color {self.color!r}: give auto, a name or #rrggbb") from None
        chosen = cast("tuple[int, int, int] | None", color)
        return MaskPainter(chosen, self.opacity, self.outline, self.labels, LABEL)


def check_mask_options(threshold: float, batch_size: int, smooth: float) -> None:
    """Raise a UsageError unless these options of ``Predictor`` are in range."""
    if not 0 < threshold < 1:
        raise UsageError(f"the threshold must be between 0 and 1, not {threshold:g}")
    if not 0 <= smooth <= MAX_SMOOTH:
        raise UsageError(f"smooth must be 0 to {MAX_SMOOTH} seconds, not {smooth:g}")
    if batch_size < 1:
        raise UsageError(f"batch_size must be 1 or more, not {batch_size}")


def parse_fps(text: str) -> float | None:
    """Parse ``native`` (None) or a number; a UsageError for anything else."""
    if text.strip().lower() == "native":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"fps must be 'native' or a number above 0, not {text!r}") from None


def parse_time(text: str) -> float:
    """Parse seconds, MM:SS or HH:MM:SS, with or without a fraction, to seconds; else a UsageError."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a time: give seconds, MM:SS or HH:MM:SS, such as 90.5 or 1:30.5")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def parse_outputs(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of outputs into names, without repeats, in the order given."""
    names = (name.strip().lower() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))

"""A stream of chunks in, masks out: a video of any length in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from save_avs.audio import Frontend, is_silent, log_mel_at
from save_avs.audio.frontend import VGGISH
from save_avs.errors import MediaError
from save_avs.inference.postprocess import mark
from save_avs.inference.settings import check_batch, check_threshold
from save_avs.models.preprocess import preprocess_frames
from save_avs.models.save import Precision, Resize
from save_avs.types import F32, Bool, VideoChunk


class FrameModel(Protocol):
    """What the predictor asks of a model: `SAVE` and what is compared with it.

    Called with images u8 [B,3,S,S] and patches f32 [B,1,frames,bands], it gives logits [B,1,M,M].
    """

    @property
    def name(self) -> str:
        """How it calls itself in results."""
        ...

    @property
    def image_size(self) -> int:
        """Side S of the square it sees, pixels."""
        ...

    @property
    def resize(self) -> Resize:
        """How a frame becomes that square."""
        ...

    @property
    def frontend(self) -> Frontend:
        """How a sound becomes the patches it hears."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        ...

    @property
    def precision(self) -> Precision:
        """What to compute in."""
        ...

    @property
    def runtime(self) -> str:
        """What computes it: torch, or another runtime."""
        ...

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Mark what sounds."""
        ...


@dataclass(frozen=True)
class Prediction:
    """The masks of one chunk.

    Attributes:
        clip: the chunk itself.
        masks: pixels that sound, at the video's size, bool [T,H,W].
        scores: mean probability inside each mask, 0 where it is empty, f32 [T].
    """

    clip: VideoChunk
    masks: Bool
    scores: F32


class _Audible(NamedTuple):
    """What a model is shown of a clip: numbers of N frames, images u8 [N,3,S,S], patches [N,F,bands]."""

    frames: NDArray[np.intp]
    images: Tensor
    log_mel: F32


class Predictor:
    """Runs a model over chunks; each frame is paired with the sound around its own time.

    Args:
        model: in evaluation mode, with its device and precision resolved.
        threshold: pixels of a higher probability are marked; between 0 and 1.
        batch: frames the model sees at once.

    Raises:
        UsageError: when an option is out of range.

    Examples:
        >>> import save_avs
        >>> predictor = save_avs.Predictor(save_avs.load_model("save-tiny"))
        >>> for found in predictor(save_avs.read_video_chunks("clip.mp4", fps=1)):
        ...     found.masks.shape, found.clip.times.tolist()[:2]
        ((8, 360, 640), [0.0, 1.0])
    """

    def __init__(self, model: FrameModel, threshold: float = 0.5, batch: int = 16) -> None:
        check_threshold(threshold)
        check_batch(batch)
        self.model = model
        self.batch = batch
        self._cut = math.log(threshold / (1 - threshold))  # sigmoid(x) > threshold, said of the logit

    def __call__(self, clips: Iterable[VideoChunk]) -> Iterator[Prediction]:
        """Yield the masks of each chunk as it comes.

        Raises:
            MediaError: when the frames of a later chunk differ in size from the first's.
        """
        size: tuple[int, ...] | None = None
        for clip in clips:
            shape = clip.frames.shape[1:3]
            size = size or shape
            if shape != size:
                raise MediaError(
                    f"the picture changes from {size[1]}x{size[0]} to {shape[1]}x{shape[0]} "
                    f"at {clip.times[0]:.2f} s; convert the video to one size first"
                )
            yield self.predict(clip)

    def predict(self, clip: VideoChunk) -> Prediction:
        """Masks of one chunk. In silence nothing sounds: the model is not asked, the mask is empty."""
        return self.predict_batch([clip])[0]

    @torch.inference_mode()
    def predict_batch(self, clips: Sequence[VideoChunk]) -> list[Prediction]:
        """Masks of several clips, of any sizes; their frames fill the model's batches together."""
        if not clips:
            return []
        audible = [self._audible(clip) for clip in clips]
        images = torch.cat([part.images for part in audible])
        log_mel = np.concatenate([part.log_mel for part in audible])
        starts = range(0, len(images), self.batch)
        sounds = torch.from_numpy(log_mel).unsqueeze(1)  # [N,1,F,bands]
        batches = ((images[i : i + self.batch], sounds[i : i + self.batch]) for i in starts)
        found = [predict_logits(self.model, *batch)[:, 0] for batch in batches]
        logits = torch.cat(found) if found else torch.empty(0, 1, 1)
        shares = logits.split([len(part.frames) for part in audible])
        return [self._mark(*each) for each in zip(clips, audible, shares, strict=True)]

    def _audible(self, clip: VideoChunk) -> _Audible:
        frontend = self.model.frontend
        log_mel = _hear(clip, frontend)  # [T,frames,bands]
        # Silence is told by VGGish's patches: OpenL3's do not say how loud it is.
        frames = np.flatnonzero(~is_silent(log_mel if frontend == VGGISH else _hear(clip, VGGISH)))
        side = self.model.image_size
        if not len(frames):
            return _Audible(frames, torch.empty(0, 3, side, side, dtype=torch.uint8), log_mel[frames])
        return _Audible(
            frames, preprocess_frames(clip.frames, side, self.model.resize)[frames], log_mel[frames]
        )

    def _mark(self, clip: VideoChunk, audible: _Audible, logits: Tensor) -> Prediction:
        """Enlarge and cut what the model said of a clip's audible frames, [N,M,M]."""
        height, width = clip.frames.shape[1:3]
        masks = np.zeros((len(clip), height, width), dtype=np.bool_)
        scores = np.zeros(len(clip), dtype=np.float32)
        for i in range(0, len(audible.frames), self.batch):
            at = audible.frames[i : i + self.batch]
            found = mark(logits[i : i + self.batch], height, width, resize=self.model.resize, cut=self._cut)
            masks[at], scores[at] = (values.cpu().numpy() for values in found)
        return Prediction(clip, masks, scores)


def predict_logits(model: FrameModel, images: Tensor, log_mel: Tensor) -> Tensor:
    """Ask a model, on its device and in its precision: u8 [B,3,S,S] and f32 [B,1,F,bands] to [B,1,M,M]."""
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        return model(images.to(model.device), log_mel.to(model.device))


def _hear(clip: VideoChunk, frontend: Frontend) -> F32:
    return log_mel_at(clip.waveform, clip.sample_rate, clip.times, clip.waveform_start, frontend)

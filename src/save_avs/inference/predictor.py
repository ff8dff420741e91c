"""Predictor: chunks of a video in, masks out, in bounded memory."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from save_avs.audio import Frontend, is_silent, log_mel_at
from save_avs.audio.frontend import VGGISH
from save_avs.errors import MediaError
from save_avs.inference.objects import ObjectTracker
from save_avs.inference.postprocess import LogitSmoother, upscale_and_threshold
from save_avs.inference.settings import check_mask_options
from save_avs.models.preprocess import preprocess_frames
from save_avs.models.save import SAVE
from save_avs.runtimes.registry import RuntimeModel
from save_avs.types import F32, Bool, FrameMask, FrameObjects, VideoChunk

# Called with images u8 [B,3,S,S] and log-mel patches f32 [B,1,frames,bands], they return logits [B,1,M,M].
FrameModel = SAVE | RuntimeModel


@dataclass(frozen=True)
class Prediction:
    """The masks of one chunk.

    Attributes:
        chunk: the chunk itself.
        masks: pixels of sounding objects, at the size of the video, bool [T,H,W].
        scores: mean probability inside each mask, 0 where it is empty, f32 [T].
        objects: the connected parts of each mask, the largest first; None where they were not asked for.
        logits: before they were upscaled to the frame, f32 [T,M,M], -inf in silence; None where they were not
            asked for.
    """

    chunk: VideoChunk
    masks: Bool
    scores: F32
    objects: tuple[FrameObjects, ...] | None = None
    logits: F32 | None = None

    def frame(self, i: int) -> FrameMask:
        """Return the mask of the i-th frame of the chunk."""
        chunk = self.chunk
        numbers = chunk.first_index + i, int(chunk.source_indices[i]), float(chunk.times[i])
        objects = None if self.objects is None else self.objects[i]
        return FrameMask(*numbers, float(self.scores[i]), self.masks[i], objects=objects)


_VideoState = tuple[LogitSmoother, ObjectTracker]  # what is carried from frame to frame of one video


class Predictor:
    """Runs a model over chunks; each frame is paired with the sound around its own time.

    Called with the chunks of a video, it smooths and tracks over all of them; ``predict`` and
    ``predict_batch`` do so within each chunk.

    Args:
        model: in evaluation mode, with its device and precision resolved.
        threshold: pixels of a higher probability are marked; between 0 and 1.
        batch_size: frames per forward pass of the model.
        smooth: time constant in seconds of the smoothing of the logits over time; 0 for none.
        objects: also separate each mask into objects.
        track: give the objects ids that persist; implies ``objects``.
        logits: also keep the logits of every frame.

    Raises:
        UsageError: an option is out of range.

    Examples:
        >>> import save_avs
        >>> predictor = save_avs.Predictor(save_avs.load_model("save-small"))
        >>> for prediction in predictor(save_avs.read_video_chunks("clip.mp4", fps=1)):
        ...     prediction.masks.shape, prediction.chunk.times.tolist()[:2]
        ((8, 360, 640), [0.0, 1.0])
    """

    def __init__(
        self,
        model: FrameModel,
        threshold: float = 0.5,
        batch_size: int = 16,
        *,
        smooth: float = 0.0,
        objects: bool = False,
        track: bool = False,
        logits: bool = False,
    ) -> None:
        check_mask_options(threshold, batch_size, smooth)
        self.model: FrameModel = model
        self.batch_size: int = batch_size
        self._smooth = smooth
        self._objects = objects or track
        self._track = track
        self._logits = logits
        self._min_logit = math.log(threshold / (1 - threshold))

    def __call__(self, chunks: Iterable[VideoChunk]) -> Iterator[Prediction]:
        """Yield the masks of each chunk as it comes.

        Raises:
            MediaError: the frames of a later chunk differ in size from the first's.
        """
        size: tuple[int, ...] | None = None
        state = self._new_state()
        for chunk in chunks:
            shape = chunk.frames.shape[1:3]
            size = size or shape
            if shape != size:
                raise MediaError(
                    f"the frame size changes from {size[1]}x{size[0]} to {shape[1]}x{shape[0]} "
                    f"at {chunk.times[0]:.2f} s: convert the video to one size first"
                )
            yield self._predict([chunk], [state])[0]

    def predict(self, chunk: VideoChunk) -> Prediction:
        """Return the masks of one chunk. In silence the mask is empty, without a forward pass."""
        return self.predict_batch([chunk])[0]

    def predict_batch(self, chunks: Sequence[VideoChunk]) -> list[Prediction]:
        """Return the masks of several chunks, of any sizes; their frames share the model's batches."""
        return self._predict(chunks, [self._new_state() for _ in chunks]) if chunks else []

    def _new_state(self) -> _VideoState:
        return LogitSmoother(self._smooth), ObjectTracker()

    @torch.inference_mode()
    def _predict(self, chunks: Sequence[VideoChunk], states: Sequence[_VideoState]) -> list[Prediction]:
        positions, images_of, log_mel_of = zip(*map(self._prepare, chunks), strict=True)
        images = torch.cat(images_of)
        log_mel = torch.from_numpy(np.concatenate(log_mel_of)).unsqueeze(1)
        parts = zip(images.split(self.batch_size), log_mel.split(self.batch_size), strict=True)
        batches = [predict_logits(self.model, *part)[:, 0] for part in parts if len(part[0])]
        side = self.model.image_size // 4
        logits = torch.cat(batches) if batches else torch.empty(0, side, side)
        of_chunks = zip(chunks, positions, logits.split(list(map(len, positions))), states, strict=True)
        return [self._postprocess(*each) for each in of_chunks]

    def _prepare(self, chunk: VideoChunk) -> tuple[NDArray[np.intp], Tensor, F32]:
        """Return the positions of N frames with sound, their images u8 [N,3,S,S] and log-mel [N,F,bands]."""
        frontend = self.model.frontend
        log_mel = chunk_log_mel(chunk, frontend)  # [T,frames,bands]
        # Silence is detected on VGGish's log-mel: OpenL3's is relative to its own maximum.
        silent = is_silent(log_mel if frontend == VGGISH else chunk_log_mel(chunk, VGGISH))
        positions = np.flatnonzero(~silent)
        side = self.model.image_size
        if not len(positions):
            nothing = torch.empty(0, 3, side, side, dtype=torch.uint8)
            return positions, nothing, log_mel[positions]
        images = preprocess_frames(chunk.frames, side, self.model.resize)
        return positions, images[positions], log_mel[positions]

    def _postprocess(
        self, chunk: VideoChunk, positions: NDArray[np.intp], logits: Tensor, state: _VideoState
    ) -> Prediction:
        """Turn the logits of a chunk's frames with sound, [N,M,M], into masks of all its frames."""
        height, width = chunk.frames.shape[1:3]
        smooth, track = state
        logits = smooth(logits, chunk.times[positions])
        objects: list[FrameObjects] = [()] * len(chunk)
        masks = np.zeros((len(chunk), height, width), dtype=np.bool_)
        scores = np.zeros(len(chunk), dtype=np.float32)
        for i in range(0, len(positions), self.batch_size):
            part = slice(i, i + self.batch_size)
            marked, means, found = upscale_and_threshold(
                logits[part],
                height,
                width,
                resize=self.model.resize,
                min_logit=self._min_logit,
                separate=self._objects,
            )
            at = positions[part]
            masks[at], scores[at] = marked.cpu().numpy(), means.cpu().numpy()
            for position, separated in zip(at, found, strict=False):
                objects[position] = separated
        if self._track:
            objects = [track(*each) for each in zip(objects, chunk.times.tolist(), strict=True)]
        kept = None
        if self._logits:
            kept = np.full((len(chunk), *logits.shape[1:]), -np.inf, dtype=np.float32)
            kept[positions] = logits.float().cpu().numpy()
        return Prediction(chunk, masks, scores, tuple(objects) if self._objects else None, kept)


def predict_logits(model: FrameModel, images: Tensor, log_mel: Tensor) -> Tensor:
    """Run a model on its device in its precision: u8 [B,3,S,S] and f32 [B,1,F,bands] to [B,1,M,M]."""
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        return model(images.to(model.device), log_mel.to(model.device))


def chunk_log_mel(chunk: VideoChunk, frontend: Frontend) -> F32:
    """Compute the patch around each frame of a chunk, f32 [T,frames,bands]."""
    return log_mel_at(chunk.waveform, chunk.sample_rate, chunk.times, chunk.waveform_start, frontend)


def describe_model(model: FrameModel) -> Mapping[str, Any]:
    """Return the description of a model that the written files contain."""
    return {
        "name": model.name,
        "device": str(model.device),
        "precision": model.precision,
        "runtime": model.runtime,
        "image_size": model.image_size,
        "resize": model.resize,
        "checksum": getattr(model, "checksum", ""),
    }

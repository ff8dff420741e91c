"""A whole SAVE as one graph: from frames and sound as they are to probabilities at the frames' size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from save_avs.audio.frontend import VGGISH
from save_avs.audio.log_mel import SILENCE_TOLERANCE, SILENT_LOG_MEL
from save_avs.audio.log_mel_graph import LogMelSpectrogram
from save_avs.models.preprocess import PAD_COLOR
from save_avs.models.save import SAVE
from save_avs.runtimes.resize_graph import downscale_matrix, upscale_matrix
from save_avs.runtimes.tracing import MOST

INPUTS, OUTPUT = ("frames", "sounds"), "probabilities"
QUIETEST = 2**-20  # a thirty-second of 16-bit sound's smallest step
SMALLEST, LARGEST = 16, 8192  # pixels of a frame's side


class EndToEndModel(nn.Module):
    """What ``Predictor`` does with a batch, in one graph that leaves its callers nothing to compute.

    Args:
        model: in evaluation mode, on the CPU.
    """

    color: Tensor

    def __init__(self, model: SAVE) -> None:
        super().__init__()
        self.log_mel = LogMelSpectrogram(model.frontend)
        self.model = model
        self.register_buffer("color", torch.tensor(PAD_COLOR, dtype=torch.float32).view(3, 1, 1))

    def forward(self, frames: Tensor, sounds: Tensor) -> Tensor:
        """Mark what sounds.

        Args:
            frames: RGB u8 [B,H,W,3].
            sounds: the sound around each, f32 [B,span] at the front-end's rate, in -1..1.

        Returns:
            Probabilities f32 [B,H,W]; zero in digital silence.
        """
        log_mel = self.log_mel(sounds)
        rows, columns = (torch.arange(n, dtype=torch.float32) for n in frames.shape[1:3])
        height, width = rows.amax(0) + 1, columns.amax(0) + 1
        images = self._squared(frames, rows, columns, torch.maximum(height, width))
        logits = self.model(images, log_mel)[:, 0].float()  # [B,M,M]
        side = logits.shape[1]
        if self.model.resize == "pad":
            height = width = torch.maximum(height, width)
        large = upscale_matrix(rows, height, side) @ logits @ upscale_matrix(columns, width, side).T
        return large.sigmoid() * self._audible(sounds, log_mel)[:, None, None]

    def _audible(self, sounds: Tensor, log_mel: Tensor) -> Tensor:
        """Which sounds are not digital silence, bool [B]; only VGGish's patches tell how loud they are."""
        if self.model.frontend == VGGISH:
            return log_mel.amax(dim=(1, 2, 3)) >= SILENT_LOG_MEL + SILENCE_TOLERANCE
        return sounds.abs().amax(dim=1) > QUIETEST

    def _squared(self, frames: Tensor, rows: Tensor, columns: Tensor, longest: Tensor) -> Tensor:
        """Frames u8 [B,H,W,3] as the model's squares, f32 [B,3,S,S], 0..255: ``inference.preprocess_frames``."""
        side = self.model.image_size
        down = downscale_matrix(rows, self._inner(rows, longest), side)
        across = downscale_matrix(columns, self._inner(columns, longest), side)
        # across, then down, each to whole numbers, as torch resizes bytes
        narrow = (frames.permute(0, 3, 1, 2).float() @ across.T).round()
        small = (down @ narrow).round()
        if self.model.resize == "squash":
            return small
        inside = down.sum(1, keepdim=True) * across.sum(1) > 0.5  # [S,S]
        return torch.where(inside, small, self.color)

    def _inner(self, points: Tensor, longest: Tensor) -> Tensor:
        """How many of the square's cells a side of the frame gets: ``inference.square.get_preprocess_shape``."""
        side = self.model.image_size
        if self.model.resize == "squash":
            return longest.new_tensor(side)
        return ((points.amax(0) + 1) * side / longest).round().clamp(min=1)


def trace_whole(model: SAVE) -> ExportedProgram:
    """The graph of a whole model, for any number of frames of any size.

    Args:
        model: in evaluation mode, on the CPU.
    """
    frames = torch.zeros(2, 96, 128, 3, dtype=torch.uint8)
    sounds = torch.zeros(2, model.frontend.num_samples)
    count = Dim("count", min=1, max=MOST)
    height, width = (Dim(name, min=SMALLEST, max=LARGEST) for name in ("height", "width"))
    shapes = ({0: count, 1: height, 2: width}, {0: count})
    with torch.no_grad():
        return torch.export.export(EndToEndModel(model), (frames, sounds), dynamic_shapes=shapes)

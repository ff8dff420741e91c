"""A whole SAVE as one graph: from frames and sound as they are to probabilities at the frames' size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from save_avs.audio.front_end import VGGISH
from save_avs.audio.graph import Patches
from save_avs.audio.log_mel import INAUDIBLE, SILENCE
from save_avs.exports.resampling import growing, shrinking
from save_avs.inference.square import PAD_COLOUR
from save_avs.model.runtimes.tracing import MOST
from save_avs.model.save import SAVE

INPUTS, OUTPUT = ("frames", "sounds"), "probabilities"
QUIETEST = 2**-20  # a thirty-second of 16-bit sound's smallest step
SMALLEST, LARGEST = 16, 8192  # pixels of a frame's side


class WholeModel(nn.Module):
    """What ``Predictor`` does with a batch, in one graph that leaves its callers nothing to compute.

    Args:
        model: in evaluation mode, on the CPU.
    """

    colour: Tensor

    def __init__(self, model: SAVE) -> None:
        super().__init__()
        self.patches = Patches(model.front_end)
        self.model = model
        self.register_buffer("colour", torch.tensor(PAD_COLOUR, dtype=torch.float32).view(3, 1, 1))

    def forward(self, frames: Tensor, sounds: Tensor) -> Tensor:
        """Mark what sounds.

        Args:
            frames: RGB u8 [B,H,W,3].
            sounds: the sound around each, f32 [B,span] at the front-end's rate, in -1..1.

        Returns:
            Probabilities f32 [B,H,W]; zero in digital silence.
        """
        patches = self.patches(sounds)
        rows, columns = (torch.arange(n, dtype=torch.float32) for n in frames.shape[1:3])
        height, width = rows.amax(0) + 1, columns.amax(0) + 1
        images = self._squared(frames, rows, columns, torch.maximum(height, width))
        logits = self.model(images, patches)[:, 0].float()  # [B,M,M]
        side = logits.shape[1]
        if self.model.resize == "pad":
            height = width = torch.maximum(height, width)
        large = growing(rows, height, side) @ logits @ growing(columns, width, side).T
        return large.sigmoid() * self._audible(sounds, patches)[:, None, None]

    def _audible(self, sounds: Tensor, patches: Tensor) -> Tensor:
        """Which sounds are not digital silence, bool [B]; only VGGish's patches tell how loud they are."""
        if self.model.front_end == VGGISH:
            return patches.amax(dim=(1, 2, 3)) >= SILENCE + INAUDIBLE
        return sounds.abs().amax(dim=1) > QUIETEST

    def _squared(self, frames: Tensor, rows: Tensor, columns: Tensor, longest: Tensor) -> Tensor:
        """Frames u8 [B,H,W,3] as the model's squares, f32 [B,3,S,S], 0..255: ``inference.to_square``."""
        side = self.model.image_size
        down = shrinking(rows, self._inner(rows, longest), side)
        across = shrinking(columns, self._inner(columns, longest), side)
        # across, then down, each to whole numbers, as torch resizes bytes
        narrow = (frames.permute(0, 3, 1, 2).float() @ across.T).round()
        small = (down @ narrow).round()
        if self.model.resize == "squash":
            return small
        inside = down.sum(1, keepdim=True) * across.sum(1) > 0.5  # [S,S]
        return torch.where(inside, small, self.colour)

    def _inner(self, points: Tensor, longest: Tensor) -> Tensor:
        """How many of the square's cells a side of the frame gets: ``inference.square.inner_size``."""
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
    sounds = torch.zeros(2, model.front_end.span)
    count = Dim("count", min=1, max=MOST)
    height, width = (Dim(name, min=SMALLEST, max=LARGEST) for name in ("height", "width"))
    shapes = ({0: count, 1: height, 2: width}, {0: count})
    with torch.no_grad():
        return torch.export.export(WholeModel(model), (frames, sounds), dynamic_shapes=shapes)

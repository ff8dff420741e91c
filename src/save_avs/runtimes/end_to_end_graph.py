"""A whole SAVE as one graph: from frames and waveforms to probabilities at the frames' size.

Resizing is written as matrix products, which every runtime supports for frames of any size.
"""

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from save_avs.audio.frontend import VGGISH
from save_avs.audio.log_mel import SILENCE_TOLERANCE, SILENT_LOG_MEL
from save_avs.audio.log_mel_graph import LogMelSpectrogram
from save_avs.models.preprocess import PAD_COLOR
from save_avs.models.save import SAVE
from save_avs.runtimes.interface import MAX_BATCH

INPUTS, OUTPUT = ("frames", "waveforms"), "probabilities"
MIN_AMPLITUDE = 2**-20  # 1/32 of the smallest step of 16-bit sound
SMALLEST, LARGEST = 16, 8192  # pixels of a frame's side


class EndToEndModel(nn.Module):
    """What ``Predictor`` does with a batch, in one graph that leaves its callers nothing to compute.

    The model is in evaluation mode, on the CPU.
    """

    pad_color: Tensor

    def __init__(self, model: SAVE) -> None:
        super().__init__()
        self.log_mel = LogMelSpectrogram(model.frontend)
        self.model = model
        self.register_buffer("pad_color", torch.tensor(PAD_COLOR, dtype=torch.float32).view(3, 1, 1))

    def forward(self, frames: Tensor, waveforms: Tensor) -> Tensor:
        """Segment the sounding object.

        Args:
            frames: RGB u8 [B,H,W,3].
            waveforms: the sound around each, f32 [B,num_samples] at the front-end's rate, in -1..1.

        Returns:
            Probabilities f32 [B,H,W]; zero in digital silence.
        """
        log_mel = self.log_mel(waveforms)
        rows, columns = (torch.arange(n, dtype=torch.float32) for n in frames.shape[1:3])
        height, width = rows.amax(0) + 1, columns.amax(0) + 1
        images = self._resize(frames, rows, columns, torch.maximum(height, width))
        logits = self.model(images, log_mel)[:, 0].float()  # [B,M,M]
        side = logits.shape[1]
        if self.model.resize == "pad":
            height = width = torch.maximum(height, width)
        upscaled = upscale_matrix(rows, height, side) @ logits @ upscale_matrix(columns, width, side).T
        return upscaled.sigmoid() * self._audible(waveforms, log_mel)[:, None, None]

    def _audible(self, waveforms: Tensor, log_mel: Tensor) -> Tensor:
        """Whether each waveform is not digital silence, bool [B]; only VGGish's log-mel shows loudness."""
        if self.model.frontend == VGGISH:
            return log_mel.amax(dim=(1, 2, 3)) >= SILENT_LOG_MEL + SILENCE_TOLERANCE
        return waveforms.abs().amax(dim=1) > MIN_AMPLITUDE

    def _resize(self, frames: Tensor, rows: Tensor, columns: Tensor, longest: Tensor) -> Tensor:
        """``preprocess_frames`` of frames u8 [B,H,W,3]: f32 [B,3,S,S], 0..255."""
        side = self.model.image_size
        down = downscale_matrix(rows, self._target_size(rows, longest), side)
        across = downscale_matrix(columns, self._target_size(columns, longest), side)
        # columns, then rows, each rounded to integers, as torch resizes bytes
        narrow = (frames.permute(0, 3, 1, 2).float() @ across.T).round()
        small = (down @ narrow).round()
        if self.model.resize == "squash":
            return small
        inside = down.sum(1, keepdim=True) * across.sum(1) > 0.5  # [S,S]
        return torch.where(inside, small, self.pad_color)

    def _target_size(self, points: Tensor, longest: Tensor) -> Tensor:
        """``get_preprocess_shape`` of one side of the frame: its cells in the square."""
        side = self.model.image_size
        if self.model.resize == "squash":
            return longest.new_tensor(side)
        return ((points.amax(0) + 1) * side / longest).round().clamp(min=1)


def downscale_matrix(points: Tensor, size: Tensor, side: int) -> Tensor:
    """Weights of a line's points in each of ``side`` cells, f32 [side,N]: ``F.interpolate(antialias=True)``.

    The line of points 0, 1, ... N-1, f32 [N], becomes the first ``size`` cells; those after them get nothing.
    Each row sums to one, or to zero.
    """
    cells = torch.arange(side, dtype=torch.float32)
    step = (points.amax(0) + 1) / size
    distance = points + 0.5 - ((cells + 0.5) * step)[:, None]  # [side,N]
    weights = (1 - distance.abs() / step.clamp(min=1)).clamp(min=0) * (cells < size)[:, None]
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-6)


def upscale_matrix(points: Tensor, size: Tensor, side: int) -> Tensor:
    """Weights of ``side`` cells in a line's points, f32 [N,side]: ``F.interpolate(align_corners=False)``.

    All cells make ``size`` points, of which 0, 1, ... N-1, f32 [N], are the first. Each row sums to one.
    """
    cells = torch.arange(side, dtype=torch.float32)
    positions = ((points + 0.5) * (side / size) - 0.5).clamp(0, side - 1)
    return (1 - (positions[:, None] - cells).abs()).clamp(min=0)


def trace_end_to_end(model: SAVE) -> ExportedProgram:
    """The graph of a whole model in evaluation mode on the CPU, for any number of frames of any size."""
    frames = torch.zeros(2, 96, 128, 3, dtype=torch.uint8)
    waveforms = torch.zeros(2, model.frontend.num_samples)
    count = Dim("count", min=1, max=MAX_BATCH)
    height, width = (Dim(name, min=SMALLEST, max=LARGEST) for name in ("height", "width"))
    shapes = ({0: count, 1: height, 2: width}, {0: count})
    with torch.no_grad():
        return torch.export.export(EndToEndModel(model), (frames, waveforms), dynamic_shapes=shapes)

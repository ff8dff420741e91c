"""The ways that are compared: an encoder or a whole model, by whom, in which precision, on which input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from peers import PeersModel, as_published, transformers_sam
from torch import Tensor, nn

from save_avs.models import SaveConfig, build_save
from save_avs.models.precision import set_precision
from save_avs.models.sam import PRESETS
from save_avs.models.sam.packed_linear import can_pack, pack_linear_layers
from save_avs.models.save import Precision
from save_avs.runtimes.openvino_int8 import quantize_encoder
from save_avs.runtimes.openvino_runtime import compile_config, to_openvino

Part = Literal["encoder", "model"]
By = Literal["ours", "openvino", "openvino-int8", "transformers", "peers"]  # openvino: ours, through it
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
WAYS: tuple[tuple[By, Precision], ...] = (
    ("ours", "fp32"),
    ("ours", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino-int8", "bf16"),
    ("transformers", "fp32"),
    ("transformers", "bf16"),
    ("peers", "fp32"),
)


@dataclass(frozen=True)
class Case:
    """One cell of the comparison; the encoder's adapters are part of ``model`` only."""

    part: Part
    by: By
    precision: Precision
    preset: str
    size: int
    batch: int

    def build(self) -> Callable[[], object]:
        """The weights, and a call that runs them on a random input."""
        return self._encoder() if self.part == "encoder" else self._model()

    def _encoder(self) -> Callable[[], object]:
        from save_avs.models.sam import build_sam

        dtype = DTYPES[self.precision]
        x = torch.randn(self.batch, 3, self.size, self.size, dtype=dtype)
        if self.by == "transformers":
            theirs = (
                transformers_sam(PRESETS[self.preset], self.size).to(dtype).get_submodule("vision_encoder")
            )
            return lambda: theirs(x)
        own = build_sam(self.preset, image_size=self.size).image_encoder.eval()
        if self.by in ("openvino", "openvino-int8"):
            return self._through_openvino(own, (x.float(),))
        encoder = (as_published(own) if self.by == "peers" else own).to(dtype)
        if self.by == "ours" and self.precision == "bf16" and can_pack():
            pack_linear_layers(encoder.blocks)
        return lambda: encoder(x)

    def _model(self) -> Callable[[], object]:
        dtype = DTYPES[self.precision]
        if self.by == "transformers":  # SAM alone, with one point an image: it has neither adapters nor ears
            theirs = transformers_sam(PRESETS[self.preset], self.size).to(dtype)
            x = torch.randn(self.batch, 3, self.size, self.size, dtype=dtype)
            point = torch.full((self.batch, 1, 1, 2), self.size / 2, dtype=dtype)
            return lambda: theirs(pixel_values=x, input_points=point, multimask_output=False)
        images = torch.randint(0, 256, (self.batch, 3, self.size, self.size), dtype=torch.uint8)
        log_mel = torch.randn(self.batch, 1, 96, 64)
        name = f"save-{self.preset.replace('_', '-')}"
        fresh = build_save(SaveConfig.from_preset(name, image_size=self.size)).eval()
        if self.by in ("openvino", "openvino-int8"):
            return self._through_openvino(fresh, (images, log_mel))
        own = set_precision(fresh, self.precision)
        model = PeersModel(own) if self.by == "peers" else own
        return lambda: model(images, log_mel)

    def _through_openvino(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], object]:
        """A float32 module compiled for the shape of these inputs; int8 takes its ranges from them too."""
        import openvino

        arrays = tuple(x.numpy() for x in inputs)
        graph = to_openvino(torch.export.export(module, inputs))
        graph.reshape({i: list(array.shape) for i, array in enumerate(arrays)})
        if self.by == "openvino-int8":
            graph = quantize_encoder(graph, [arrays])
        request = (
            openvino.Core().compile_model(graph, "CPU", compile_config(self.precision)).create_infer_request()
        )
        return lambda: request.infer(arrays)

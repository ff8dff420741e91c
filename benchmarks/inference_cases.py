"""Cases of the inference benchmark: encoder or whole model, implementation, precision, input size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from reference_models import ReferenceSAVE, build_transformers_sam, make_reference_encoder
from torch import Tensor, nn

from save_avs.models import SaveConfig, build_save
from save_avs.models.precision import set_precision
from save_avs.models.sam import PRESETS
from save_avs.models.sam.cpu_kernels import has_onednn, pack_layers
from save_avs.models.save import Precision
from save_avs.runtimes.openvino_runtime import compile_config, quantize_encoder, to_openvino

Part = Literal["encoder", "model"]
# "openvino" and "openvino-int8" run our model through OpenVINO.
Implementation = Literal["ours", "openvino", "openvino-int8", "transformers", "reference"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
VARIANTS: tuple[tuple[Implementation, Precision], ...] = (
    ("ours", "fp32"),
    ("ours", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino-int8", "bf16"),
    ("transformers", "fp32"),
    ("transformers", "bf16"),
    ("reference", "fp32"),
)


@dataclass(frozen=True)
class Case:
    """A case of the comparison; the encoder alone has no adapters."""

    part: Part
    implementation: Implementation
    precision: Precision
    preset: str
    size: int
    batch: int

    def build(self) -> Callable[[], object]:
        """Build the model, and return a function that runs it on a random input."""
        return self._encoder() if self.part == "encoder" else self._model()

    def _encoder(self) -> Callable[[], object]:
        from save_avs.models.sam import build_sam

        dtype = DTYPES[self.precision]
        x = torch.randn(self.batch, 3, self.size, self.size, dtype=dtype)
        if self.implementation == "transformers":
            sam = build_transformers_sam(PRESETS[self.preset], self.size).to(dtype)
            vision_encoder = sam.get_submodule("vision_encoder")
            return lambda: vision_encoder(x)
        encoder = build_sam(self.preset, image_size=self.size).image_encoder.eval()
        if self.implementation in ("openvino", "openvino-int8"):
            return self._compile_openvino(encoder, (x.float(),))
        if self.implementation == "reference":
            encoder = make_reference_encoder(encoder)
        encoder = encoder.to(dtype)
        if self.implementation == "ours" and self.precision == "bf16" and has_onednn():
            pack_layers(encoder.blocks, encoder.image_embedding_size)
        return lambda: encoder(x)

    def _model(self) -> Callable[[], object]:
        dtype = DTYPES[self.precision]
        if self.implementation == "transformers":  # SAM with a point per image, without adapters or audio
            sam = build_transformers_sam(PRESETS[self.preset], self.size).to(dtype)
            x = torch.randn(self.batch, 3, self.size, self.size, dtype=dtype)
            point = torch.full((self.batch, 1, 1, 2), self.size / 2, dtype=dtype)
            return lambda: sam(pixel_values=x, input_points=point, multimask_output=False)
        images = torch.randint(0, 256, (self.batch, 3, self.size, self.size), dtype=torch.uint8)
        log_mel = torch.randn(self.batch, 1, 96, 64)
        name = f"save-{self.preset.replace('_', '-')}"
        save = build_save(SaveConfig.from_preset(name, image_size=self.size)).eval()
        if self.implementation in ("openvino", "openvino-int8"):
            return self._compile_openvino(save, (images, log_mel))
        save = set_precision(save, self.precision)
        model = ReferenceSAVE(save) if self.implementation == "reference" else save
        return lambda: model(images, log_mel)

    def _compile_openvino(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], object]:
        """Compile a float32 module for the shapes of these inputs; int8 is calibrated on them, too."""
        import openvino

        arrays = tuple(x.numpy() for x in inputs)
        graph = to_openvino(torch.export.export(module, inputs))
        graph.reshape({i: list(array.shape) for i, array in enumerate(arrays)})
        if self.implementation == "openvino-int8":
            graph = quantize_encoder(graph, [arrays])
        request = (
            openvino.Core().compile_model(graph, "CPU", compile_config(self.precision)).create_infer_request()
        )
        return lambda: request.infer(arrays)

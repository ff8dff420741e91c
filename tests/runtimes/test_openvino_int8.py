"""int8 through OpenVINO: nearly float32's masks, and only what is meant to be int8 is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from save_avs.errors import UsageError
from save_avs.metrics.frame_scores import MIN_MASK_AGREEMENT, mask_agreement
from save_avs.runtimes import load_model
from save_avs.runtimes import registry as store
from save_avs.runtimes.openvino_runtime import OpenVinoInt8
from save_avs.synthesis.sample_streams import calibration_frames

NAME = "openvino-int8"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One for all tests here: to calibrate takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVE_AVS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.exhaustive
def test_the_bundled_model_marks_what_float32_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    exact = load_model(device="cpu", precision="fp32")
    images, log_mel = calibration_frames(16, exact.image_size, exact.frontend)
    with torch.inference_mode():
        wanted = exact(images, log_mel)
    rough = load_model(device="cpu", runtime=NAME)
    for frames in (16, 1):
        assert mask_agreement(rough(images[:frames], log_mel[:frames]), wanted[:frames]) > MIN_MASK_AGREEMENT

    (file,) = store.runtime_dir().rglob("model.xml")
    constants = [n for n in openvino.Core().read_model(file).get_ops() if n.get_type_name() == "Constant"]
    weights = [n for n in constants if n.get_element_type() == openvino.Type.i8]
    layers = [
        layer
        for block in exact.sam.image_encoder.blocks
        for part in (block.attn, block.mlp)
        for layer in part.modules()
        if isinstance(layer, nn.Linear)
    ]
    shapes = sorted(tuple(layer.weight.shape) for layer in layers)
    assert sorted(tuple(weight.get_output_shape(0)) for weight in weights) == shapes

    monkeypatch.setattr(OpenVinoInt8, "export", None)  # it is there already
    load_model(device="cpu", runtime=NAME)


def test_missing_package_is_an_error_and_precision_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "save_avs._extras.find_spec", lambda name: None if name == "nncf" else SimpleNamespace(origin="")
    )
    with pytest.raises(UsageError, match=r"pip install .*\[openvino-int8\]"):
        load_model(device="cpu", runtime=NAME)
    monkeypatch.setattr("save_avs._extras.find_spec", lambda _: SimpleNamespace(origin=""))
    (own,) = OpenVinoInt8().precisions
    other = {"bf16": "fp32", "fp32": "bf16"}[own]
    with pytest.raises(UsageError, match=f"'{NAME}' supports {own}, not {other}"):
        load_model(device="cpu", precision=other, runtime=NAME)


QUANTIZE = """
import numpy as np
import openvino
from openvino import opset13 as op
from save_avs.runtimes.openvino_runtime import quantize_encoder

draw = np.random.default_rng(0)

def linear(x, name):
    return op.matmul(x, op.constant(draw.normal(size=(8, 8)).astype(np.float32)), False, True, name=name)

tokens = op.parameter([-1, 4, 4, 8], np.float32)
sound = op.parameter([-1, 1, 1, 8], np.float32)
graph = openvino.Model([op.add(linear(tokens, "grid"), linear(sound, "one"))], [tokens, sound])
batch = tuple(draw.normal(size=(1, side, side, 8)).astype(np.float32) for side in (4, 1))
quantized = quantize_encoder(graph, [batch] * 2)
nodes = {node.get_friendly_name(): node for node in quantized.get_ordered_ops()}
assert nodes["grid"].input_value(0).get_node().get_type_name() == "FakeQuantize"
assert nodes["one"].input_value(0).get_node().get_type_name() == "Parameter"

from nncf.telemetry.wrapper import NNCFTelemetry, telemetry

assert not isinstance(telemetry, NNCFTelemetry)
"""


@pytest.mark.exhaustive
def test_quantizing_says_nothing_to_stdout_and_nothing_to_its_makers() -> None:
    """In a process of its own: NNCF never reports where pytest is."""
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    done = subprocess.run([sys.executable, "-c", QUANTIZE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr

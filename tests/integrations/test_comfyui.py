"""The ComfyUI node, called as ComfyUI's executor calls it; ComfyUI itself is in no package index."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.sample_videos import RATE, BrightWhereLoud, frame, tone_then_silence

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
FRAMES, FPS, SIZE = 20, 10.0, (96, 64)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The custom node as ComfyUI loads it: the folder's `__init__.py`, under a name of ComfyUI's."""
    spec = importlib.util.spec_from_file_location("custom_nodes_save_avs", FOLDER / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "load", lambda _: BrightWhereLoud())
    return module


def run(package: ModuleType, **sockets: Any) -> torch.Tensor:
    """Execute the node: widgets at their defaults, sockets by name."""
    (node,) = package.NODE_CLASS_MAPPINGS.values()
    inputs = node.INPUT_TYPES()
    widgets = {name: each[1]["default"] for name, each in inputs["required"].items() if len(each) > 1}
    assert set(sockets) <= {*inputs["required"], *inputs.get("optional", {})}
    outputs = getattr(node(), node.FUNCTION)(**widgets | sockets)
    assert len(outputs) == len(node.RETURN_TYPES) and node.RETURN_TYPES[0] == "MASK"
    return outputs[0]


@pytest.fixture
def images() -> torch.Tensor:
    """IMAGE f32 [B,H,W,3]: the white square that moves."""
    return torch.from_numpy(np.stack([frame(i, *SIZE) for i in range(FRAMES)])).float() / 255


@pytest.fixture
def audio() -> dict[str, Any]:
    """AUDIO: stereo [1,2,S], a tone in the first half."""
    waveform = torch.from_numpy(tone_then_silence(FRAMES / FPS))
    return {"waveform": waveform.repeat(1, 2, 1), "sample_rate": RATE}


def test_mask_covers_the_object_while_it_sounds(package, images, audio):
    mask = run(package, images=images, audio=audio, fps=FPS)
    assert mask.dtype == torch.float32 and mask.shape == images.shape[:3]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    white = images.mean(-1) > 0.5
    both = (mask.bool() & white).sum((1, 2)) / (mask.bool() | white).sum((1, 2))
    assert (both[:6] > 0.6).all()  # the stand-in sees cells of 4 x 4 pixels
    assert not mask[-5:].any()


def test_values_out_of_range_and_an_alpha_channel_are_as_without(package, images, audio):
    wild = torch.cat([images * 1.001, torch.rand(*images.shape[:3], 1)], dim=-1)
    expected = run(package, images=images, audio=audio, fps=FPS)
    torch.testing.assert_close(run(package, images=wild, audio=audio, fps=FPS), expected)


def test_video_without_sound_gives_empty_masks(package, images):
    assert not run(package, images=images, audio=None, fps=FPS).any()


def test_bundled_model_is_loaded_once():
    spec = importlib.util.spec_from_file_location("custom_nodes_save_avs", FOLDER / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.load("save-tiny") is module.load("save-tiny")

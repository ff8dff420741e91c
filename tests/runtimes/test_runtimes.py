"""Runtimes: parity with torch, cached exports, selection by timings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from save_avs.errors import UsageError
from save_avs.models import SAVE, build_save, save_model
from save_avs.runtimes import RUNTIMES, RuntimeModel, load_model, open_runtime
from save_avs.runtimes import interface as engine
from save_avs.runtimes import registry as store
from save_avs.runtimes.registry import RuntimeTiming, fastest_runtime, save_timings
from tests.support.tiny_model import SAM, shake, tiny_batch, tiny_config


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One for all tests here: to trace a model takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVE_AVS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = tiny_config(sam=SAM | {"depth": 2})
    model = build_save(config).eval()
    shake(model)
    return save_model(model, tmp_path_factory.mktemp("models") / "tiny")


def logits(model: SAVE | RuntimeModel, frames: int) -> torch.Tensor:
    with torch.inference_mode():
        return model(*tiny_batch(frames))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_runtime_matches_torch_for_any_number_of_frames(name: str, folder: Path) -> None:
    for package in RUNTIMES[name].packages:
        pytest.importorskip(package)
    torchs = load_model(folder, device="cpu", precision="fp32")
    others = load_model(folder, device="cpu", precision="fp32", runtime=name)
    assert others.runtime == name
    for frames in (3, 2, 5):
        torch.testing.assert_close(logits(others, frames), logits(torchs, frames), atol=1e-4, rtol=1e-4)


@pytest.mark.exhaustive
def test_openvino_bfloat16_is_close_to_float32(folder: Path) -> None:
    pytest.importorskip("openvino")
    near = logits(load_model(folder, device="cpu", precision="bf16", runtime="openvino"), 2)
    exact = logits(load_model(folder, device="cpu", precision="fp32"), 2)
    assert (near - exact).norm() < 0.05 * exact.norm()


def test_export_is_cached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting:
        name, packages, precisions = "counting", (), ("fp32",)
        exports = 0

        def export(self, model: SAVE, into: Path) -> None:
            self.exports += 1
            (into / "model").write_text(model.name)

        def open(self, at: Path, precision: str) -> engine.InferenceSession:
            assert (at / "model").read_text() == "tiny"
            return lambda images, log_mel: images[:, :1].float()

    counting = Counting()
    monkeypatch.setitem(RUNTIMES, "counting", counting)
    assert open_runtime("counting", folder, "fp32").name == "tiny"
    open_runtime("counting", folder, "fp32")
    assert counting.exports == 1
    assert not list(store.runtime_dir().rglob(".part-*"))


def test_failed_export_leaves_no_files(folder: Path) -> None:
    def fail(into: Path) -> None:
        (into / "half").write_text("x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.cached_export("key", "name", (), fail)
    assert not list((store.runtime_dir() / "key").iterdir())


def test_auto_selects_the_fastest_measured_runtime(folder: Path) -> None:
    assert load_model(folder, device="cpu", precision="fp32", runtime="auto").runtime == "torch"
    slow, fast = (
        RuntimeTiming(runtime="onnx", precision="fp32", ms=3),
        RuntimeTiming(runtime="torch", precision="fp32", ms=2),
    )
    quick_bf16 = RuntimeTiming(runtime="openvino", precision="bf16", ms=1)
    save_timings(folder, [slow, fast, quick_bf16])
    assert fastest_runtime(folder, "fp32") == "torch"
    assert fastest_runtime(folder, "bf16") in ("openvino", None)  # None where its package is not installed


def test_invalid_runtimes_are_one_line_usage_errors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unknown runtime 'tea': choose one of auto, torch"):
        load_model(folder, device="cpu", runtime="tea")
    monkeypatch.setattr("save_avs._extras.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install .*\[openvino\]"):
        load_model(folder, device="cpu", precision="fp32", runtime="openvino")
    monkeypatch.setattr("save_avs._extras.find_spec", lambda _: SimpleNamespace(origin=""))
    with pytest.raises(UsageError, match="supports fp32, not bf16"):
        load_model(folder, device="cpu", precision="bf16", runtime="onnx")


def test_bfloat16_model_is_close_to_float32(folder: Path) -> None:
    half = load_model(folder, device="cpu", precision="bf16")
    assert half.dtype == torch.bfloat16
    exact = logits(load_model(folder, device="cpu", precision="fp32"), 2)
    assert (logits(half, 2).float() - exact).norm() < 0.05 * exact.norm()

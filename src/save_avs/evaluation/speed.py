"""How fast a model runs on this machine, through every runtime and in every precision there is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from save_avs.evaluation.agreement import mask_agreement
from save_avs.evaluation.benchmark_timer import PeakMatmul, time_call, time_interleaved
from save_avs.models.precision import has_native_bf16, set_precision
from save_avs.models.profile import ModelProfile
from save_avs.models.save import SAVE, Precision
from save_avs.models.serialization import load_folder
from save_avs.runtimes import RUNTIMES, open_runtime
from save_avs.runtimes.base import is_installed
from save_avs.runtimes.registry import TORCH
from save_avs.synthesis.calibration_frames import calibration_frames

Frames = Callable[[Tensor, Tensor], Tensor]
Key = tuple[str, Precision]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class SpeedMeasurement:
    """What one way to compute a model took.

    Attributes:
        part: ``model``, or ``encoder`` alone (torch only).
        runtime, precision: the way.
        ms: median milliseconds a frame.
        ratio: how many times faster than the same part in torch, float32.
        peak: the machine's limit in that precision, GFLOP/s.
        share: of that limit, counting matrix products and convolutions only.
        agreement: mean IoU of the masks with those of torch's float32 on scenes; None for the encoder.
    """

    part: str
    runtime: str
    precision: Precision
    ms: float
    ratio: float
    peak: float
    share: float
    agreement: float | None


def precisions() -> tuple[Precision, ...]:
    """What this processor is fast in."""
    return ("fp32", "bf16") if has_native_bf16(torch.device("cpu")) else ("fp32",)


def load_candidates(folder: Path) -> dict[Key, SAVE | Frames]:
    """A saved model in every way that is installed: torch's as `SAVE`, in each precision."""
    model, _ = load_folder(folder)
    found = torch_candidates(model)
    for name, precision in _runtimes():
        found[name, precision] = open_runtime(name, folder, precision)
    return found


@contextmanager
def export_candidates(model: SAVE) -> Iterator[dict[Key, SAVE | Frames]]:
    """As ``load_candidates``, of a model that lies in no folder; what runtimes export goes when the block ends."""
    with TemporaryDirectory() as scratch:
        found = torch_candidates(model)
        for name, precision in _runtimes():
            folder = Path(scratch) / name
            if not folder.exists():
                folder.mkdir()
                RUNTIMES[name].export(model, folder)
            found[name, precision] = RUNTIMES[name].open(folder, precision)
        yield found


def torch_candidates(model: SAVE) -> dict[Key, SAVE | Frames]:
    """A float32 model in every precision."""
    return {(TORCH, precision): set_precision(copy.deepcopy(model), precision) for precision in precisions()}


def _runtimes() -> list[Key]:
    """What else is installed, with the precisions it has in common with the processor."""
    here = [(name, runtime) for name, runtime in RUNTIMES.items() if is_installed(runtime)]
    return [(name, p) for name, runtime in here for p in precisions() if runtime.precisions.count(p)]


@torch.inference_mode()
def measure_speed(
    ways: dict[Key, SAVE | Frames], sizes: ModelProfile, *, batch: int, rounds: int
) -> list[SpeedMeasurement]:
    """Time every way in turns on composed scenes, with the machine's limit in the same rounds.

    Args:
        ways: from ``load_candidates``; torch's float32 among them.
        sizes: the model's, for its operations.
        batch: frames at once.
        rounds: of which the median counts.
    """
    exact = ways[TORCH, "fp32"]
    assert isinstance(exact, SAVE)
    images, log_mel = calibration_frames(batch, exact.image_size, exact.frontend)
    masks = exact(images, log_mel)
    whole = {("model", *key): partial(way, images, log_mel) for key, way in ways.items()}
    alone = {
        ("encoder", *key): partial(way.sam.image_encoder, way.sam.preprocess(images))
        for key, way in ways.items()
        if isinstance(way, SAVE)
    }
    limits = {
        precision: PeakMatmul(dtype) for precision, dtype in DTYPES.items() if precision in precisions()
    }
    runs = {"/".join(key): partial(time_call, run) for key, run in (whole | alone).items()}
    seconds = time_interleaved(runs | limits, rounds)
    flops = {"model": sum(sizes.flops.values())}
    flops["encoder"] = sizes.flops["SAM encoder"] + sizes.flops["image adapters"]
    speeds = []
    for part, runtime, precision in whole | alone:
        taken, limit = seconds[f"{part}/{runtime}/{precision}"], PeakMatmul.flops / seconds[precision]
        agreement = None
        if part == "model":
            agreement = mask_agreement(masks, ways[runtime, precision](images, log_mel))
        speeds.append(
            SpeedMeasurement(
                part=part,
                runtime=runtime,
                precision=precision,
                ms=1e3 * taken / batch,
                ratio=seconds[f"{part}/{TORCH}/fp32"] / taken,
                peak=limit / 1e9,
                share=flops[part] * batch / taken / limit,
                agreement=agreement,
            )
        )
    return speeds

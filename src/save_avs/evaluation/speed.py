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

from save_avs.data.scene_frames import scene_frames
from save_avs.evaluation.agreement import mask_agreement
from save_avs.evaluation.timing import Product, in_turns, seconds_of
from save_avs.model.files import read_folder
from save_avs.model.precision import fast_bf16, set_precision
from save_avs.model.runtimes import RUNTIMES, open_runtime
from save_avs.model.runtimes.engine import installed
from save_avs.model.runtimes.registry import TORCH
from save_avs.model.save import SAVE, Precision
from save_avs.model.sizes import Sizes

Frames = Callable[[Tensor, Tensor], Tensor]
Key = tuple[str, Precision]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Speed:
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
    return ("fp32", "bf16") if fast_bf16(torch.device("cpu")) else ("fp32",)


def contenders(folder: Path) -> dict[Key, SAVE | Frames]:
    """A saved model in every way that is installed: torch's as `SAVE`, in each precision."""
    model, _ = read_folder(folder)
    found = torch_contenders(model)
    for name, precision in _runtimes():
        found[name, precision] = open_runtime(name, folder, precision)
    return found


@contextmanager
def fresh_contenders(model: SAVE) -> Iterator[dict[Key, SAVE | Frames]]:
    """As ``contenders``, of a model that lies in no folder; what runtimes export goes when the block ends."""
    with TemporaryDirectory() as scratch:
        found = torch_contenders(model)
        for name, precision in _runtimes():
            folder = Path(scratch) / name
            if not folder.exists():
                folder.mkdir()
                RUNTIMES[name].export(model, folder)
            found[name, precision] = RUNTIMES[name].open(folder, precision)
        yield found


def torch_contenders(model: SAVE) -> dict[Key, SAVE | Frames]:
    """A float32 model in every precision."""
    return {(TORCH, precision): set_precision(copy.deepcopy(model), precision) for precision in precisions()}


def _runtimes() -> list[Key]:
    """What else is installed, with the precisions it has in common with the processor."""
    here = [(name, runtime) for name, runtime in RUNTIMES.items() if installed(runtime)]
    return [(name, p) for name, runtime in here for p in precisions() if runtime.precisions.count(p)]


@torch.inference_mode()
def measure_speed(ways: dict[Key, SAVE | Frames], sizes: Sizes, *, batch: int, rounds: int) -> list[Speed]:
    """Time every way in turns on composed scenes, with the machine's limit in the same rounds.

    Args:
        ways: from ``contenders``; torch's float32 among them.
        sizes: the model's, for its operations.
        batch: frames at once.
        rounds: of which the median counts.
    """
    exact = ways[TORCH, "fp32"]
    assert isinstance(exact, SAVE)
    images, patches = scene_frames(batch, exact.image_size, exact.front_end)
    masks = exact(images, patches)
    whole = {("model", *key): partial(way, images, patches) for key, way in ways.items()}
    alone = {
        ("encoder", *key): partial(way.sam.image_encoder, way.sam.normalise(images))
        for key, way in ways.items()
        if isinstance(way, SAVE)
    }
    limits = {precision: Product(dtype) for precision, dtype in DTYPES.items() if precision in precisions()}
    runs = {"/".join(key): partial(seconds_of, run) for key, run in (whole | alone).items()}
    seconds = in_turns(runs | limits, rounds)
    flops = {"model": sum(sizes.flops.values())}
    flops["encoder"] = sizes.flops["SAM encoder"] + sizes.flops["image adapters"]
    speeds = []
    for part, runtime, precision in whole | alone:
        taken, limit = seconds[f"{part}/{runtime}/{precision}"], Product.flops / seconds[precision]
        agreement = None
        if part == "model":
            agreement = mask_agreement(masks, ways[runtime, precision](images, patches))
        speeds.append(
            Speed(
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

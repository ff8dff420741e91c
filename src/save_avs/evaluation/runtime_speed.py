"""Speed of a model on this machine, through every installed runtime and in every fast precision."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.metrics.frame_scores import mask_agreement
from save_avs.models.precision import has_native_bf16, set_precision
from save_avs.models.profile import ModelProfile
from save_avs.models.sam.cpu_kernels import Linear, PackedLinear, has_onednn
from save_avs.models.save import SAVE, Precision
from save_avs.models.serialization import load_folder
from save_avs.runtimes import RUNTIMES, open_runtime
from save_avs.runtimes.interface import is_installed
from save_avs.runtimes.registry import TORCH
from save_avs.synthesis.sample_streams import calibration_frames

TOKENS, IN_FEATURES, OUT_FEATURES = 2048, 768, 3072  # ViT-B's widest linear layer on eight frames of 256 px
REPEATS = 5

ForwardFn = Callable[[Tensor, Tensor], Tensor]
Key = tuple[str, Precision]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class SpeedMeasurement:
    """Time of a model in one runtime and precision."""

    part: str  # ``model``, or ``encoder`` alone (torch only)
    # runtime, precision: of the measurement
    runtime: str
    precision: Precision
    ms: float  # median milliseconds per frame
    ratio: float  # speedup over the same part in torch, float32
    peak: float  # the fastest matrix product of this machine in that precision, GFLOP/s
    share: float  # achieved share of the peak, counting matrix products and convolutions only
    # mean IoU of the masks with those of torch in float32 on scenes; None for the encoder
    agreement: float | None


def fast_cpu_precisions() -> tuple[Precision, ...]:
    """Return the precisions that this CPU computes fast."""
    return ("fp32", "bf16") if has_native_bf16(torch.device("cpu")) else ("fp32",)


def load_candidates(folder: Path) -> dict[Key, SAVE | ForwardFn]:
    """Load a saved model in every installed runtime and fast precision; torch's as `SAVE`."""
    found = torch_candidates(load_folder(folder))
    for name, precision in _runtimes():
        found[name, precision] = open_runtime(name, folder, precision)
    return found


@contextmanager
def export_candidates(model: SAVE) -> Iterator[dict[Key, SAVE | ForwardFn]]:
    """As ``load_candidates`` for an unsaved model; exports are deleted when the block ends."""
    with TemporaryDirectory() as scratch:
        found = torch_candidates(model)
        for name, precision in _runtimes():
            folder = Path(scratch) / name
            if not folder.exists():
                folder.mkdir()
                RUNTIMES[name].export(model, folder)
            found[name, precision] = RUNTIMES[name].open(folder, precision)
        yield found


def torch_candidates(model: SAVE) -> dict[Key, SAVE | ForwardFn]:
    """Copy a float32 model in every fast precision."""
    return {
        (TORCH, precision): set_precision(copy.deepcopy(model), precision)
        for precision in fast_cpu_precisions()
    }


def _runtimes() -> list[Key]:
    """Installed runtimes other than torch, with the precisions that they share with the CPU."""
    here = [(name, runtime) for name, runtime in RUNTIMES.items() if is_installed(runtime)]
    return [(name, p) for name, runtime in here for p in fast_cpu_precisions() if runtime.precisions.count(p)]


@torch.inference_mode()
def measure_speed(
    candidates: dict[Key, SAVE | ForwardFn], profile: ModelProfile, *, batch_size: int, rounds: int
) -> list[SpeedMeasurement]:
    """Time all candidates interleaved on composed scenes, with the machine's peak in the same rounds.

    ``candidates`` are ``load_candidates``'s; the profile gives the operations; the median of the rounds
    counts.
    """
    reference = candidates[TORCH, "fp32"]
    assert isinstance(reference, SAVE)
    images, log_mel = calibration_frames(batch_size, reference.image_size, reference.frontend)
    masks = reference(images, log_mel)
    models = {("model", *key): partial(candidate, images, log_mel) for key, candidate in candidates.items()}
    encoders = {
        ("encoder", *key): partial(candidate.sam.image_encoder, candidate.sam.preprocess(images))
        for key, candidate in candidates.items()
        if isinstance(candidate, SAVE)
    }
    peaks = {precision: PeakMatmul(DTYPES[precision]) for precision in fast_cpu_precisions()}
    runs = {"/".join(key): partial(time_call, run) for key, run in (models | encoders).items()}
    seconds = time_interleaved(runs | peaks, rounds)
    flops = {"model": sum(profile.flops.values())}
    flops["encoder"] = profile.flops["SAM encoder"] + profile.flops["image adapters"]
    speeds = []
    for part, runtime, precision in models | encoders:
        taken, peak = seconds[f"{part}/{runtime}/{precision}"], PeakMatmul.flops / seconds[precision]
        agreement = None
        if part == "model":
            agreement = mask_agreement(masks, candidates[runtime, precision](images, log_mel))
        speeds.append(
            SpeedMeasurement(
                part=part,
                runtime=runtime,
                precision=precision,
                ms=1e3 * taken / batch_size,
                ratio=seconds[f"{part}/{TORCH}/fp32"] / taken,
                peak=peak / 1e9,
                share=flops[part] * batch_size / taken / peak,
                agreement=agreement,
            )
        )
    return speeds


def time_call(run: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def time_interleaved(
    runs: Mapping[str, Callable[[], float]],
    rounds: int,
    *,
    choose: Callable[[list[float]], float] = median,
) -> dict[str, float]:
    """Return the median (or what ``choose`` makes of all) seconds of each run.

    Each round has all of them, under the same machine load. A run returns the seconds it took. The first
    round, of warm-up, is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for counted in [False] + [True] * rounds:
        for name, run in runs.items():
            taken = run()
            if counted:
                seconds[name].append(taken)
    return {name: choose(times) for name, times in seconds.items()}


class PeakMatmul:
    """The machine's peak, as a run for `time_interleaved`: the fastest of a few matrix products.

    Torch's own product and oneDNN's with a packed weight both count: on an AMD CPU, torch's takes twice as
    long in float32.
    """

    flops = 2 * TOKENS * IN_FEATURES * OUT_FEATURES

    def __init__(self, dtype: torch.dtype) -> None:
        linear = Linear(IN_FEATURES, OUT_FEATURES).requires_grad_(False).to(dtype)
        self._tokens = torch.randn(TOKENS, IN_FEATURES, dtype=dtype)
        self._products: list[Callable[[Tensor], Tensor]] = [partial(F.linear, weight=linear.weight)]
        if has_onednn():
            self._products.append(PackedLinear(linear))

    def __call__(self) -> float:
        """Return the seconds of one product."""
        return min(time_call(partial(product, self._tokens)) for product in self._products * REPEATS)

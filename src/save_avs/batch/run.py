"""A batch run: plan what is missing, start or join Ray, segment, and count."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from save_avs._extras import package_version
from save_avs._text import one_line
from save_avs.batch.model_package import ModelPackage
from save_avs.batch.output import DONE_TABLE, FAILED_TABLE, BatchOutput, ResultSink
from save_avs.batch.segmenter import TRANSIENT, BatchSettings, VideoSegmenter
from save_avs.batch.storage import Video, is_remote, version_of
from save_avs.errors import SaveAvsError, UsageError

_SPARE_CPUS = 2  # logical CPUs beyond the workers': Ray Data's own tasks would wait for one forever
_MAX_VIDEOS_PER_FILE = 500
_PROBED_PATHS = 50


@dataclass(frozen=True)
class BatchPlan:
    """What there is to do."""

    todo: Sequence[Video]  # without a result of the file as it is now
    done: int  # videos with a result
    failed: int  # videos that are not tried again
    redo: frozenset[str]  # paths in ``todo`` that have an outdated row


def plan_batch(videos: Sequence[Video], output: BatchOutput, *, retry_failed: bool = False) -> BatchPlan:
    """Compare inputs with existing results; files that changed since are segmented again.

    So are failures that the video may not be to blame for; all others only with ``retry_failed``.
    """
    done = output.rows(DONE_TABLE, ("version",))
    failed = output.rows(FAILED_TABLE)

    def is_current(video: Video) -> bool:
        row = failed.get(video.id) or done.get(video.id)
        again = video.id in failed and (retry_failed or failed[video.id]["status"] in TRANSIENT)
        return (
            row is not None and not again and (version_of(video.location) or row["version"]) == row["version"]
        )

    todo = [video for video in videos if not is_current(video)]
    pending = {video.id for video in todo}
    kept = {video.id for video in videos} - pending
    redo = frozenset(pending & (done.keys() | failed.keys()))
    return BatchPlan(todo, len(kept & done.keys()), len(kept & failed.keys()), redo)


def result_settings(model: ModelPackage, settings: BatchSettings) -> dict[str, Any]:
    """Return what decides the results: one output holds results of one kind."""
    options = {name: value for name, value in vars(settings).items() if name not in ("device", "files")}
    options["outputs"] = sorted(settings.outputs)
    return {"version": package_version(), "model": model.sha256, **options}


def run_batch(
    plan: BatchPlan,
    output: BatchOutput,
    model: ModelPackage,
    settings: BatchSettings,
    *,
    address: str | None,
    workers: int | None,
    gpus_per_worker: float | None,
    on_message: Callable[[str], None],
) -> None:
    """Segment what is missing on Ray Data; the nodes write the results.

    ``workers`` is how many videos at once, None for as many as the cluster has CPUs (or GPUs) for, each with
    ``gpus_per_worker`` of a GPU, None for a whole one where there are any.

    Raises:
        UsageError: the cluster cannot be reached, or a node lacks the package or sees other files.
        SaveAvsError: no video can be segmented, or results cannot be written.
    """
    kind = result_settings(model, settings)
    if not plan.todo:
        return
    with _ray(address, workers, on_message) as remote:
        import ray
        from ray.data import ActorPoolStrategy, from_items
        from ray.exceptions import RayError

        if remote:
            with output.created():
                _check_nodes(plan.todo, output.url)
            model = model.with_content()
        output.write_settings(kind)
        output.forget(plan.redo)
        count = len(plan.todo)
        if settings.device == "cpu":
            gpus_per_worker = None
        elif gpus_per_worker is None and ray.cluster_resources().get("GPU", 0):
            gpus_per_worker = 1.0
        size = workers or (None if remote else _local_cpus())
        pool = ActorPoolStrategy(size=size) if size else ActorPoolStrategy(min_size=1, max_size=None)
        rows = [{"path": video.id, "location": video.location} for video in plan.todo]
        try:
            from_items(rows, override_num_blocks=min(count, max(200, count // 100))).map(
                VideoSegmenter,  # type: ignore[arg-type], Ray constructs it in each actor
                fn_constructor_args=(model, settings),
                compute=pool,
                num_cpus=1,
                num_gpus=gpus_per_worker or None,
            ).write_datasink(ResultSink(output.url, min(_MAX_VIDEOS_PER_FILE, max(1, count // 100))))
        except RayError as error:
            raise _cause(error) from error


@contextmanager
def _ray(address: str | None, workers: int | None, on_message: Callable[[str], None]) -> Iterator[bool]:
    """Join a cluster, or start Ray here for the block; yields whether other machines may take part."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield True
        return
    remote = bool(address or os.environ.get("RAY_ADDRESS"))
    try:
        if remote:
            # Nodes run this very code, whatever they have installed; its dependencies must be there.
            package = str(Path(__file__).parents[1])
            ray.init(address=address, runtime_env={"py_modules": [package]})
        else:
            workers = workers or _local_cpus()
            ray.init(num_cpus=workers + _SPARE_CPUS, log_to_driver=False)
            on_message(f"Ray runs on this machine with {workers} worker{'s' * (workers != 1)}")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"Cannot reach the Ray cluster: {one_line(error)}") from error
    try:
        yield remote
    finally:
        ray.shutdown()


def _check_nodes(videos: Sequence[Video], output: str) -> None:
    """See that every node has what the package needs, and sees local inputs and a local output."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    local = [video.location for video in videos if not is_remote(video.location)][:_PROBED_PATHS]
    local += [] if is_remote(output) else [output]
    probe = ray.remote(num_cpus=0, max_retries=0)(_probe)
    answers = {}
    for node, name in _nodes().items():
        here = NodeAffinitySchedulingStrategy(node, soft=False)
        answers[node] = name, probe.options(scheduling_strategy=here).remote(local)
    for node, (name, answer) in answers.items():
        try:
            torch_version, missing = ray.get(answer)
        except RayError as error:
            if node not in _nodes():  # it left
                continue
            raise UsageError(f"Node {name} cannot run save-avs: {_last_line(error)}.") from error
        if missing:
            raise UsageError(
                f"Node {name} cannot see {missing[0]} ({len(missing)} of {len(local)} paths checked): "
                "use a shared path or a URL."
            )
        if torch_version.split(".")[:2] != version("torch").split(".")[:2]:
            raise UsageError(f"Node {name} has torch {torch_version}, this machine {version('torch')}.")


def _nodes() -> dict[str, str]:
    """Return the host names of the living nodes by id."""
    import ray

    return {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}


def _probe(paths: Sequence[str]) -> tuple[str, list[str]]:
    import torch

    import save_avs.inference.pipeline  # noqa: F401, proves that the package and its dependencies import

    return torch.__version__, [path for path in paths if not Path(path).exists()]


def _local_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cause(error: BaseException) -> SaveAvsError:
    """Return the error of ours that a Ray error was caused by, else one that names the first cause."""
    while not isinstance(error, SaveAvsError):
        cause = getattr(error, "cause", None) or error.__cause__
        if cause is None:
            return SaveAvsError(f"Ray stopped the run ({type(error).__name__}: {_last_line(error)}).")
        error = cause
    return error


def _last_line(error: BaseException) -> str:
    return one_line(str(error).strip().rpartition("\n")[2] or error)

"""A batch run: plan what is missing, start or join Ray, segment, and count."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from save_avs._extras import package_version
from save_avs._remote import is_remote
from save_avs._text import one_line
from save_avs.batch.inputs import Video, version_of
from save_avs.batch.output import DONE_TABLE, FAILED_TABLE, BatchOutput
from save_avs.batch.segmenter import TRANSIENT, BatchSettings, ModelPackage, VideoSegmenter
from save_avs.errors import SaveAvsError, UsageError

_MAX_VIDEOS_PER_FILE = 100  # and per task: as many a worker that dies costs at most
_PROBED_PATHS = 50
_COMPARED = ("torch", "av", "numpy")  # packages that decide results: their minor versions must agree


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
    done = output.rows(DONE_TABLE, "version")
    failed = output.rows(FAILED_TABLE, "version", "status")
    rows = done | failed

    def is_current(video: Video) -> bool:
        row = rows.get(video.path)
        if row is None or (video.path in failed and (retry_failed or row["status"] in TRANSIENT)):
            return False
        return (version_of(video.location) or row["version"]) == row["version"]

    todo = [video for video in videos if not is_current(video)]
    pending = {video.path for video in todo}
    kept = {video.path for video in videos} - pending
    return BatchPlan(
        todo, len(kept & done.keys()), len(kept & failed.keys()), frozenset(pending & rows.keys())
    )


def result_settings(model: ModelPackage, settings: BatchSettings) -> dict[str, Any]:
    """Return what decides the results: one output holds results of one kind."""
    options = {**settings.loading, **settings.segmentation}
    options |= {"outputs": sorted(options["outputs"])}
    del options["device"]
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
    if not plan.todo:
        return
    with _ray(address, workers, on_message) as cluster:
        import ray
        from ray.data import ActorPoolStrategy, DataContext, from_items
        from ray.exceptions import RayError

        if cluster:
            _check_nodes(plan.todo, output.url)
            model = model.with_content()
        output.prepare(result_settings(model, settings), plan.redo)
        resources = ray.cluster_resources()
        if settings.loading["device"] == "cpu":
            gpus_per_worker = None
        elif gpus_per_worker is None and "GPU" in resources:
            gpus_per_worker = 1.0
        per_file = min(_MAX_VIDEOS_PER_FILE, max(1, len(plan.todo) // 200))
        blocks = math.ceil(len(plan.todo) / per_file)
        fit = resources.get("GPU", 0) / gpus_per_worker if gpus_per_worker else resources.get("CPU", 0)
        DataContext.get_current().raise_original_map_exception = True  # Ray's own hides the cause
        # without a number there are as many as fit now, and more when the cluster grows
        pool: Any = {"size": workers} if workers else {"min_size": max(1, min(int(fit), blocks))}
        try:
            from_items([video._asdict() for video in plan.todo], override_num_blocks=blocks).map_batches(
                VideoSegmenter,  # type: ignore[arg-type], Ray constructs it in each actor
                batch_size=None,  # a block is a task and a file
                batch_format="pyarrow",
                fn_constructor_args=(model, settings),
                compute=ActorPoolStrategy(**pool),
                num_cpus=1,
                num_gpus=gpus_per_worker,
            ).materialize()
        except (RayError, SaveAvsError) as error:
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
    cluster = bool(address or os.environ.get("RAY_ADDRESS"))
    try:
        if cluster:
            # Nodes run this very code, whatever they have installed; its dependencies must be there.
            ray.init(address=address, runtime_env={"py_modules": [str(Path(__file__).parents[1])]})
        else:
            cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
            workers = workers or cpus or 1
            ray.init(num_cpus=workers, log_to_driver=False)
            on_message(f"Ray runs on this machine with {workers} worker{'s' * (workers != 1)}")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"Cannot reach the Ray cluster: {one_line(error)}") from error
    try:
        yield cluster
    finally:
        ray.shutdown()


def _check_nodes(videos: Sequence[Video], output: str) -> None:
    """See that every node has what the package needs, and sees local inputs and a local output."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    local = [video.location for video in videos if not is_remote(video.location)][:_PROBED_PATHS]
    folder = Path(output)
    missing = not is_remote(output) and not folder.exists()
    if missing:
        folder.mkdir(parents=True)  # for the nodes to look for
    local += [] if is_remote(output) else [output]
    # A program that runs Ray by itself may not have sent this code to the nodes.
    sent = "py_modules" in ray.get_runtime_context().runtime_env
    versions = {name: package_version(name) for name in (*_COMPARED, *(() if sent else ("save-avs",)))}
    probe = ray.remote(num_cpus=0, max_retries=0)(_find_problem)
    answers = {}
    for node, name in _nodes().items():
        here = NodeAffinitySchedulingStrategy(node, soft=False)
        answers[node] = name, probe.options(scheduling_strategy=here).remote(local, versions)
    for node, (name, answer) in answers.items():
        try:
            problem = ray.get(answer)
        except RayError as error:
            problem = f"cannot run save-avs: {_last_line(error)}" if node in _nodes() else ""  # it left
        if problem:
            if missing:
                folder.rmdir()
            raise UsageError(f"Node {name} {problem}.")


def _find_problem(paths: Sequence[str], versions: Mapping[str, str]) -> str:
    """Return why this node cannot take part, empty if it can."""
    import save_avs.inference.pipeline  # noqa: F401, proves that the package and its dependencies import

    for package, wanted in versions.items():
        if (found := package_version(package)).split(".")[:2] != wanted.split(".")[:2]:
            return f"has {package} {found}, this machine has {wanted}: install the same version there"
    missing = [path for path in paths if not Path(path).exists()]
    checked = f"({len(missing)} of {len(paths)} paths checked): use a shared path or a URL"
    return f"cannot see {missing[0]} {checked}" if missing else ""


def _nodes() -> dict[str, str]:
    """Return the host names of the living nodes by id."""
    import ray

    return {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}


def _cause(error: BaseException) -> SaveAvsError:
    """Return the error of ours that a Ray error was caused by, else one that names the first cause."""
    while not isinstance(error, SaveAvsError) or hasattr(error, "cause"):  # Ray's own are of both kinds
        cause = getattr(error, "cause", None) or error.__cause__
        if cause is None:
            return SaveAvsError(f"Ray stopped the run ({type(error).__name__}: {_last_line(error)}).")
        error = cause
    return type(error)(str(error).partition(r"\nFailed to apply")[0])  # without Ray's advice


def _last_line(error: BaseException) -> str:
    return one_line(str(error).strip().rpartition("\n")[2] or error)

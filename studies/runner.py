"""Training and scoring of the runs of a grid study, in sequence or in parallel."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from save_avs._files import atomic_write
from save_avs._text import escape_control_chars
from save_avs.errors import SaveAvsError, UsageError
from save_avs.training.history import read_history
from save_avs.training.run_recipe import train
from save_avs.training.signals import InterruptedRunError
from save_avs.training.stage_config import SyntheticStage
from save_avs.training.stage_setup import with_corpus_classes
from studies.budget import frames_per_step, profile_recipe, training_flops
from studies.config import Run
from studies.environment import describe_machine
from studies.log import LogCallback
from studies.results import COMMITTED, FILE, RunResult, read_results, rename_result, write_results
from studies.scoring import measure_ms_per_frame, score_model, score_prompted

Log = Callable[[str], None]
IDENTITY = "digest"  # file in the folder of a run


def find_results(runs: Sequence[Run], folder: Path, committed: str | None = None) -> dict[str, RunResult]:
    """Return the results of runs that exist already, by name.

    A result with the same recipe and starting weights belongs to a run, whichever study it was made for. It
    is looked for in the study's folder and in the folders next to it.

    Args:
        runs: of the study.
        folder: of the study.
        committed: name of the study if it runs as declared: its committed results then count, too.
    """
    tables = [folder / FILE, *sorted(folder.parent.glob(f"*/{FILE}"))]
    known = [result for table in dict.fromkeys(tables) for result in read_results(table)]
    shipped = {r.name: r for r in read_results(COMMITTED / f"{committed}.csv")} if committed else {}
    found = {
        run.name: next((r for r in known if _is_result_of(r, run)), shipped.get(run.name)) for run in runs
    }
    return {
        run.name: rename_result(result, run.variant, run.seed)
        for run in runs
        if (result := found[run.name]) is not None
    }


def _is_result_of(result: RunResult, run: Run) -> bool:
    if result.digest.split(" ")[0] != run.digest:
        return False
    try:
        return result.digest == run.identity
    except UsageError:  # without its starting weights, a result counts by its recipe alone
        return True


def save_results(folder: Path, results: Mapping[str, RunResult]) -> None:
    """Add results to the table of a study's folder, replacing those of the same name."""
    known = {result.name: result for result in read_results(folder / FILE)}
    write_results(folder / FILE, list({**known, **results}.values()))


def check_runs(runs: Sequence[Run]) -> None:
    """Check that runs can start: their starting weights exist, and their folders are their own.

    Raises:
        UsageError: a run cannot start.
    """
    for run in runs:
        if run.prompt is not None and not isinstance(run.stage, SyntheticStage):
            raise UsageError(
                f"{run.variant}: SAM's own prompts need composed scenes: use a recipe that trains on them"
            )
        _check_identity(run)
        with_corpus_classes(run.recipe)


def check_folder(folder: Path, variants: Container[str]) -> None:
    """Check that a folder is new or that of the study with these variants.

    Raises:
        UsageError: it is something else.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if folder.is_file() or (names and FILE not in names and not any("-seed" in name for name in names)):
        raise UsageError(f"{folder} exists and is not a study's folder: choose another with -o")
    if other := [r.name for r in read_results(folder / FILE) if r.variant not in variants]:
        raise UsageError(
            f"{folder} contains another study, with the run {other[0]}: choose another folder with -o"
        )


def _check_identity(run: Run) -> str:
    marker, identity = run.recipe.out / IDENTITY, run.identity + "\n"
    if marker.exists() and marker.read_text() != identity:
        raise UsageError(
            f"{run.recipe.out} contains a run with a different recipe or initial weights: choose another "
            "folder with -o, or delete it"
        )
    return identity


def execute_runs(runs: Sequence[Run], folder: Path, *, jobs: int, log: Log) -> dict[str, str]:
    """Train and score runs; one that fails does not stop the others.

    Args:
        runs: without a result.
        folder: of the study, where each result is saved at once.
        jobs: runs at a time; each gets its share of the cores.
        log: called with lines about the progress.

    Returns:
        The error message of each failed run, by name.

    Raises:
        InterruptedRunError: stopped by a signal; checkpoints are saved.
    """
    failed: dict[str, str] = {}
    outcomes = _in_sequence(runs, log) if jobs == 1 else _in_parallel(runs, jobs)
    for done, (run, outcome) in enumerate(outcomes, 1):
        if isinstance(outcome, RunResult):
            save_results(folder, {run.name: outcome})
            log(f"{run.name}: done ({done} of {len(runs)})")
        else:
            failed[run.name] = outcome
            log(f"{run.name}: failed: {outcome} ({done} of {len(runs)})")
    return failed


def _in_sequence(runs: Sequence[Run], log: Log) -> Iterator[tuple[Run, RunResult | str]]:
    for run in runs:
        yield run, _try_run(run, log)


def _in_parallel(runs: Sequence[Run], jobs: int) -> Iterator[tuple[Run, RunResult | str]]:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, max_tasks_per_child=1) as pool, _terminating(pool):
        futures = {pool.submit(_try_run_in_process, run, threads): run for run in runs}
        for future in as_completed(futures):
            yield futures[future], future.result()


@contextmanager
def _terminating(pool: ProcessPoolExecutor) -> Iterator[None]:
    """On an exception, send SIGTERM to the runs, which then save a checkpoint."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise


def _try_run_in_process(run: Run, threads: int) -> RunResult | str:
    torch.set_num_threads(threads)
    return _try_run(run, lambda line: print(escape_control_chars(line), file=sys.stderr, flush=True))


def _try_run(run: Run, log: Log) -> RunResult | str:
    """Return the result of a run, or its error message."""
    try:
        return execute_run(run, log)
    except InterruptedRunError:
        raise
    except SaveAvsError as error:
        return str(error)
    except Exception as error:  # a bug in one run must not stop the others
        return f"{type(error).__name__}: {' '.join(str(error).split())}"


def execute_run(run: Run, log: Log) -> RunResult:
    """Train a run, resuming it where it stopped, and score it.

    Raises:
        UsageError: something it needs is missing, or its folder contains a run with another recipe.
        SaveAvsError: the training fails.
    """
    callback = LogCallback(run.name, log)
    identity = _check_identity(run)
    frames, seconds, memory = 0, 0.0, None
    if run.prompt is None:
        atomic_write(run.recipe.out / IDENTITY, identity)
        scores = score_model(run, train(run.recipe, [callback]), callback.on_scored)
        histories = [read_history(run.recipe, stage) for stage in run.recipe.stages]
        frames = round(sum(h.progress.step * frames_per_step(h.stage) for h in histories))
        seconds = round(sum(history.progress.seconds for history in histories), 1)
        memory = max(row["memory_gb"] for row in histories[-1].training)
    else:
        scores = score_prompted(run, callback.on_scored)
    profile = profile_recipe(run.recipe)
    return RunResult(
        variant=run.variant,
        seed=run.seed,
        digest=identity.strip(),
        f_score=scores.f_score,
        frames=frames,
        seconds=seconds,
        memory_gb=memory,
        trained_parameters=profile.trained if frames else 0,
        parameters=profile.total,
        flops_per_frame=sum(profile.flops.values()),
        training_flops=training_flops(run.recipe) if frames else None,
        machine=describe_machine(),
        values=scores.values,
    )


def time_variants(runs: Sequence[Run], results: Mapping[str, RunResult], log: Log) -> dict[str, RunResult]:
    """Return the results with inference times, timing all variants interleaved if one has none."""
    recipes = {run.variant: run.recipe for run in runs if run.name in results and run.prompt is None}
    if all(r.ms_per_frame is not None for r in results.values() if r.variant in recipes):
        return dict(results)
    log(f"timing {len(recipes)} models")
    ms = measure_ms_per_frame(recipes)
    return {name: replace(r, ms_per_frame=ms.get(r.variant)) for name, r in results.items()}

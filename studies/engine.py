"""All runs of a study: what is there already is taken, the rest is trained, one after another or beside."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import torch

from save_avs._files import atomic_write
from save_avs._text import escape_control_chars
from save_avs.errors import SaveAvsError, UsageError
from save_avs.training.setup import with_corpus_classes
from save_avs.training.signals import InterruptedRunError
from save_avs.training.stage import SyntheticStage
from studies.result import FOLDER, Result, results_in
from studies.runner import check_place, execute
from studies.runs import Run

Say = Callable[[str], None]
MARK = "study"  # the file that says whose a folder is
COMMITTED = Path("docs/studies/runs")  # results that came with the checkout


def claim_folder(folder: Path, name: str) -> None:
    """Make the folder of a study, or go on in it.

    Raises:
        UsageError: when it is something else, or another study's.
    """
    marker = folder / MARK
    if marker.is_file():
        if (other := marker.read_text().strip()) != name:
            raise UsageError(f"{folder} holds the study {other}: name another folder with -o")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and holds no study: name another folder with -o")
    atomic_write(marker, f"{name}\n")


def known_results(folder: Path) -> tuple[Result, ...]:
    """All results in a study's folder, in those of the studies beside it, and among the committed ones."""
    beside = sorted(folder.parent.glob(f"*/{FOLDER}"))
    return tuple(results_in([folder / FOLDER, *beside, COMMITTED]))


def collect(runs: Sequence[Run], known: Sequence[Result]) -> dict[str, Result]:
    """The results of runs by their names, as far as there are any.

    A result of the same recipe is the run's, whatever study it was made for.
    """
    found = {run.name: next((result for result in known if result.of(run)), None) for run in runs}
    return {run.name: result.named_as(run) for run in runs if (result := found[run.name]) is not None}


def check_runs(runs: Iterable[Run]) -> None:
    """See that runs can be: what they start from is there, their folders are theirs.

    Raises:
        UsageError: when it is not so.
    """
    for run in runs:
        if run.prompt is not None and not isinstance(run.stage, SyntheticStage):
            raise UsageError(
                f"{run.variant}: SAM is asked by its own prompts on composed scenes: name a recipe that "
                "trains on them"
            )
        check_place(run)
        with_corpus_classes(run.recipe)


def carry_out(runs: Sequence[Run], folder: Path, *, jobs: int, print_line: Say) -> dict[str, str]:
    """Train and score runs; one that fails does not keep the others.

    Args:
        runs: those that have no result.
        folder: of the study.
        jobs: how many at a time; each then has its share of the cores.
        print_line: takes lines about how far they are.

    Returns:
        What was wrong with those that failed, by their names.

    Raises:
        InterruptedRunError: when told to stop; what was trained is saved.
    """
    failed: dict[str, str] = {}
    outcomes = _in_turn(runs, folder, print_line) if jobs == 1 else _beside(runs, folder, jobs)
    for done, (run, problem) in enumerate(outcomes, 1):
        print_line(
            f"{run.name}: {'done' if problem is None else f'failed: {problem}'} ({done} of {len(runs)})"
        )
        if problem is not None:
            failed[run.name] = problem
    return failed


def _in_turn(runs: Sequence[Run], folder: Path, print_line: Say) -> Iterator[tuple[Run, str | None]]:
    for run in runs:
        yield run, _attempt(run, folder, print_line)


def _beside(runs: Sequence[Run], folder: Path, jobs: int) -> Iterator[tuple[Run, str | None]]:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, max_tasks_per_child=1) as pool, _ended(pool):
        waiting: dict[Future[str | None], Run] = {
            pool.submit(_attempt_apart, run, folder, threads): run for run in runs
        }
        for future in as_completed(waiting):
            yield waiting[future], future.result()


@contextmanager
def _ended(pool: ProcessPoolExecutor) -> Iterator[None]:
    """Should the block be broken off, tell what still trains to save itself."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise


def _attempt_apart(run: Run, folder: Path, threads: int) -> str | None:
    """In a process of its own."""
    torch.set_num_threads(threads)
    return _attempt(run, folder, lambda line: print(escape_control_chars(line), file=sys.stderr, flush=True))


def _attempt(run: Run, folder: Path, print_line: Say) -> str | None:
    """Execute a run; what was wrong, in a line, if it failed."""
    try:
        execute(run, folder, print_line)
    except InterruptedRunError:
        raise
    except SaveAvsError as error:
        return str(error)
    except Exception as error:  # whatever it is, the other runs go on
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None

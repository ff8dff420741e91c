"""Run every command, option value and function that needs an extra, where no extra is installed.

Each must print a line that installs it, which must not name save-avs itself: no registry holds that name. A
command exits with 2. HIDE_EXTRAS=1 hides the packages of all extras but ``train``, on which the training
loggers depend, so that the check also runs in an environment that has them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any, cast

import save_avs

USAGE_ERROR = 2
_EXTRA = re.compile(r"^([\w.-]+).*?;.*\bextra\s*==\s*['\"]([\w-]+)['\"]")
TRACKERS = ("tensorboard", "wandb", "mlflow")


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield each extra with a command line that needs it."""
    from save_avs._extras import missing_packages, models_folder

    clip = str(models_folder() / "sample.mp4")
    for runtime in ("onnx", "openvino", "openvino-int8"):
        yield runtime, ["segment", clip, "-o", "out", "--device", "cpu", "--runtime", runtime]
    for target in ("onnx", "openvino"):
        yield target, ["export", "save-small", "--to", target]
    for page in ("--page", "--no-page"):
        yield "serve", ["serve", "--port", "0", page]
    Path("clips.csv").write_text(f"path\n{clip}\n")
    Path("clips.parquet").write_bytes(b"PAR1")
    for inputs in (
        [clip],
        ["--manifest", "clips.csv"],
        ["--manifest", "clips.parquet"],
        ["s3://bucket/*.mp4"],
    ):
        yield "cluster", ["batch", *inputs, "-o", "tables"]
    if missing_packages("accelerate"):
        yield "train", ["teach", "owl", "--images", ".", "--sounds", "."]
    for command in ("validate", "train"):
        if missing_packages("accelerate"):
            yield "train", [command, "miniature"]
            continue
        for tracker in TRACKERS:
            yield tracker, [command, "miniature", "corpus=sample", f"trackers=[{tracker}]"]


def convert_to_supervision() -> None:
    """Call a function of an extra without a command; its guard runs before its argument is used."""
    from save_avs.formats.detections import iterate_detections

    iterate_detections(cast("Any", None))


def import_metric() -> None:
    """Import the module of an extra without a command."""
    import_module("save_avs.evaluation.torchmetrics_adapter")


def call(function: Callable[[], None]) -> tuple[int, str]:
    """Call a function; return the exit code and message of its error."""
    from save_avs.errors import UsageError

    try:
        function()
    except UsageError as error:
        return error.exit_code, str(error)
    return 0, ""


class HidingFinder:
    """Import finder that reports packages as not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = set(names)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raise ModuleNotFoundError for a hidden package; leave others to the next finder."""
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def hide_extras() -> None:
    """Hide the packages of every extra from imports."""
    import importlib.util
    from importlib.metadata import packages_distributions

    lines = [match for line in requires("save-avs") or [] if (match := _EXTRA.match(line))]
    hidden = {match[1].lower() for match in lines if match[2] not in ("train", "all")}
    names = [
        module
        for module, owners in packages_distributions().items()
        if hidden & {owner.lower() for owner in owners}
    ]
    sys.meta_path.insert(0, HidingFinder(names))  # type: ignore[arg-type]
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, package=None: None if name in names else find(name, package)


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command line in this process; return its exit code and what it printed."""
    from save_avs.cli import main

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = main(arguments)
    return code, output.getvalue()


def installs(extra: str, output: str) -> bool:
    """Whether the output has a line that installs an extra, and none that names save-avs."""
    in_clone = Path(save_avs.__file__).parents[2].joinpath("pyproject.toml").is_file()
    lines = [match for line in requires("save-avs") or [] if (match := _EXTRA.match(line))]
    wanted = [f'[{extra}]"'] if in_clone else [f'"{m[0].split(";")[0]}"' for m in lines if m[2] == extra]
    return (
        bool(wanted)
        and "pip install " in output
        and all(text in output for text in wanted)
        and not re.search(r"install ['\"]?save[-_]avs", output)
    )


def check() -> list[str]:
    """Run all command lines and calls; return the problems."""
    calls: list[tuple[str, str, Callable[[], tuple[int, str]]]] = [
        (extra, f"save-avs {' '.join(arguments)}", partial(run, arguments))
        for extra, arguments in command_lines()
    ]
    calls.append(("supervision", "to_supervision()", partial(call, convert_to_supervision)))
    calls.append(("torchmetrics", "AVSMetric", partial(call, import_metric)))
    problems = []
    for extra, name, run_one in calls:
        code, output = run_one()
        if code != USAGE_ERROR or not installs(extra, output):
            problems.append(f"{name}: exit code {code}, printed: {output.strip()}")
    covered = {extra for extra, _, _ in calls} | {
        *TRACKERS,
        "all",
        "postgres",
    }  # postgres extends serve, trackers extend train
    if not os.environ.get("HIDE_EXTRAS"):  # the metadata of a source checkout may be older
        extras = metadata("save-avs").get_all("Provides-Extra") or []
        problems += [f"extra {e}: nothing in this check needs it" for e in extras if e not in covered]
    return problems


if __name__ == "__main__":
    if os.environ.get("HIDE_EXTRAS"):
        hide_extras()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        problems = check()
    print("\n".join(problems) or "every command that needs an extra says so")
    sys.exit(bool(problems))

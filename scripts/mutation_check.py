"""Try small wrong changes on a copy of the source: a test must fail for each.

    nice -n 10 python scripts/mutation_check.py [GROUP|NUMBER ...]

The changes are in scripts/mutations.toml, in groups with the tests that must notice. Prints one line each,
killed or survived, and a table by group; exits with 1 if one survived or no longer applies. Needs fork.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KILLED, SURVIVED, STALE = "killed", "survived", "stale"
_TIMEOUT_S = 300.0  # an endless loop counts as noticed
_PRELOADED = ("numpy", "pytest", "scipy.signal", "torch", "transformers", "PIL.Image", "hypothesis")


@dataclass(frozen=True)
class Mutation:
    """A wrong change: ``old`` becomes ``new``, once, in a file of the package."""

    number: int
    group: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        first, second = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.number:2d} {self.file}: {first}  ->  {second or '(nothing)'}"


def read_mutations(path: Path) -> list[Mutation]:
    """Read the table of changes."""
    groups = tomllib.loads(path.read_text())
    numbered = ((name, group, change) for name, group in groups.items() for change in group["changes"])
    return [
        Mutation(i, name, change[0], change[1], change[2], tuple(group["tests"]))
        for i, (name, group, change) in enumerate(numbered, start=1)
    ]


@contextlib.contextmanager
def mutated(source: Path, mutation: Mutation) -> Iterator[bool]:
    """Apply a change to a copy of the package for a while; yield whether it applies."""
    path = source / "save_avs" / mutation.file
    original = path.read_text()
    applies = original.count(mutation.old) >= 1
    if applies:
        path.write_text(original.replace(mutation.old, mutation.new, 1))
    try:
        yield applies
    finally:
        path.write_text(original)


def tests_pass(source: Path, tests: tuple[str, ...]) -> bool:
    """Run tests on a copy of the package, in a fork of this process, which has the slow imports."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(int(_run_pytest(source, tests)))
        finally:
            os._exit(1)
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def _run_pytest(source: Path, tests: tuple[str, ...]) -> int:
    import pytest

    os.chdir(ROOT)
    sys.path[:0] = [str(source), str(ROOT)]
    os.environ["PYTHONPATH"] = f"{source}{os.pathsep}{ROOT}"
    sys.dont_write_bytecode = True
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of the slow imports
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return pytest.main([*options, *tests])


def main(chosen: list[str]) -> int:
    """Try the changes of the chosen groups or numbers; all by default."""
    mutations = read_mutations(ROOT / "scripts" / "mutations.toml")
    mutations = [m for m in mutations if not chosen or m.group in chosen or str(m.number) in chosen]
    for name in _PRELOADED:
        __import__(name)
    counts: dict[str, Counter[str]] = {m.group: Counter() for m in mutations}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        for tests in dict.fromkeys(m.tests for m in mutations):
            if not tests_pass(source, tests):
                print(f"{' '.join(tests)}: fail on the unchanged source", flush=True)
                return 1
        for mutation in mutations:
            start = time.monotonic()
            with mutated(source, mutation) as applies:
                outcome = STALE if not applies else SURVIVED if tests_pass(source, mutation.tests) else KILLED
            counts[mutation.group][outcome] += 1
            print(f"{outcome:8} {mutation}  ({time.monotonic() - start:.0f} s)", flush=True)
    print("\n| part | changes | killed | survived |\n|---|---|---|---|")
    for group, count in counts.items():
        print(f"| {group} | {count.total()} | {count[KILLED]} | {count[SURVIVED] + count[STALE]} |")
    return int(any(count[SURVIVED] + count[STALE] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Check that the public API has complete types, with `pyright --verifytypes`.

Pyright treats every module without a leading underscore as public. This check is limited to the names in
`save_avs.__all__` (for a module, its own `__all__`) and those that docs/reference/python.md lists.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference" / "python.md"


def public_objects() -> dict[str, Any]:
    """Return every public object by its dotted name."""
    import save_avs

    objects = {f"save_avs.{name}": getattr(save_avs, name) for name in save_avs.__all__}
    for name in re.findall(r"^::: (\S+)", REFERENCE.read_text("utf-8"), re.MULTILINE):
        module, _, attribute = name.rpartition(".")
        objects[name] = getattr(import_module(module), attribute)
    for name, value in list(objects.items()):
        if isinstance(value, ModuleType):
            del objects[name]
            names = getattr(value, "__all__", [n for n, v in vars(value).items() if defined_in(v, value)])
            objects |= {f"{value.__name__}.{n}": getattr(value, n) for n in names}
    return objects


def defined_in(value: Any, module: ModuleType) -> bool:
    """Whether a module defines this class or function under a public name."""
    own = getattr(value, "__module__", None) == module.__name__
    return (
        own and (inspect.isclass(value) or inspect.isfunction(value)) and not value.__name__.startswith("_")
    )


def definition(name: str, value: Any) -> str:
    """Return the dotted name of an object's definition, which pyright reports."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    return name


def verify() -> list[dict[str, Any]]:
    """Return pyright's report of every symbol of the package."""
    pyright = Path(sys.executable).with_name("pyright")
    search_path = [str(ROOT / "src"), sysconfig.get_paths()["purelib"]]
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # outside the repository, so that its pyproject.toml does not apply
        run = subprocess.run(
            [pyright, "--verifytypes", "save_avs", "--ignoreexternal", "--outputjson"],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(search_path)},
            check=False,
        )
    return json.loads(run.stdout)["typeCompleteness"]["symbols"]


def main() -> int:
    """Print every public symbol whose type is not fully known, and return 1 if there is one."""
    objects = public_objects()
    roots = {definition(name, value) for name, value in objects.items()} | set(objects)
    symbols = [
        s for s in verify() if any(s["name"] == root or s["name"].startswith(f"{root}.") for root in roots)
    ]
    incomplete = [symbol for symbol in symbols if not symbol["isTypeKnown"]]
    for symbol in incomplete:
        print(symbol["name"])
        for diagnostic in symbol["diagnostics"]:
            print("   ", diagnostic["message"].replace("\xa0", " ").replace("\n", "\n    "))
    print(f"{len(symbols) - len(incomplete)} of {len(symbols)} public symbols have complete types")
    return 1 if incomplete or not symbols else 0


if __name__ == "__main__":
    sys.exit(main())

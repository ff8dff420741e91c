"""What is installed: this package's version and data, and the guard before imports of an extra's packages."""

import re
import shutil
import sys
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from save_avs.errors import UsageError

_REQUIREMENT = re.compile(r"^(.*?)\s*;.*\bextra\s*==\s*['\"]([\w-]+)['\"]")


class MissingExtraError(UsageError, ImportError):
    """A package that only an extra installs is missing."""


def package_version(name: str = "save-avs") -> str:
    """Return the version of this package, or of another that is installed."""
    try:
        return version(name)
    except PackageNotFoundError:  # run from a source folder that was not installed
        return "0+source"


def require(extra: str, *packages: str) -> None:
    """Check that packages of an extra are installed; a MissingExtraError has the line that installs them."""
    if missing := missing_packages(*packages):
        verb = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(f"{', '.join(missing)} {verb} not installed: {install_line(extra)}")


def missing_packages(*packages: str) -> list[str]:
    """Return the packages that are not installed; a folder of the same name does not count as installed."""
    specs = {name: find_spec(name) for name in packages}
    return [name for name, spec in specs.items() if spec is None or spec.origin is None]


def extras() -> dict[str, list[str]]:
    """Return what each extra but ``all`` requires, from the metadata; empty where nothing is installed."""
    found: dict[str, list[str]] = {}
    try:
        lines = requires("save-avs") or []
    except PackageNotFoundError:  # run from a source folder
        lines = []
    for match in filter(None, map(_REQUIREMENT.match, lines)):
        if not match[1].startswith("save-avs"):  # the extra ``all`` names the others
            found.setdefault(match[2], []).append(match[1])
    found.pop("all", None)
    return found


def models_folder() -> Path:
    """Return the folder of the data in save-avs-models: a clone's own, else what is installed.

    Raises:
        MissingExtraError: there is none.
    """
    root = Path(__file__).parents[2] / "packages" / "save-avs-models"
    if (clone := root / "src" / "save_avs_models").is_dir():
        return clone
    spec = find_spec("save_avs_models")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "the bundled model, sample and corpus are not installed: in a clone, pip install "
            "./packages/save-avs-models; or name a model of your own"
        )
    return Path(spec.origin).parent


def install_line(extra: str) -> str:
    """Return the command that installs an extra into this environment.

    It never names the package itself, which no registry holds yet: in a clone it installs the clone's extra,
    elsewhere what the extra requires.
    """
    root = Path(__file__).parents[2]
    if (root / "pyproject.toml").is_file():
        where = "." if root == Path.cwd() else root
        return f'{_installer()} -e "{where}[{extra}]"'
    return " ".join([_installer(), *(f'"{line}"' for line in extras().get(extra, []))])


def _installer() -> str:
    if PathFinder.find_spec("pip") is None:  # an environment made by uv; setuptools' own finder would warn
        return f"uv pip install --python {sys.executable}"
    pip = shutil.which("pip")
    own = pip is not None and Path(pip).parent == Path(sys.executable).parent
    return "pip install" if own else f"{sys.executable} -m pip install"

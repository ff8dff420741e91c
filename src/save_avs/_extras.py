"""Optional dependencies: the guard that modules call before they import a package of an extra."""

from importlib.util import find_spec

from save_avs.errors import UsageError


class MissingExtraError(UsageError, ImportError):
    """A package that only an extra installs is missing."""


def require(extra: str, *packages: str) -> None:
    """Check that packages of an extra are installed; a MissingExtraError has the pip command."""
    if missing := missing_packages(*packages):
        verb = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(f"{', '.join(missing)} {verb} not installed: pip install 'save-avs[{extra}]'")


def missing_packages(*packages: str) -> list[str]:
    """Return the packages that are not installed; a folder of the same name does not count as installed."""
    specs = {name: find_spec(name) for name in packages}
    return [name for name, spec in specs.items() if spec is None or spec.origin is None]

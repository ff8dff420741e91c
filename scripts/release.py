"""Prepare a release: one version in every file, one address of the project, the changelog's section.

python scripts/release.py check [TAG]    exit with 1 and the reasons if this tree is not ready to be published
python scripts/release.py notes          print the changelog of this version
python scripts/release.py owner NAME     write the owner of the repository into every address
python scripts/release.py docs           publish the site on the branch gh-pages: this version, and `latest`
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
OWNER = re.compile(
    r"(?:(?<=github\.com/)|(?<=\.com/github/))[\w-]+(?=/save-avs\b)|(?<=https://)[\w-]+(?=\.github\.io/save-avs\b)"
)
UNSET = "OWNER"


def version() -> str:
    """Return the version of the package."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def owners() -> dict[str, set[str]]:
    """Return the owner in the addresses of the project, by file."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if (
            path.suffix not in (".md", ".toml", ".txt", ".yml", ".yaml", ".cff", ".ipynb")
            or not path.is_file()
        ):
            continue
        if names := set(OWNER.findall(path.read_text("utf-8"))):
            found[name] = names
    return found


def notes() -> str:
    """Return the section of this version in the changelog; empty if there is none with a date."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    head = rf"^## \[{re.escape(version())}\] - \d{{4}}-\d\d-\d\d\n"
    match = re.search(rf"(?ms){head}(.*?)(?=^## |^\[|\Z)", text)
    return match[1].strip() + "\n" if match else ""


def problems(tag: str | None = None) -> list[str]:
    """Return why this tree cannot be published, one line each."""
    found, now = [], version()
    if tag is not None and tag != f"v{now}":
        found.append(f"the tag is {tag}, the version in pyproject.toml {now}: tag v{now}")
    models = (ROOT / "packages" / "save-avs-models" / "pyproject.toml").read_text("utf-8")
    if tomllib.loads(models)["project"]["version"] != now:
        found.append(f"save-avs-models has another version than {now}: change it")
    if not notes():
        found.append(f"CHANGELOG.md has no section '## [{now}] - YYYY-MM-DD': write it")
    if not re.search(rf"(?m)^version: {re.escape(now)}$", (ROOT / "CITATION.cff").read_text("utf-8")):
        found.append(f"CITATION.cff has another version than {now}: change it")
    if len(names := set().union(*owners().values())) > 1:
        found.append(f"addresses name different owners ({', '.join(sorted(names))}): set one")
    if UNSET in names:
        found.append("the owner of the repository is not set: python scripts/release.py owner NAME")
    return found


def publish_docs() -> None:
    """Build the site for this minor version and for ``latest``, which readers get; push it to gh-pages."""
    minor = version().rpartition(".")[0]
    for action, *words in (("deploy", "--update-aliases", minor, "latest"), ("set-default", "latest")):
        subprocess.run(["mike", action, "--push", *words], cwd=ROOT, check=True)


def main(arguments: list[str]) -> int:
    """Run one of the commands of the module's docstring."""
    match arguments:
        case ["check", *tag] if len(tag) < 2:
            print("\n".join(found := problems(*tag)) or f"{version()} can be published")
            return bool(found)
        case ["notes"]:
            print(notes(), end="")
            return 0
        case ["docs"]:
            publish_docs()
            return 0
        case ["owner", name] if re.fullmatch(r"[\w-]+", name):
            for file in owners():
                path = ROOT / file
                path.write_text(OWNER.sub(name, path.read_text("utf-8")), "utf-8")
                print(file)
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`save-avs doctor`: what this installation has to work with, and what it lacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from save_avs.cli._console import print_block, print_line
from save_avs.cli._options import AsJson

if TYPE_CHECKING:
    from save_avs.doctor import Finding

EXAMPLES = """Examples:

\b
  save-avs doctor
  save-avs doctor --json > doctor.json

\b
Exit code 0 when videos can be segmented, 1 when something essential fails.
"""
FAILED = 1


def doctor(
    as_json: AsJson = False,
) -> int:
    """Print versions, codecs that really work, devices, the cache, and how to get what is missing."""
    from save_avs.doctor import examine

    found = list(examine())
    problems = [finding.problem for finding in found if finding.problem]
    print_block(json.dumps(_document(found, problems), indent=2) if as_json else _page(found))
    for problem in problems:
        print_line(f"save-avs: {problem}", err=True)
    return FAILED if problems else 0


def _document(found: list[Finding], problems: list[str]) -> dict[str, Any]:
    sections: dict[str, dict[str, Any]] = {}
    for finding in found:
        sections.setdefault(finding.section, {})[finding.name] = finding.value
    hints = [finding.hint for finding in found if finding.hint]
    return {"version": 1, "ok": not problems, **sections, "problems": problems, "hints": hints}


def _page(found: list[Finding]) -> str:
    width = max(len(finding.name) for finding in found) + 2
    lines: list[str] = []
    section = ""
    for finding in found:
        if finding.section != section:
            section = finding.section
            lines += ["", section] if lines else [section]
        told = f"{_shown(finding.value)}{f': {finding.hint}' if finding.hint else ''}"
        lines.append(f"  {finding.name:{width}}{told}")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    match value:
        case True:
            return "yes"
        case False:
            return "no"
        case None:
            return "not installed"
        case list():
            return ", ".join(map(str, value)) or "none"
    return str(value)

"""`save-avs doctor`: diagnostics of this installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from save_avs._text import json_document
from save_avs.cli._console import print_block, print_line
from save_avs.cli._options import AsJson

if TYPE_CHECKING:
    from save_avs.diagnostics import Diagnostic

FAILED = 1


def doctor(as_json: AsJson = False) -> int:
    """Show versions, working codecs, devices and the cache, and how to get what is missing.

    \b
    Examples:
      save-avs doctor
      save-avs doctor --json > doctor.json

    Exit code 0 when videos can be segmented, 1 when something essential fails.
    """
    from save_avs.diagnostics import run_diagnostics

    results = list(run_diagnostics())
    problems = [result.problem for result in results if result.problem]
    print_block(json_document(_document(results, problems)) if as_json else _page(results, problems))
    for problem in problems:
        print_line(f"save-avs: {problem}", err=True)
    return FAILED if problems else 0


def _document(results: list[Diagnostic], problems: list[str]) -> dict[str, Any]:
    sections: dict[str, dict[str, Any]] = {}
    for result in results:
        sections.setdefault(result.section, {})[result.name] = result.value
    hints = [result.hint for result in results if result.hint]
    return {"version": 1, "ok": not problems, **sections, "problems": problems, "hints": hints}


def _page(results: list[Diagnostic], problems: list[str]) -> str:
    width = max(len(result.name) for result in results) + 2
    lines: list[str] = []
    section = ""
    for result in results:
        if result.section != section:
            section = result.section
            lines += ["", section] if lines else [section]
        hint = f": {result.hint}" if result.hint else ""
        lines.append(f"  {result.name:{width}}{_shown(result)}{hint}")
    missing = f"This installation cannot segment videos: {'; '.join(problems)}."
    return "\n".join([*lines, "", missing if problems else "This installation can segment videos."])


def _shown(result: Diagnostic) -> str:
    match result.value:
        case bool() as fetched if result.section == "weights":
            return "fetched" if fetched else "not fetched"
        case bool() as yes:
            return "yes" if yes else "no"
        case None:
            return "not installed"
        case list() as values:
            return ", ".join(map(str, values)) or "none"
    return str(result.value)

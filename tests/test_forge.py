"""What a release needs: one version, one address, a changelog in order, workflows that call what exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml

from scripts import release

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_only_the_owner_and_nothing_else_stands_between_this_tree_and_a_release():
    unset = [line for line in release.problems() if "owner of the repository is not set" not in line]
    assert unset == []
    assert {"README.md", "pyproject.toml", "CITATION.cff"} <= set(release.owners())


def test_wrong_tag_missing_section_and_mixed_owners_are_problems(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CITATION.cff").write_text("version: 1.2.2\n")
    models = tmp_path / "packages" / "save-avs-models"
    models.mkdir(parents=True)
    (models / "pyproject.toml").write_text('[project]\nversion = "1.2.2"\n')
    (tmp_path / "CHANGELOG.md").write_text("## [1.2.30] - 2026-01-01\n\n* old\n")
    monkeypatch.setattr(release, "owners", lambda: {"a.md": {"one"}, "b.md": {"two", "OWNER"}})
    found = "\n".join(release.problems("v1.2"))
    assert len(found.splitlines()) == 6
    for reason in (
        "tag v1.2.3",
        "no section",
        "save-avs-models",
        "CITATION",
        "different owners (OWNER, one, two)",
        "owner NAME",
    ):
        assert reason in found


def test_notes_are_the_section_of_this_version(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# C\n\n## [1.2.3] - 2026-01-02\n\n* new\n\n## [1.2.2] - 2026-01-01\n\n* old\n"
    )
    assert release.notes() == "* new\n"


def test_owner_replaces_the_addresses_of_the_project_alone():
    text = (
        "github.com/OWNER/save-avs, google.com/github/OWNER/save-avs/blob, https://OWNER.github.io/save-avs"
    )
    assert release.OWNER.sub("me", text) == text.replace("OWNER", "me")
    assert not release.OWNER.search("github.com/OWNER/other, OWNER")


@pytest.mark.slow
def test_docs_of_each_minor_version_stay_on_the_site(tmp_path, monkeypatch):
    pytest.importorskip("mike", reason="mike is not installed")
    site, origin = tmp_path / "project", tmp_path / "origin.git"
    (site / "docs").mkdir(parents=True)
    (site / "mkdocs.yml").write_text("site_name: x\nsite_url: https://x.org/\n")

    def git(*words: str, folder: Path = site) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout

    git("init", "--bare", "--quiet", str(origin), folder=tmp_path)
    git("init", "--quiet")
    git("remote", "add", "origin", str(origin))
    for name in ("user.name", "user.email"):
        git("config", name, "me@example.org")
    git("commit", "--quiet", "--allow-empty", "--message", "start")
    monkeypatch.setattr(release, "ROOT", site)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    for number in ("0.1.0", "0.1.1", "0.2.0"):
        (site / "pyproject.toml").write_text(f'[project]\nversion = "{number}"\n')
        (site / "docs" / "index.md").write_text(f"# Of {number}\n")
        release.publish_docs()
    listed = json.loads(git("show", "gh-pages:versions.json", folder=origin))
    assert [(entry["version"], entry["aliases"]) for entry in listed] == [("0.2", ["latest"]), ("0.1", [])]
    assert "Of 0.1.1" in git("show", "gh-pages:0.1/index.html", folder=origin)
    assert git("show", "gh-pages:latest", folder=origin) == "0.2"
    assert "latest/" in git("show", "gh-pages:index.html", folder=origin)


def test_changelog_has_the_form_of_keep_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    heads = re.findall(r"(?m)^## (.+)$", text)
    dated = [
        re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", head)
        for head in heads
        if head != "[Unreleased]"
    ]
    assert dated and all(dated) and heads.count("[Unreleased]") <= 1
    assert all(date.fromisoformat(head[2]) for head in dated if head)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"(?m)^### (.+)$", text)) <= kinds
    assert set(re.findall(r"(?m)^\[([\w.]+)\]: ", text)) == {head.strip("[]").split("]")[0] for head in heads}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_calls_scripts_and_targets_that_exist(path):
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    jobs = yaml.safe_load(path.read_text())["jobs"]
    lines = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    for line in lines:
        for script in re.findall(r"(?:scripts|tests|\.ci)/[\w/.]+", line):
            assert (ROOT / script).exists(), line
        if line.startswith("make "):
            assert {word for word in line.split()[1:] if word[0] != "-"} <= targets, line
    if path.name != "codeql.yml":
        assert {"bash .ci/run", "make --keep-going test-all"} & set(lines)

"""deploy/: each file is accepted by a tool that knows its format, and names what exists."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from save_avs.cli import serve
from tests.support.postgres import binaries

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def tool(name: str, *arguments: object) -> str:
    """Output of a program of this environment, which must succeed."""
    program = Path(sys.executable).parent / name
    command = [program if program.exists() else name, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_hadolint_finds_nothing_in_the_dockerfile():
    assert tool("hadolint", DEPLOY / "Dockerfile") == ""


def test_the_manifest_is_valid_for_kubernetes():
    found = tool("kubernetes-validate", DEPLOY / "kubernetes.yaml")
    assert found.count("passed for resource") == len(
        list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    )


def test_the_compose_file_is_valid():
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Debian's package caddy is not installed")
def test_caddy_accepts_its_file():
    assert "Valid configuration" in tool("caddy", "validate", "--config", DEPLOY / "Caddyfile")


def test_the_dockerfile_copies_what_the_context_has():
    sources = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    copied = {name for line in sources for name in line.split()}
    let_in = set(re.findall("^!(.*)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE))
    assert copied == let_in and all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "kubernetes.yaml"])
def test_options_and_variables_exist(name):
    text = (DEPLOY / name).read_text()
    options = {name.replace("_", "-") for name in inspect.signature(serve.serve).parameters}
    (line,) = re.findall("ENTRYPOINT (.*)", (DEPLOY / "Dockerfile").read_text())
    assert {word[2:] for word in re.findall("--[a-z-]+", line)} <= options
    source = inspect.getsource(serve)
    assert all(f'"{variable}"' in source for variable in re.findall("SAVE_AVS_[A-Z]+", text))


def test_every_container_runs_locked_down():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in ("save-avs", "caddy"):
        settings = compose["services"][service]
        assert settings["read_only"] and settings["cap_drop"] == ["ALL"]
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    (pod,) = (each["spec"]["template"]["spec"] for each in documents if each["kind"] == "Deployment")
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert container["livenessProbe"] and container["readinessProbe"] and container["startupProbe"]


@pytest.mark.exhaustive
@pytest.mark.skipif(
    not (binaries() and shutil.which("caddy") and shutil.which("unshare")),
    reason="Debian's packages caddy and postgresql are not installed",
)
def test_no_job_is_lost_behind_the_proxy_when_a_server_is_killed():
    assert "Secure" in tool(sys.executable, "-m", "scripts.check_proxy")

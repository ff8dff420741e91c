"""The OpenAPI document against the service, by a tool that tries what nobody would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from save_avs.serving.auth import AccessToken
from save_avs.serving.server import make_app
from tests.support import openapi_hooks

# How many it makes up for each operation; more find no more here, and take longer.
EXAMPLES = "5"


@pytest.mark.exhaustive
def test_schemathesis_finds_nothing(served, tmp_path):
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("run", f"{served.url}/openapi.json", "--max-examples", EXAMPLES),
            *("--generation-deterministic", "--no-color"),
        ],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": openapi_hooks.__name__},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "12 selected / 12 total" in done.stdout, done.stdout


def test_a_path_says_what_it_can_be_asked_with(served):
    answer = served.client.put(f"/v1/jobs/{'0' * 32}")
    assert answer.status_code == 405 and answer.headers["Allow"] == "DELETE, GET"
    assert answer.json()["error"]["code"] == "wrong_method"


def test_the_document_has_examples_and_errors(served):
    told = served.client.get("/openapi.json").json()
    post = told["paths"]["/v1/segment"]["post"]
    form = post["requestBody"]["content"]["multipart/form-data"]
    assert form["examples"]
    sources = [set(each["required"]) for each in form["schema"]["oneOf"]]
    assert sources == [{"file"}, {"frames", "audio"}]  # this server fetches nothing
    assert all(each["properties"]["model"]["enum"] == ["tiny"] for each in form["schema"]["oneOf"])
    error = {"$ref": "#/components/schemas/ErrorView"}
    for status in ("400", "413", "415", "422", "429", "507"):
        assert post["responses"][status]["content"]["application/json"]["schema"] == error
    assert told["components"]["schemas"]["JobView"]["examples"]


def test_every_route_is_known(served):
    """A route that is not listed here needs a limit on what it reads, and a token."""
    app = make_app(served.service, token=AccessToken("correct-horse-battery"))
    schema = set(served.client.get("/openapi.json").json()["paths"])
    assert {route.path for route in app.routes} - schema == {
        "/",
        "/login",
        "/openapi.json",
        "/static",
        "/static/example.jpg",
        "/static/sample.mp4",
    }

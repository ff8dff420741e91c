"""The OpenAPI document against the service, by a tool that tries what nobody would."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

schema = schemathesis.pytest.from_fixture("document")


@pytest.fixture(scope="module")
def document(served):
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


@schema.parametrize()
@settings(
    max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
def test_the_service_keeps_its_word(case):
    case.call_and_validate()


def test_the_document_has_examples_and_errors(served):
    told = served.client.get("/openapi.json").json()
    post = told["paths"]["/v1/segment"]["post"]
    form = post["requestBody"]["content"]["multipart/form-data"]
    assert form["examples"] and form["schema"]["properties"]["model"]["enum"] == ["tiny"]
    failure = {"$ref": "#/components/schemas/Failure"}
    for status in ("400", "413", "415", "422", "429", "507"):
        assert post["responses"][status]["content"]["application/json"]["schema"] == failure
    assert told["components"]["schemas"]["JobView"]["examples"]
    assert "PRIVATE" not in json.dumps(told) and "/config" not in told["paths"]

"""What the OpenAPI document promises: whatever is sent, nothing fails inside and no answer breaks the document."""

import os
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from fleetgen.web.api.app import create_app
from fleetgen.web.api.control import Control
from support.api import client_of, problem
from support.sets import RunningSet, running_set

EXAMPLES = 500 if os.environ.get("FLEETGEN_SOAK") else 25

pytestmark = pytest.mark.soak

REFUSALS = [400, 401, 403, 404, 405, 409, 414, 422]
"""How a request that breaks the document may be refused: 414 too, for a query that is wrong and too long."""

NEEDS_A_PAUSE = {"POST /api/resume", "POST /api/clean"}
"""Paused before each call, so that they do what they are for."""

DEPENDS_ON_MORE = {
    "GET /api/logs": "`since` and `before` are instants or cursors, which JSON Schema cannot tell from other words",
    "PUT /api/consumers/{name}": "which batch numbers there are depends on the dataset, and so does its id",
}
"""Where a request that fits the document may still be refused, and why; refusals are in `test_api`."""

checks = {"negative_data_rejection": {"expected-statuses": REFUSALS}}
document = schemathesis.openapi.from_dict(
    create_app(cast("Control", None)).openapi(), config=SchemathesisConfig.from_dict({"checks": checks})
)
endless = "/api/events"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with running_set(control=True, company_interval='"PT1S"', driver_interval='"PT1S"') as each:
        yield each


@pytest.fixture(scope="module")
def client(running: RunningSet) -> Iterator[httpx.Client]:
    with client_of(running) as each:
        yield each


def test_the_document_is_the_one_that_is_served(client: httpx.Client) -> None:
    assert client.get("/api/openapi.json").json() == document.raw_schema


@document.exclude(path=endless).parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_no_answer_breaks_the_document(case: schemathesis.Case[Any], client: httpx.Client) -> None:
    if case.operation.label in NEEDS_A_PAUSE:
        assert client.post("/api/pause").status_code == 200
    excluded: list[Any] = [positive_data_acceptance] if case.operation.label in DEPENDS_ON_MORE else []
    answer = case.call_and_validate(base_url=str(client.base_url), excluded_checks=excluded)
    assert answer.status_code < 500


def test_the_endless_stream_is_what_the_document_says(client: httpx.Client) -> None:
    documented = document.raw_schema["paths"][endless]["get"]["responses"]
    with client.stream("GET", endless) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] in documented["200"]["content"]
    refused = client.get(endless, headers={"last-event-id": "x" * 101})
    assert (refused.status_code, problem(refused)) == (422, "invalid_request")
    assert list(documented["422"]["content"]) == ["application/json"]


@pytest.mark.parametrize("path", [path for path, of in document.raw_schema["paths"].items() if "get" not in of])
def test_every_change_documents_how_it_is_refused(path: str) -> None:
    for operation in document.raw_schema["paths"][path].values():
        assert {"401", "403", "413", "414", "422", "503"} <= set(operation["responses"])

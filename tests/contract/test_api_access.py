"""What `control.host_names` and `control.trust_network` open, and what stays closed: ADR 0037."""

from collections.abc import Iterator

import httpx
import pytest

from support.api import client_of, problem
from support.patience import wait_for
from support.sets import RunningSet


@pytest.fixture(scope="module")
def trusting() -> Iterator[RunningSet]:
    """A set that listens on every address without a token, and is called `generator`."""
    with RunningSet(control=True) as each:
        each.configure_table("control", address='"0.0.0.0"', trust_network="true", host_names='["Generator"]')
        each.start()
        yield each


def called(running: RunningSet, host: str) -> httpx.Client:
    return client_of(running, headers={"host": host})


@pytest.mark.parametrize("host", ["generator", "generator:18000", "GENERATOR.", "localhost:18000", "10.1.2.3"])
def test_a_name_that_was_given_may_read_and_change(trusting: RunningSet, host: str) -> None:
    with called(trusting, host) as client:
        assert client.get("/api/health").status_code == 200
        assert client.get("/metrics").status_code == 200
        assert client.post("/api/pause").json()["status"] == "paused"
        assert client.post("/api/resume").json()["status"] == "running"


@pytest.mark.parametrize("host", ["evil.example", "generator.evil.example", "notgenerator", ""])
def test_other_names_stay_foreign(trusting: RunningSet, host: str) -> None:
    with called(trusting, host) as client:
        for answer in (client.get("/api/health"), client.post("/api/pause"), client.get("/")):
            assert (answer.status_code, problem(answer)) == (403, "foreign_host")


def test_pages_of_other_origins_change_nothing(trusting: RunningSet) -> None:
    with called(trusting, "generator:18000") as client:
        answer = client.post("/api/pause", headers={"origin": "http://grafana:3000"})
        assert (answer.status_code, problem(answer)) == (403, "foreign_origin")


def test_prometheus_is_sent_to_the_name_by_which_it_asks(trusting: RunningSet) -> None:
    with called(trusting, "generator:18000") as client:
        targets = {each["labels"]["process"]: each["targets"] for each in client.get("/api/targets").json()}
    assert targets["control"] == [f"generator:{trusting.control_port}"]


def test_a_reload_brings_names_into_force(trusting: RunningSet) -> None:
    trusting.configure_table("control", host_names='["depot.example"]')
    assert trusting.call("reload").stdout == "Restarted: control.\n"

    def answers() -> bool:
        try:
            with called(trusting, "depot.example") as client:
                return client.get("/api/health").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers, 20, "An answer by the new name")
    with called(trusting, "generator") as client:
        assert client.get("/api/health").status_code == 403


@pytest.mark.parametrize("name", ["", "http://generator", "generator:18000", "*", "a b", "-x", "x/y"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with RunningSet(control=True) as each:
        each.configure_table("control", host_names=f'["{name}"]')
        refused = each.call("config", "check", check=False)
    assert refused.returncode == 78
    says = f'control.host_names.0 = "{name}" is not allowed: it must be a host name without a port, such as "generator"'
    assert says in refused.stderr

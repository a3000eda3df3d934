"""What HTTP asks of every answer: HEAD beside GET, tags for those who ask again, the end of an ambiguous connection."""

import shutil
import socket
from collections.abc import Iterator

import httpx
import pytest

from support.api import client_of, samples
from support.patience import wait_for
from support.sets import RunningSet, running_set

READ = ("/api/health", "/api/logs", "/api/batches", "/api/targets", "/api/openapi.json", "/metrics", "/")
POLLED = ("/api/batches", "/api/targets", "/api/logs?limit=5", "/api/openapi.json")


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    """A set that is paused with something in it, so that nothing changes between two questions."""
    with running_set(control=True, company_interval='"PT1S"', driver_interval='"PT1S"') as each:
        wait_for(lambda: each.batch_count("events") >= 2, 20, "The first batches")
        each.call("pause")
        yield each


@pytest.fixture
def api(running: RunningSet) -> Iterator[httpx.Client]:
    with client_of(running) as client:
        yield client


@pytest.mark.parametrize("path", READ)
def test_head_is_answered_as_get_without_the_body(api: httpx.Client, path: str) -> None:
    got, headed = api.get(path), api.head(path)
    assert (headed.status_code, headed.content) == (got.status_code, b"")
    assert headed.headers["content-type"] == got.headers["content-type"]
    assert int(headed.headers["content-length"]) > 0
    assert api.get("/api/targets").status_code == 200  # on the same connection


def test_head_of_one_batch_and_of_what_is_not_there(api: httpx.Client) -> None:
    (newest,) = api.get("/api/batches", params={"stream": "events", "limit": 1}).json()["batches"]
    assert api.head(f"/api/batches/events/{newest['batch_id']}").status_code == 200
    assert api.head("/api/nothing").status_code == 404
    assert api.head("/api/pause").status_code == 405


def test_head_of_the_stream_of_events_ends_and_frees_its_place(api: httpx.Client) -> None:
    for _ in range(100):
        answer = api.head("/api/events")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"].startswith("text/event-stream")


def test_head_of_a_generators_metrics(running: RunningSet) -> None:
    for port in running.ports.values():
        got, headed = (httpx.request(method, f"http://127.0.0.1:{port}/metrics") for method in ("GET", "HEAD"))
        assert (headed.status_code, headed.content) == (200, b"")
        assert headed.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("path", POLLED)
def test_who_asks_again_with_the_tag_gets_no_body_while_nothing_has_changed(api: httpx.Client, path: str) -> None:
    first, again = unchanged_between(api, path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for each in again[:-1]:
        assert (each.status_code, each.content, each.headers["etag"]) == (304, b"", tag)
    assert (again[-1].status_code, again[-1].headers["etag"]) == (200, tag)


def unchanged_between(api: httpx.Client, path: str) -> tuple[httpx.Response, list[httpx.Response]]:
    """Return an answer, those to the same question with its tag, and the last without; nothing was logged in between.

    Processes of a paused set may still write a line to their logs, of the pause itself for one.
    """
    for _ in range(20):
        first = api.get(path)
        tag = first.headers["etag"]
        again = [api.get(path, headers={"if-none-match": known}) for known in (tag, f'"other", W/{tag}', "*")]
        again += [api.head(path, headers={"if-none-match": tag}), api.get(path, headers={"if-none-match": '"other"'})]
        if again[-1].content == first.content:
            return first, again
    raise AssertionError(f"{path} was answered otherwise each time, though the set is paused")


def test_another_batch_is_another_tag(api: httpx.Client, running: RunningSet) -> None:
    before = api.get("/api/batches").headers["etag"]
    running.call("resume")
    count = running.batch_count("events")
    wait_for(lambda: running.batch_count("events") > count, 10, "A further batch")
    wait_for(lambda: api.get("/api/batches").headers["etag"] != before, 5, "Another tag")
    running.call("pause")


@pytest.mark.parametrize(
    "order", [("Content-Length: 4", "Transfer-Encoding: chunked"), ("transfer-encoding: chunked", "content-length: 2")]
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_request_with_two_lengths_is_the_last_on_its_connection(
    running: RunningSet, order: tuple[str, str], method: str
) -> None:
    path = "/api/pause" if method == "POST" else "/api/targets"
    head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *order))
    request = head.encode() + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.control_port), timeout=20) as connection:
        connection.sendall(request + b"GET /api/targets HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()


def test_health_and_metrics_are_answered_while_the_data_and_the_folder_around_them_are_gone() -> None:
    with RunningSet(control=True) as running:
        volume = running.folder / "volume"
        volume.mkdir()
        running.configure(data=f'"{volume / "set" / "data"}"')
        (volume / "set").mkdir()
        running.start(wait=False)
        with client_of(running) as client:
            wait_for(lambda: answers(client), 30, "The control process")
            running.ctl("stop", "company", "driver")  # they would make the folders again
            shutil.move(volume, running.folder / "unmounted")
            told = wait_for(lambda: unreachable(client), 10, "The reason in health")
            assert "cannot be looked at" in told
            assert client.head("/api/health").status_code == 200
            metrics = client.get("/metrics")
            assert metrics.status_code == 200
            assert "fleetgen_data_disk_free_bytes" not in {name for name, _ in samples(metrics.text)}
            shutil.move(running.folder / "unmounted", volume)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/api/health").status_code == 200
    except httpx.TransportError:
        return False


def unreachable(client: httpx.Client) -> str | None:
    answer = client.get("/api/health")
    assert answer.status_code == 200, answer.text
    return next((each["detail"] for each in answer.json()["reasons"] if each["code"] == "data_unreachable"), None)

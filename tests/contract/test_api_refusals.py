"""What the control API refuses: foreign pages, strangers without the token, what is too large, and paths in disguise."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetgen.domain.records import Stream
from fleetgen.web.edge.guard import LONGEST_BODY, LONGEST_PATH, LONGEST_QUERY
from support.api import client_of, problem, raw
from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet, free_ports

LONGEST_HEADERS = 16 * 1024

TOKEN = "correct-horse-battery-staple-0123456789"
BEARER = {"authorization": f"Bearer {TOKEN}"}
WRONG = "wrong-horse-battery-staple-0123456789"

CHANGES = {
    "pause": ("POST", "/api/pause"),
    "resume": ("POST", "/api/resume"),
    "clean": ("POST", "/api/clean?logs=true"),
    "acknowledge": ("PUT", "/api/consumers/intruder"),
    "leave": ("DELETE", "/api/consumers/known"),
}
SECRETS = ("root:", "BEGIN ", "[unix_http_server]")
"""What would stand in an answer that quotes a file."""

change = pytest.mark.parametrize("change", list(CHANGES))


def hourly() -> RunningSet:
    """A set that makes nothing during the tests after its first batches, so whatever changes was changed by a request."""
    return RunningSet(control=True, company_interval='"PT1H"', driver_interval='"PT1H"')


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    """A paused set on the loopback address, with a consumer that is known."""
    with hourly() as each:
        each.start()
        begin(each)
        yield each


@pytest.fixture(scope="module")
def guarded() -> Iterator[RunningSet]:
    """A paused set that listens on every address, so that it must have a token."""
    with hourly() as each:
        with_token(each, TOKEN)
        each.start()
        begin(each, BEARER)
        yield each


@pytest.fixture
def api(running: RunningSet) -> Iterator[httpx.Client]:
    with client_of(running) as client:
        yield client


@pytest.fixture
def unchanged(running: RunningSet) -> Iterator[None]:
    """Whatever the test asks for must have changed nothing."""
    before = state_of(running)
    yield
    assert state_of(running) == before


@pytest.fixture
def guarded_unchanged(guarded: RunningSet) -> Iterator[None]:
    before = state_of(guarded)
    yield
    assert state_of(guarded) == before


def with_token(running: RunningSet, token: str, address: str = "0.0.0.0") -> None:
    running.configure_table("control", address=f'"{address}"', token_file='"control.token"')
    running.config.with_name("control.token").write_text(token + "\n")


def begin(running: RunningSet, headers: dict[str, str] | None = None) -> None:
    wait_for(lambda: all(running.batch_count(stream) for stream in Stream), 10, "The first batches")
    with client_of(running, headers=headers) as client:
        assert client.post("/api/pause", json={"reason": "the tests"}).status_code == 200
        asked = {"dataset_id": running.manifest()["dataset_id"], "stream": "events", "batch_number": 0}
        assert client.put("/api/consumers/known", json=asked).status_code == 200


def state_of(running: RunningSet) -> dict[str, Any]:
    """Return what a request might change: what people asked for, and which files there are, the log lines apart."""
    manifest = running.manifest()
    asked = {name: manifest[name] for name in ("dataset_id", "desired", "consumers", "reinitialised")}
    files = [path for path in running.folder.rglob("*") if path.parent.name != "run"]
    log = running.data / "manifests" / "logs" / "driver.jsonl"
    return {**asked, "files": sorted(map(str, files)), "log": log.stat().st_size}


def asked_for(client: httpx.Client, change: str, **headers: str) -> httpx.Response:
    method, path = CHANGES[change]
    return client.request(method, path, headers=headers, json=body_of(change))


def body_of(change: str) -> Any:
    return {"dataset_id": "x", "stream": "events", "batch_number": 0} if change == "acknowledge" else None


def answered(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, problem(response)


# --- foreign pages


@change
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:{port}@evil.example",
        "http://[",
        "file://",
        "chrome-extension://abcdefgh",
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_a_page_of_another_origin_changes_nothing(
    api: httpx.Client, running: RunningSet, change: str, origin: str
) -> None:
    refused = asked_for(api, change, origin=origin.format(port=running.control_port))
    assert answered(refused) == (403, "foreign_origin")


@change
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.usefixtures("unchanged")
def test_what_the_browser_calls_foreign_changes_nothing(api: httpx.Client, change: str, site: str) -> None:
    assert answered(asked_for(api, change, **{"sec-fetch-site": site})) == (403, "foreign_origin")


@change
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.1.nip.io",
        "192.0.2.1:{port}",
        "[2001:db8::1]:{port}",
        "[",
        "0:{port}",
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_a_name_that_was_made_to_mean_this_machine_changes_nothing(
    api: httpx.Client, running: RunningSet, change: str, host: str
) -> None:
    host = host.format(port=running.control_port)
    for headers in ({"host": host}, {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}):
        assert answered(asked_for(api, change, **headers)) == (403, "foreign_host")


@pytest.mark.usefixtures("unchanged")
def test_two_origins_or_two_hosts_or_none_change_nothing(api: httpx.Client, running: RunningSet) -> None:
    own = f"http://127.0.0.1:{running.control_port}"
    twice = api.post("/api/resume", headers=[("origin", own), ("origin", "http://evil.example")])
    assert answered(twice) == (403, "foreign_origin")
    ending = b"Connection: close\r\nContent-Length: 0\r\n\r\n"
    assert answered(raw(running.control_port, b"POST /api/resume HTTP/1.0\r\n" + ending)) == (403, "foreign_host")
    hosts = b"Host: localhost\r\nHost: evil.example\r\n"
    assert raw(running.control_port, b"POST /api/resume HTTP/1.1\r\n" + hosts + ending).status_code == 400


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::1]"])
def test_this_machines_own_pages_and_names_may_change(api: httpx.Client, running: RunningSet, name: str) -> None:
    host = f"{name}:{running.control_port}"
    assert asked_for(api, "pause", host=host).status_code == 200
    headers = {"host": host, "origin": f"http://{host.lower()}", "sec-fetch-site": "same-origin"}
    assert asked_for(api, "pause", **headers).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.usefixtures("unchanged")
def test_no_answer_invites_pages_of_other_origins(api: httpx.Client, method: str) -> None:
    preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for path in ("/api/health", "/api/resume", "/metrics"):
        answer = api.request(method, path, headers=preflight)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_refusal_is_logged_without_what_the_stranger_wrote(api: httpx.Client, running: RunningSet) -> None:
    asked_for(api, "resume", origin="http://\x1b[31mstranger.example")
    (*_, line) = wait_for(lambda: [each for each in running.log("control") if each.get("kind") == "refused"], 2, "It")
    assert (line["level"], line["error"], line["method"]) == ("warning", "foreign_origin", "POST")
    assert "stranger" not in json.dumps(running.log("control"))


# --- bounds


@pytest.mark.usefixtures("unchanged")
def test_a_body_has_a_greatest_size_whatever_the_headers_say(api: httpx.Client, running: RunningSet) -> None:
    as_json = {"content-type": "application/json"}
    largest = b'{"reason": "' + b"x" * (LONGEST_BODY - 14) + b'"}'
    assert len(largest) == LONGEST_BODY
    assert answered(api.post("/api/pause", content=largest, headers=as_json)) == (422, "invalid_request")
    assert answered(api.post("/api/pause", content=largest + b" ", headers=as_json)) == (413, "body_too_large")
    pieces = iter([b'{"reason": "', *[b"x" * 8192] * 9, b'"}'])
    assert answered(api.post("/api/pause", content=pieces, headers=as_json)) == (413, "body_too_large")
    for claimed in (LONGEST_BODY + 1, 10**15):
        request = f"POST /api/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: {claimed}\r\n\r\n"
        assert answered(raw(running.control_port, request.encode())) == (413, "body_too_large")


@pytest.mark.usefixtures("unchanged")
def test_a_query_a_path_and_headers_have_a_greatest_size(api: httpx.Client, running: RunningSet) -> None:
    assert api.get("/api/health?" + "x" * LONGEST_QUERY).status_code == 200
    assert answered(api.get("/api/health?" + "x" * (LONGEST_QUERY + 1))) == (414, "query_too_long")
    assert answered(api.post("/api/resume?" + "x" * (LONGEST_QUERY + 1))) == (414, "query_too_long")
    assert answered(api.get("/" + "x" * (LONGEST_PATH - 1))) == (404, "not_found")
    assert answered(api.get("/" + "x" * LONGEST_PATH)) == (414, "path_too_long")
    assert answered(api.put("/api/consumers/" + "x" * LONGEST_PATH)) == (414, "path_too_long")
    assert answered(api.get("/api/health", headers={"x": "x" * LONGEST_HEADERS})) == (431, "headers_too_long")
    many = {f"x-{number}": "x" * 100 for number in range(200)}
    assert answered(api.post("/api/resume", headers=many)) == (431, "headers_too_long")


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST /api/resume",
        b"\x16\x03\x01\x02\x00",
        b"POST /api/\xff\xfe HTTP/1.1",
        b"POST /api/re sume HTTP/1.1",
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_what_is_no_http_is_answered_in_the_form_of_every_error(running: RunningSet, request_line: bytes) -> None:
    answer = raw(running.control_port, request_line + b"\r\nHost: localhost\r\n\r\n")
    assert answered(answer) == (400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 60_000,
        b'{"reason": ' + b"9" * 6000 + b"}",
        b"\xff\xfe",
        b'{"reason": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"reason": 5}',
        b'{"reason": NaN}',
        b'{"reason": "' + b"x" * 201 + b'"}',
        b'{"reason": "x", "until": "tomorrow"}',
        b'["reason"]',
        b"reason=x",
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
@pytest.mark.usefixtures("unchanged")
def test_a_body_that_does_not_fit_is_refused(api: httpx.Client, body: bytes) -> None:
    refused = api.post("/api/pause", content=body, headers={"content-type": "application/json"})
    assert answered(refused) in ((422, "invalid_request"), (400, "bad_request"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_number": "0"},
        {"batch_number": 0.5},
        {"batch_number": True},
        {"batch_number": -1},
        {"batch_number": 2**63},
        {"batch_number": None},
        {"stream": "trucks"},
        {"stream": "../events"},
        {"dataset_id": 7},
        {"dataset_id": "x" * 65},
        {"extra": 1},
    ],
    ids=repr,
)
@pytest.mark.usefixtures("unchanged")
def test_an_acknowledgement_that_does_not_fit_is_refused(api: httpx.Client, wrong: dict[str, Any]) -> None:
    refused = api.put("/api/consumers/intruder", json={**body_of("acknowledge"), **wrong})
    assert answered(refused) == (422, "invalid_request")


# --- paths in disguise


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2f..%2fetc%2fpasswd",
        "../../manifests/generator_state.json",
        "%2e%2e",
        "%2e%2e%2f",
        "..",
        "...",
        ".hidden",
        "a%2fb",
        "a%5cb",
        "a%00",
        "%00",
        "%0a",
        "a%0a",
        "A",
        "-x",
        "%C3%A9",
        "a" * 65,
        "%7Eroot",
        "$HOME",
        "a%20b",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.usefixtures("unchanged")
def test_the_name_of_a_consumer_is_no_path(running: RunningSet, method: str, name: str) -> None:
    body = json.dumps({**body_of("acknowledge"), "dataset_id": running.manifest()["dataset_id"]})
    refused = sent(running, f"{method} /api/consumers/{name}", body)
    assert answered(refused) in ((404, "not_found"), (422, "invalid_request"))


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/api/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "//etc/passwd",
        "/etc/passwd",
        "/api/batches/../../manifests/generator_state.json",
        "/api/batches/20260101T000000Z",
        "/api/logs/control.jsonl",
        "/control.token",
        "/..%5c..%5cetc%5cpasswd",
        "/api/health%00.json",
        "http://evil.example/etc/passwd",
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_no_path_leads_to_a_file(running: RunningSet, path: str) -> None:
    answer = sent(running, f"GET {path}")
    assert answered(answer) == (404, "not_found")
    assert not any(secret in answer.text for secret in SECRETS)


CURSOR = f"{'0' * 15}1.{'0' * 15}1.{'0' * 20}"


@pytest.mark.parametrize(
    "query",
    [
        "batches?stream=../../etc",
        "batches?stream=companies/..",
        "batches?stream=companies%00",
        "logs?since=../../etc/passwd",
        "logs?before=/etc/passwd",
        f"logs?since=../../etc/passwd.{CURSOR}",
        f"logs?before=..%2f..%2frun%2fcontrol.{CURSOR}",
        f"logs?before=control%00.{CURSOR}",
        "logs?level=../../etc/passwd",
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_no_value_of_a_query_is_a_path(running: RunningSet, query: str) -> None:
    answer = sent(running, f"GET /api/{query}")
    assert answered(answer) == (422, "invalid_request")
    assert not any(secret in answer.text for secret in SECRETS)


def sent(running: RunningSet, request: str, body: str = "") -> httpx.Response:
    """Send a request whose path no client has put in order."""
    headers = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    return raw(running.control_port, f"{request} HTTP/1.1\r\n{headers}\r\n\r\n{body}".encode())


# --- the token


@change
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        f"Bearer {WRONG}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xff\xfe",
    ],
)
@pytest.mark.usefixtures("guarded_unchanged")
def test_a_change_without_the_right_token_is_refused(
    guarded: RunningSet, change: str, authorization: str | None
) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    with client_of(guarded) as client:
        method, path = CHANGES[change]
        refused = client.request(method, path, headers=headers, json=body_of(change))
    assert answered(refused) == (401, "token_required")
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("guarded_unchanged")
def test_the_token_counts_only_in_its_header_and_once(guarded: RunningSet) -> None:
    right = ("authorization", f"Bearer {TOKEN}")
    with client_of(guarded) as client:
        for query in (f"token={TOKEN}", f"access_token={TOKEN}"):
            assert answered(client.post(f"/api/resume?{query}")) == (401, "token_required")
        assert answered(client.post("/api/resume", headers={"cookie": f"token={TOKEN}"})) == (401, "token_required")
        assert answered(client.post("/api/resume", headers=[right, right])) == (401, "token_required")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_change_with_the_right_token_is_made(guarded: RunningSet, scheme: str) -> None:
    with client_of(guarded, headers={"authorization": f"{scheme} {TOKEN}"}) as client:
        assert asked_for(client, "pause").json()["status"] == "paused"


reads = pytest.mark.parametrize(
    "path", ["/api/health", "/api/logs", "/api/batches", "/api/events", "/api/targets", "/api/openapi.json", "/metrics"]
)


@pytest.mark.parametrize("path", ["/api/health", "/api/logs", "/api/batches", "/api/targets", "/metrics"])
@pytest.mark.parametrize("host", ["192.0.2.1:18000", "localhost"])
def test_reads_need_no_token_but_a_known_host(guarded: RunningSet, path: str, host: str) -> None:
    with client_of(guarded, headers={"host": host}) as client:
        assert client.get(path).status_code == 200
        assert answered(client.get(path, headers={"host": "anything.example"})) == (403, "foreign_host")


@reads
@pytest.mark.parametrize("host", ["evil.example:{port}", "127.0.0.1.nip.io", "192.0.2.1:{port}", ""])
def test_a_name_that_was_made_to_mean_this_machine_reads_nothing(
    api: httpx.Client, running: RunningSet, path: str, host: str
) -> None:
    headers = {"host": host.format(port=running.control_port), "sec-fetch-site": "same-origin"}
    assert answered(api.get(path, headers=headers)) == (403, "foreign_host")
    for method in ("HEAD", "OPTIONS"):
        assert api.request(method, path, headers=headers).status_code == 403


def test_a_foreign_name_reads_no_metrics_of_the_generators(api: httpx.Client) -> None:
    targets = [each["targets"][0] for each in api.get("/api/targets").json()]
    assert len(targets) >= 3
    for target in targets:
        assert httpx.get(f"http://{target}/metrics").status_code == 200
        assert httpx.get(f"http://{target}/metrics", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "host", ["192.0.2.1:18000", "10.0.0.7", "[2001:db8::1]:18000", "localhost", "{own}", "{own}:1"]
)
def test_where_others_reach_it_an_address_and_the_own_name_are_known_hosts(guarded: RunningSet, host: str) -> None:
    own = os.uname().nodename
    with client_of(guarded, headers=BEARER | {"host": host.format(own=own)}) as client:
        assert asked_for(client, "pause").status_code == 200


@change
@pytest.mark.parametrize("host", ["evil.example", "192.0.2.1.nip.io", "0x7f000001", "127.1"])
@pytest.mark.usefixtures("guarded_unchanged")
def test_where_others_reach_it_a_foreign_name_stays_foreign_even_with_the_token(
    guarded: RunningSet, change: str, host: str
) -> None:
    with client_of(guarded, headers=BEARER | {"host": host}) as client:
        assert answered(asked_for(client, change)) == (403, "foreign_host")


def test_no_token_given_or_asked_for_is_ever_written_down(guarded: RunningSet) -> None:
    with client_of(guarded) as client:
        for token in (TOKEN, WRONG):
            client.post("/api/pause", headers={"authorization": f"Bearer {token}"})
            client.post("/api/pause", headers={"authorization": f"Basic {token}", "origin": "http://evil.example"})
        told = [client.get(path).text for path in ("/api/health", "/api/logs", "/api/openapi.json", "/metrics")]
    wait_for(lambda: "refused" in json.dumps(guarded.log("control")), 2, "The refusal in the log")
    guarded.call("config", "show")
    holder = guarded.config.with_name("control.token")
    files = [path for path in guarded.folder.rglob("*") if path.is_file() and path != holder]
    assert guarded.folder / "output" in files
    written = {str(path): path.read_bytes() for path in files}
    commands = {str(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in guarded.descendants()}
    assert len(commands) >= 4
    said = {"answers": " ".join(told).encode(), "show": guarded.call("config", "show").stdout.encode()}
    found = [
        place
        for place, content in {**written, **commands, **said}.items()
        for token in (TOKEN, WRONG)
        if token.encode() in content
    ]
    assert found == []


# --- what is open to whom


def test_the_api_listens_on_the_loopback_address_unless_told_otherwise(
    running: RunningSet, guarded: RunningSet
) -> None:
    listening = Path("/proc/net/tcp").read_text()
    assert f"0100007F:{running.control_port:04X}" in listening
    assert f"00000000:{running.control_port:04X}" not in listening
    assert f"00000000:{guarded.control_port:04X}" in listening


def test_the_supervisors_socket_is_the_owners_alone(running: RunningSet) -> None:
    folder = running.folder / "run"
    socket = folder / "supervisor.sock"
    assert stat.S_ISSOCK(socket.stat().st_mode)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert socket.stat().st_uid == folder.stat().st_uid == os.getuid()


@pytest.fixture(scope="module")
def unstarted() -> Iterator[RunningSet]:
    with RunningSet(control=True) as each:
        yield each


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "fleet.example"])
def test_an_address_that_others_reach_needs_a_token(unstarted: RunningSet, address: str) -> None:
    unstarted.configure_table("control", address=f'"{address}"')
    for command in (("config", "check"), ("up",)):
        refused = unstarted.call(*command, check=False)
        assert refused.returncode == 78
        told = refused.stdout + refused.stderr
        assert repr(address) in told
        assert "token_file" in told
        assert "Traceback" not in told
    assert not (unstarted.folder / "run").exists()


def test_an_address_given_to_the_process_itself_needs_a_token_too(unstarted: RunningSet) -> None:
    """As when supervisord starts it again with its old arguments after an edit that took the token away."""
    unstarted.configure_table("control", address='"127.0.0.1"')
    (port,) = free_ports(1)
    command = [*FLEETGEN, "run", "control", "--config", str(unstarted.config)]
    with subprocess.Popen(
        [*command, "--address", "0.0.0.0", "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            told, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.terminate()
            told, _ = process.communicate(timeout=5)
    assert process.returncode == 78
    assert b"token_file" in told
    assert b"Traceback" not in told


@pytest.mark.parametrize("content", [None, "", "short", "two words of sufficient length", "ümläute-ümläute-ümläute"])
def test_a_token_file_without_a_good_token_is_refused(unstarted: RunningSet, content: str | None) -> None:
    with_token(unstarted, content or "")
    if content is None:
        unstarted.config.with_name("control.token").unlink()
    refused = unstarted.call("up", check=False)
    assert refused.returncode == 78
    assert "control.token" in refused.stderr
    assert "openssl rand" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not content or content not in refused.stderr

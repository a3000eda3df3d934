"""Who may read and who may make changes: laws over all hosts, origins and tokens; and bodies that end once they are too large."""

import asyncio
import inspect
import string
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleetgen.telemetry.logs import start_logging
from fleetgen.web.edge.guard import LONGEST_BODY, Guard, Policy

LOCAL = Policy("127.0.0.1", frozenset({"depot"}))
GUARDED = Policy("0.0.0.0", frozenset({"depot"}), "a-token-of-some-length")
PORT = 18000

names = st.text(string.ascii_letters + string.digits + "-._:@[]/?#%é ", max_size=40)
domains = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9-]{0,10}){1,3}", fullmatch=True)
tokens = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)
unsafe = st.sampled_from(["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "post", "", "ANYTHING"])


def refusal(policy: Policy, method: str = "POST", **headers: str) -> str | None:
    found = [(name.replace("_", "-").encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    refused = policy.refusal(method, found)
    return refused.error if refused else None


@given(name=domains, method=unsafe)
def test_no_domain_but_the_own_may_change_anything(name: str, method: str) -> None:
    assume(name != "depot")
    assert refusal(LOCAL, method, host=name) == "foreign_host"
    assert (
        refusal(GUARDED, method, host=f"{name}:{PORT}", authorization="Bearer a-token-of-some-length") == "foreign_host"
    )


@given(host=names, origin=names)
def test_whatever_the_host_and_the_origin_are_the_policy_answers(host: str, origin: str) -> None:
    refused = refusal(LOCAL, host=host, origin=origin)
    assert refused in ("foreign_host", "foreign_origin") or origin.lower().endswith(host.lower())


@given(
    origin=st.one_of(
        names,
        domains.map(lambda name: f"http://{name}"),
        st.integers(1, 65_535).map(lambda port: f"http://localhost:{port}"),
    )
)
def test_no_origin_but_the_own_may_change_anything(origin: str) -> None:
    assume(origin != f"http://localhost:{PORT}")
    assert refusal(LOCAL, host=f"localhost:{PORT}", origin=origin) == "foreign_origin"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@given(name=domains, origin=names, token=tokens)
def test_reading_needs_a_known_host_and_nothing_else(method: str, name: str, origin: str, token: str) -> None:
    assume(name != "depot")
    for policy in (LOCAL, GUARDED):
        strange = {"origin": origin, "authorization": token, "sec_fetch_site": "cross-site"}
        assert refusal(policy, method, host=f"depot:{PORT}", **strange) is None
        assert refusal(policy, method, host=f"{name}:{PORT}") == "foreign_host"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"], [b"evil.example", b"localhost"]])
def test_no_host_or_two_are_foreign(method: str, hosts: list[bytes]) -> None:
    refused = LOCAL.refusal(method, [(b"host", host) for host in hosts])
    assert refused is not None
    assert (refused.status, refused.error) == (403, "foreign_host")


@given(name=domains, origin=names)
def test_a_websocket_is_guarded_as_a_change_is_but_for_the_token(name: str, origin: str) -> None:
    assume(name != "depot")
    host, own = (b"host", b"depot:18000"), (b"origin", b"http://depot:18000")
    for policy in (LOCAL, GUARDED):
        assert policy.refusal_of_handshake([host, own]) is None
        assert policy.refusal_of_handshake([host]) is None
        refused = policy.refusal_of_handshake([host, (b"origin", origin.encode("latin-1", "replace"))])
        assert refused is not None
        assert refused.error == "foreign_origin"
        foreign = [(b"host", name.encode()), (b"origin", f"http://{name}".encode())]
        refused = policy.refusal_of_handshake(foreign)
        assert refused is not None
        assert refused.error == "foreign_host"


@given(given=st.text(max_size=40))
def test_only_the_token_unlocks_the_page(given: str) -> None:
    assume(given.strip() != "a-token-of-some-length")
    assert not GUARDED.is_token(given)
    assert GUARDED.is_token(" a-token-of-some-length\n")
    assert LOCAL.is_token(given)


@pytest.mark.parametrize(
    ("host", "expected"), [(b"evil.example", "websocket.close"), (b"localhost", "websocket.accept")]
)
def test_a_websocket_from_a_foreign_host_is_closed(host: bytes, expected: str) -> None:
    said: list[str] = []

    async def accepting(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message["type"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    guard = Guard(accepting, LOCAL, start_logging("test"))
    asyncio.run(guard({"type": "websocket", "headers": [(b"host", host)]}, receive, send))
    assert said == [expected]


@pytest.mark.parametrize("host", ["localhost", f"localhost:{PORT}", "127.0.0.1", f"[::1]:{PORT}", "depot", "DEPOT.:1"])
def test_the_own_names_are_known(host: str) -> None:
    assert refusal(LOCAL, host=host) is None
    assert refusal(LOCAL, host=host, origin=f"http://{host}") is None


@given(address=st.ip_addresses())
def test_an_address_is_known_only_where_others_reach_the_machine(address: Any) -> None:
    assume(not address.is_loopback)
    host = f"[{address}]:{PORT}" if address.version == 6 else f"{address}:{PORT}"
    assert refusal(LOCAL, host=host) == refusal(LOCAL, "GET", host=host) == "foreign_host"
    assert refusal(GUARDED, "GET", host=host) is None
    assert refusal(GUARDED, host=host) == "token_required"


@given(token=tokens)
def test_no_token_but_the_right_one_counts(token: str) -> None:
    assume(token.strip() != "a-token-of-some-length")
    assert refusal(GUARDED, host="depot", authorization=f"Bearer {token}") == "token_required"
    assert refusal(GUARDED, host="depot", authorization=token) == "token_required"
    assert refusal(GUARDED, host="depot", authorization="Bearer a-token-of-some-length") is None


def test_the_token_is_compared_in_constant_time() -> None:
    """Read from the source: a difference of nanoseconds cannot be measured over HTTP by a test that must not flicker."""
    compared = inspect.getsource(Policy._bears_token) + inspect.getsource(Policy.is_token)
    assert "hmac.compare_digest(" in compared
    assert "==" not in compared.replace('scheme.lower() == "bearer"', "")
    assert "self.token ==" not in inspect.getsource(Policy)


async def reading(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the whole body, then tells its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def status_of(pieces: list[int], headers: list[tuple[bytes, bytes]]) -> int:
    """Send a body in pieces of these sizes through the guard, and return the status of the answer."""
    messages = [{"type": "http.request", "body": b"x" * size, "more_body": True} for size in pieces]
    waiting = iter([*messages, {"type": "http.request", "body": b"", "more_body": False}])
    said: list[MutableMapping[str, Any]] = []

    async def receive() -> Any:
        return next(waiting)

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b""}
    guard = Guard(reading, LOCAL, start_logging("test"))
    asyncio.run(guard({**scope, "headers": [(b"host", b"localhost"), *headers]}, receive, send))
    return int(said[0]["status"])


@given(pieces=st.lists(st.integers(0, LONGEST_BODY), max_size=6), claimed=st.none() | st.integers(0, 10**30))
def test_a_body_is_taken_up_to_its_greatest_size_whatever_is_claimed(pieces: list[int], claimed: int | None) -> None:
    headers = [] if claimed is None else [(b"content-length", str(claimed).encode())]
    fits = sum(pieces) <= LONGEST_BODY and (claimed or 0) <= LONGEST_BODY
    assert status_of(pieces, headers) == (200 if fits else 413)

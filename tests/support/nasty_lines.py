"""The canonical lines that are no records, or only just: what each must become, whichever engine judges them.

``NASTY`` is one batch of events over the interval ``[START, END)``: a line's number is its place in the list, from 1.
"""

import json
from dataclasses import dataclass

from fleetgen.domain.records import instant

START = instant("2026-01-05T12:00:00Z")
END = instant("2026-01-05T12:00:10Z")
COMPANY = "c0ffee00-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Nasty:
    """A line's bytes and the rule that must reject it; None: it is accepted."""

    what: str
    line: bytes
    rule: str | None
    field: str | None = None


def record(number: int, **changes: object) -> dict[str, object]:
    """Return a clean event with changes."""
    clean: dict[str, object] = {
        "event_id": f"e0000000-0000-4000-8000-{number:012x}",
        "driver_id": f"DRV-{COMPANY}-000",
        "company_id": COMPANY,
        "truck_id": "TRK-42-0000",
        "event_type": "delivered",
        "timestamp": "2026-01-05T12:00:01.000000Z",
    }
    return clean | changes


def event(number: int, **changes: object) -> bytes:
    """Return a clean event with changes as fleetgen writes it."""
    return json.dumps(record(number, **changes), separators=(",", ":")).encode()


def _without(number: int, field: str) -> bytes:
    return json.dumps({key: value for key, value in record(number).items() if key != field}).encode()


def _at(number: int, text: str) -> bytes:
    return event(number, timestamp=text)


def _with_text(number: int, value: bytes) -> bytes:
    """Return an event with these bytes as the JSON value of its type."""
    return event(number).replace(b'"delivered"', value)


NASTY = (
    Nasty("a clean event", event(1), None),
    Nasty("its copy", event(1), "duplicate"),
    Nasty("its copy with other spaces", json.dumps(record(1)).encode(), "duplicate"),
    Nasty("its id with another content", event(1, event_type="start driving"), "conflicting_duplicate"),
    Nasty("the keys in another order", json.dumps(dict(reversed(record(2).items()))).encode(), None),
    Nasty("spaces around it", b" \t" + event(3) + b"  ", None),
    Nasty("CRLF", event(4) + b"\r", None),
    Nasty("escaped letters", event(5).replace(b"delivered", rb"\u0064elivered"), None),
    Nasty("an empty line", b"", "empty_line"),
    Nasty("another empty line", b"", "empty_line"),
    Nasty("an empty line with CRLF", b"\r", "empty_line"),
    Nasty("spaces only", b" \t ", "empty_line"),
    Nasty("torn in a string", event(6)[:60], "invalid_json"),
    Nasty("torn in a string again, a copy", event(6)[:60], "duplicate"),
    Nasty("torn at the end", event(7)[:-1], "invalid_json"),
    Nasty("the end of a torn line", event(8)[40:], "invalid_json"),
    Nasty("two records", event(9) + event(10), "invalid_json"),
    Nasty("trailing text", event(11) + b" and more", "invalid_json"),
    Nasty("a trailing comma", event(12)[:-1] + b",}", "invalid_json"),
    Nasty("a trailing comma behind a space", event(13)[:-1] + b" ,\t}", "invalid_json"),
    Nasty("what looks like a trailing comma in a string", event(14, event_type="a,}"), "invalid_enum", "event_type"),
    Nasty("NaN", _with_text(15, b"NaN"), "invalid_json"),
    Nasty("NaN in a string", event(16, event_type="NaN"), "invalid_enum", "event_type"),
    Nasty("Infinity", _with_text(17, b"Infinity"), "invalid_json"),
    Nasty("-inf", _with_text(18, b"-inf"), "invalid_json"),
    Nasty("NaN alone", b"NaN", "invalid_json"),
    Nasty("1e400", _with_text(19, b"1e400"), "wrong_type", "event_type"),
    Nasty("a huge integer", _with_text(20, b"9" * 400), "wrong_type", "event_type"),
    Nasty("a huge integer alone", b"9" * 400, "not_an_object"),
    Nasty("a leading zero", _with_text(21, b"01"), "invalid_json"),
    Nasty("a leading plus", _with_text(22, b"+1"), "invalid_json"),
    Nasty("single quotes", event(23).replace(b'"', b"'"), "invalid_json"),
    Nasty("a comment", event(24) + b"// so it is", "invalid_json"),
    Nasty("an unknown escape", _with_text(25, rb'"\x"'), "invalid_json"),
    Nasty("half a surrogate pair", _with_text(26, rb'"\ud800"'), "invalid_json"),
    Nasty("an escaped NUL", _with_text(27, rb'"\u0000"'), "invalid_enum", "event_type"),
    Nasty("a control character in a string", _with_text(28, b'"a\x01"'), "invalid_json"),
    Nasty("a NUL", b"\x00", "invalid_json"),
    Nasty("a NUL behind a record", event(29) + b"\x00", "invalid_json"),
    Nasty("a NUL within a string", _with_text(30, b'"deliv\x00ered"'), "invalid_json"),
    Nasty("a byte order mark", b"\xef\xbb\xbf" + event(31), "invalid_json"),
    Nasty("invalid UTF-8", _with_text(32, b'"deliv\xff"'), "invalid_utf8"),
    Nasty("UTF-8 torn", _with_text(33, b'"\xe2\x82"'), "invalid_utf8"),
    Nasty("an encoded surrogate", _with_text(34, b'"\xed\xa0\x80"'), "invalid_utf8"),
    Nasty("Latin-1", _with_text(35, "geliefért".encode("latin-1")), "invalid_utf8"),
    Nasty("UTF-16", event(36).decode().encode("utf-16"), "invalid_utf8"),
    Nasty("letters beyond ASCII", event(37, event_type="geliefért 🚚"), "invalid_enum", "event_type"),
    Nasty("an array", b"[]", "not_an_object"),
    Nasty("an array of a record", b"[" + event(38) + b"]", "not_an_object"),
    Nasty("a string", b'"delivered"', "not_an_object"),
    Nasty("a number", b"1", "not_an_object"),
    Nasty("true", b"true", "not_an_object"),
    Nasty("null", b"null", "not_an_object"),
    Nasty("an empty object", b"{}", "missing_field", "event_id"),
    Nasty("a key twice", event(39)[:-1] + b',"truck_id":"TRK-42-0000"}', "duplicate_key"),
    Nasty(
        "a key twice, another missing", _without(40, "timestamp")[:-1] + b',"truck_id":"TRK-42-0000"}', "duplicate_key"
    ),
    Nasty("a missing field", _without(41, "company_id"), "missing_field", "company_id"),
    Nasty("a misspelt field", event(42).replace(b"truck_id", b"truckid"), "missing_field", "truck_id"),
    Nasty("a null", event(43, timestamp=None), "null_value", "timestamp"),
    Nasty(
        "a null and a missing field",
        json.dumps({**record(44, event_id=None), "truck_id": None}).encode(),
        "null_value",
        "event_id",
    ),
    Nasty("a number for a text", event(45, truck_id=7), "wrong_type", "truck_id"),
    Nasty("an array for a text", event(46, event_type=["delivered"]), "wrong_type", "event_type"),
    Nasty("an object for a text", event(47, event_type={"a": "delivered"}), "wrong_type", "event_type"),
    Nasty("a truth value for a text", event(48, event_type=True), "wrong_type", "event_type"),
    Nasty("deep arrays", _with_text(49, b"[" * 2000 + b"]" * 2000), "wrong_type", "event_type"),
    Nasty("deep objects", b'{"a":' * 5000 + b"1" + b"}" * 5000, "missing_field", "event_id"),
    Nasty("deep and torn", b"[" * 100_000, "invalid_json"),
    Nasty("an unknown field", event(50, speed=80), "unknown_field"),
    Nasty("an id in capitals", event(51, event_id="E0000000-0000-4000-8000-000000000051"), "malformed_id", "event_id"),
    Nasty(
        "an id of another version",
        event(52, event_id="e0000000-0000-1000-8000-000000000052"),
        "malformed_id",
        "event_id",
    ),
    Nasty("a short driver id", event(53, driver_id="DRV-000"), "malformed_id", "driver_id"),
    Nasty("an id with a newline", event(54, truck_id="TRK-42-0000\n"), "malformed_id", "truck_id"),
    Nasty("an empty id", event(55, company_id=""), "malformed_id", "company_id"),
    Nasty("month 13", _at(56, "2026-13-05T12:00:01.000000Z"), "malformed_timestamp", "timestamp"),
    Nasty("30 February", _at(57, "2026-02-30T12:00:01.000000Z"), "malformed_timestamp", "timestamp"),
    Nasty("hour 24", _at(58, "2026-01-05T24:00:00.000000Z"), "malformed_timestamp", "timestamp"),
    Nasty("second 60", _at(59, "2026-01-05T12:00:60.000000Z"), "malformed_timestamp", "timestamp"),
    Nasty("no zone", _at(60, "2026-01-05T12:00:01.000000"), "malformed_timestamp", "timestamp"),
    Nasty("another zone", _at(61, "2026-01-05T12:00:01.000000+00:00"), "malformed_timestamp", "timestamp"),
    Nasty("no fraction", _at(62, "2026-01-05T12:00:01Z"), "malformed_timestamp", "timestamp"),
    Nasty("slashes", _at(63, "2026/01/05T12:00:01.000000Z"), "malformed_timestamp", "timestamp"),
    Nasty("a word", _at(64, "yesterday"), "malformed_timestamp", "timestamp"),
    Nasty("year 0", _at(65, "0000-01-05T12:00:01.000000Z"), "outside_interval", "timestamp"),
    Nasty("year 9999", _at(66, "9999-12-31T23:59:59.999999Z"), "outside_interval", "timestamp"),
    Nasty("just before the interval", _at(67, "2026-01-05T11:59:59.999999Z"), "outside_interval", "timestamp"),
    Nasty("the first instant", _at(68, "2026-01-05T12:00:00.000000Z"), None),
    Nasty("the last instant", _at(69, "2026-01-05T12:00:09.999999Z"), None),
    Nasty("just after the interval", _at(70, "2026-01-05T12:00:10.000000Z"), "outside_interval", "timestamp"),
    Nasty("an unknown type", event(71, event_type="teleported"), "invalid_enum", "event_type"),
    Nasty("an empty type", event(72, event_type=""), "invalid_enum", "event_type"),
    Nasty("an id that a rejected line had", event(71), None),
    Nasty("10 MB", event(73, event_type="x" * 10_000_000), "line_too_long"),
    Nasty("a little over 1 MiB of spaces behind a record", event(74).ljust((1 << 20) + 1), "line_too_long"),
    Nasty("1 MiB of spaces behind a record", event(75).ljust(1 << 20), None),
    Nasty("an empty line before the end", b"", "empty_line"),
    Nasty("the last line without a newline", event(76), None),
)

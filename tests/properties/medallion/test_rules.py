"""Every line ends in one definite rule, or is accepted."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgen.domain.records import ISSUE_TYPES, Interval, Stream
from fleetgen.medallion.embedded.budget import carrying
from fleetgen.medallion.embedded.database import Database, registered
from fleetgen.medallion.issues import ISSUE_OF_RULE
from fleetgen.medallion.lines import Block, listed, split
from fleetgen.medallion.rules import KEPT_CHARACTERS, RULES, judge, record_columns
from fleetgen.storage.bronze import TRUTH_FILE
from support.delta_tables import batches, contents, dirty, engine, follow
from support.nasty_lines import END, NASTY, START, event, record


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with closing(Database(carrying(), tmp_path_factory.mktemp("spill"))) as opened:
        yield opened


@contextmanager
def shown(database: Database, blocks: Sequence[Block]) -> Iterator[None]:
    """Let SQL see the lines of some blocks, the way that suits what the pass asks for."""
    if database.suits_few:
        database.insert("lines", listed(blocks))
        yield
    else:
        with registered(database.connection, "lines", pa.Table.from_batches(map(split, [[each] for each in blocks]))):
            yield


def judged(database: Database, *contents: bytes, few: bool = True) -> list[dict[str, Any]]:
    """Judge files, each of them a batch of events, in one go."""
    blocks = [Block(content, 1, number, Interval(START, END)) for number, content in enumerate(contents)]
    columns = ", ".join(["batch_number", "line", "rule", "field", "raw", "size_bytes", "event_id", "event_type"])
    with database.working(Stream.EVENTS, few), shown(database, blocks):
        judge(database.run, Stream.EVENTS)
        found = database.run(f"SELECT {columns} FROM judged ORDER BY batch_number, line").fetchall()
    return [dict(zip(columns.split(", "), row, strict=True)) for row in found]


@pytest.mark.parametrize("few", [True, False])
def test_each_nasty_line_becomes_what_is_agreed(database: Database, few: bool) -> None:
    rows = judged(database, b"\n".join(each.line for each in NASTY), few=few)
    assert [row["line"] for row in rows] == list(range(1, len(NASTY) + 1))
    told = [(each.what, row["rule"], row["field"]) for each, row in zip(NASTY, rows, strict=True)]
    assert told == [(each.what, each.rule, each.field) for each in NASTY]


def test_nasty_lines_need_every_rule() -> None:
    assert {each.rule for each in NASTY} == {None, *RULES}


def test_rejected_lines_are_kept_with_their_size(database: Database) -> None:
    for each, row in zip(NASTY, judged(database, b"\n".join(each.line for each in NASTY)), strict=True):
        if each.rule is None:
            assert row["raw"] is None
            assert row["event_id"] == json.loads(each.line)["event_id"]
        else:
            assert row["event_id"] is None
            assert row["raw"] == each.line.decode(errors="backslashreplace")[:KEPT_CHARACTERS]
            assert row["size_bytes"] == len(each.line) or each.rule == "invalid_utf8"


def test_batches_that_are_judged_together_do_not_see_each_other(database: Database) -> None:
    rows = judged(database, event(1) + b"\n" + event(1) + b"\n", event(1) + b"\n")
    assert [row["rule"] for row in rows] == [None, "duplicate", None]


def test_no_lines_are_judged_to_none(database: Database) -> None:
    assert judged(database, b"") == []


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=8))
def test_any_bytes_end_in_one_row_a_line(database: Database, lines: list[bytes]) -> None:
    rows = judged(database, b"".join(line + b"\n" for line in lines))
    assert [row["line"] for row in rows] == list(range(1, len(lines) + 1))
    assert all(row["rule"] in RULES for row in rows)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def refuse(constant: str) -> None:
    raise ValueError(constant)


@given(_JSON, st.integers(0, 30), st.sampled_from(["", ",", "}", "]", "1", "nan"]))
def test_what_is_json_is_what_python_takes_for_json(database: Database, value: object, cut: int, tail: str) -> None:
    # given a JSON text that may be torn and may have something behind it
    text = json.dumps(value)
    text = (text[: len(text) - cut] if cut < 5 else text) + tail
    try:
        json.loads(text, parse_constant=refuse)
        expected = True
    except ValueError:
        expected = False
    [row] = judged(database, text.encode(errors="replace") + b"\n") if text.strip() else [{"rule": "empty_line"}]
    if "\\ud" not in text:  # a lone surrogate is no text that can be stored
        assert (row["rule"] not in ("invalid_json", "empty_line")) is expected


@given(st.sampled_from(sorted(record(1))), _JSON)
def test_a_changed_field_is_rejected_unless_it_is_the_same(database: Database, field: str, value: object) -> None:
    [row] = judged(database, event(1, **{field: value}) + b"\n")
    assert (row["rule"] is None) is (value == record(1)[field])


def test_each_injected_issue_is_found_and_nothing_else(tmp_path: Path) -> None:
    # given a dataset of both streams with every type of issue
    with dirty(tmp_path, 1200, companies_per_batch="60", events_per_batch="{ min = 20, max = 60 }") as simulation:
        layout = simulation.dataset.layout
    # when it is carried
    carrier = engine(layout)
    follow(layout, carrier, most=500)
    # then quarantine and truth name the same lines, and the same issues
    found = {row[:2] + row[3:4]: ISSUE_OF_RULE[row[4]] for row in contents(layout)["quarantine"]}
    truth = {
        (stream.value, entry.batch_number, issue["line"]): issue["issue_type"]
        for stream in Stream
        for entry in batches(layout, stream)
        for issue in map(json.loads, (layout.truth(stream, entry.batch_id) / TRUTH_FILE).open())
    }
    assert found == truth
    assert {(key[0], kind) for key, kind in truth.items()} == {
        (stream.value, kind) for stream in Stream for kind in ISSUE_TYPES
    }


def test_duplicates_of_lines_with_an_issue_are_found_too(tmp_path: Path) -> None:
    # given batches in which every record has an issue, so that duplicates copy lines with one
    with dirty(tmp_path, 300, event_error_rate="1.0", duplicate="5.0") as simulation:
        layout = simulation.dataset.layout
    follow(layout, engine(layout), most=500)
    duplicates = sum(entry.issue_counts["duplicate"] for entry in batches(layout, Stream.EVENTS))
    found = [row for row in contents(layout)["quarantine"] if row[0] == "events" and row[4] == "duplicate"]
    assert len(found) == duplicates > 50


def test_columns_are_those_of_the_schema() -> None:
    assert list(record_columns(Stream.EVENTS)) == list(record(1))
    assert record_columns(Stream.COMPANIES)["active"] == "BOOLEAN"

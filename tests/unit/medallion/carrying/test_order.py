"""In which pieces batches are carried."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.medallion.carrying.order import PASS_BATCHES, missing, passes
from fleetgen.storage.ledger import BatchEntry


def entry(number: int, lines: int = 10) -> BatchEntry:
    return BatchEntry(
        start="2026-01-05T12:00:00.000000Z",
        end="2026-01-05T12:00:10.000000Z",
        segment=1,
        company_count=10,
        batch_number=number,
        batch_id=f"20260105T{number:06d}Z",
        mode="emulated",
        record_count=lines,
        valid_count=lines,
        corrupted_count=0,
        bytes=lines * 200,
        parts=1,
        sha256="0" * 64,
    )


def test_what_the_tables_have_is_left_out() -> None:
    entries = [entry(number) for number in range(3, 9)]
    assert missing(Stream.EVENTS, entries, 6) == entries[3:]
    assert missing(Stream.EVENTS, entries, 9) == []
    assert missing(Stream.EVENTS, entries, 3) == entries


@pytest.mark.parametrize(("numbers", "first"), [((4, 5), 3), ((3, 5), 3), ((5, 4), 4)])
def test_a_batch_that_is_left_out_or_out_of_order_is_refused(numbers: tuple[int, ...], first: int) -> None:
    with pytest.raises(FleetgenError, match=f"The tables of events go on at batch {first}"):
        missing(Stream.EVENTS, [entry(number) for number in numbers], first)


@given(st.lists(st.integers(0, 500), max_size=60), st.integers(1, 1000))
def test_each_batch_is_carried_once_in_order_and_no_pass_is_larger_than_it_must_be(sizes: list[int], most: int) -> None:
    entries = [entry(number, lines) for number, lines in enumerate(sizes)]
    found = list(passes(entries, most))
    assert [each for run in found for each in run] == entries
    assert all(run for run in found)
    assert all(len(run) == 1 or sum(each.record_count for each in run) <= most for run in found)
    for run, after in pairwise(found):
        assert len(run) == PASS_BATCHES or sum(each.record_count for each in (*run, after[0])) > most


@given(st.lists(st.integers(0, 500), max_size=60), st.integers(1, 200_000))
def test_no_pass_has_more_bytes_than_it_must(sizes: list[int], most: int) -> None:
    entries = [entry(number, lines) for number, lines in enumerate(sizes)]
    found = list(passes(entries, 10**9, most))
    assert [each for run in found for each in run] == entries
    assert all(len(run) == 1 or sum(each.bytes for each in run) <= most for run in found)
    for run, after in pairwise(found):
        assert sum(each.bytes for each in (*run, after[0])) > most


def test_of_empty_batches_only_so_many_are_carried_at_once() -> None:
    found = list(passes([entry(number, 0) for number in range(2 * PASS_BATCHES + 1)], 1))
    assert [len(run) for run in found] == [PASS_BATCHES, PASS_BATCHES, 1]

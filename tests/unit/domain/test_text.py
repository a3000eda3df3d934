"""Text as arrays of bytes: spans of any widths come together in order, numbers read as Python writes them."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examined
from hypothesis import strategies as st

from fleetgen.domain.text import Phrases, Spans, copy, copy_uneven, joined, numbers, quoted_instants, spread

SOURCE = bytes(range(65, 91)) * 20


def spans(chosen: list[tuple[int, int]]) -> Spans:
    starts, widths = np.array(chosen, np.int64).reshape(-1, 2).T
    return Spans(np.frombuffer(SOURCE, np.uint8), starts, widths)


def told(each: Spans) -> list[bytes]:
    places = zip(each.starts.tolist(), each.widths.tolist(), strict=True)
    return [each.source[start : start + width].tobytes() for start, width in places]


@given(st.lists(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 300)), min_size=3, max_size=3), min_size=1))
@examined(max_examples=100, derandomize=True, deadline=None)
def test_lines_are_their_spans_one_behind_the_other(rows: list[list[tuple[int, int]]]) -> None:
    runs = [spans([row[place] for row in rows]) for place in range(3)]

    out, starts = joined(runs)

    lines = [b"".join(SOURCE[start : start + width] for start, width in row) for row in rows]
    assert out.tobytes() == b"".join(lines)
    assert starts.tolist() == [sum(map(len, lines[:row])) for row in range(len(lines))]


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 300))))
@examined(max_examples=100, derandomize=True, deadline=None)
def test_uneven_spans_are_copied_like_others(chosen: list[tuple[int, int]]) -> None:
    uneven = spans(chosen)
    at = np.cumsum(uneven.widths) - uneven.widths
    found, expected = (np.zeros(uneven.widths.sum() + 1, np.uint8) for _ in range(2))

    copy_uneven(found, at, uneven)

    copy(expected, at, uneven)
    assert found.tobytes() == expected.tobytes() == b"".join(told(uneven)) + b"\0"


def test_what_was_written_can_be_copied_further() -> None:
    out = np.frombuffer(bytearray(b"one.two.........."), np.uint8)
    copy(out, np.array([8, 12]), Spans(out, np.array([4, 0]), np.array([3, 3])))
    assert out.tobytes() == b"one.two.two.one.."


@pytest.mark.parametrize(
    "values",
    [[], [0], [7, 10], [9_999, 10_000, 0], [10**8 - 1, 10**8], [1, 10**12, 999, 10**16 + 5], [2**63 - 1]],
)
def test_numbers_read_as_python_writes_them(values: list[int]) -> None:
    assert told(numbers(np.array(values, np.int64))) == [b"%d" % value for value in values]


@given(st.lists(st.datetimes()))
@examined(max_examples=100, derandomize=True, deadline=None)
def test_instants_read_as_python_writes_them(instants: list[datetime]) -> None:
    values = [(each - datetime(1970, 1, 1)) // timedelta(microseconds=1) for each in instants]
    expected = [f'"{each.isoformat(timespec="microseconds")}Z"'.encode() for each in instants]
    assert told(quoted_instants(np.array(values, np.int64))) == expected


def test_phrases_are_chosen_by_number_and_may_be_empty() -> None:
    assert told(Phrases([b"ab", b"", b"c"]).spans(np.array([2, 0, 1, 0]))) == [b"c", b"ab", b"", b"ab"]


def test_spans_are_spread_over_the_rows_that_have_one() -> None:
    assert told(spread(spans([(0, 2), (3, 1)]), np.array([False, True, False, True]))) == [b"", b"AB", b"", b"D"]

"""How fast batches have come lately, told from their metas."""

from typing import Any

import pytest

from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.web.known.pace import BATCHES, Pace

START = 1_767_225_600 * SECOND


def meta(number: int, records: int = 20, lag: float = 0.0, interval: int = 10) -> dict[str, Any]:
    """Return what the pace needs of a batch that was made when it was due."""
    end = START + number * interval * SECOND
    return {
        "batch_number": number,
        "record_count": records,
        "interval_start": iso(end - interval * SECOND),
        "interval_end": iso(end),
        "scheduled_at": iso(end),
        "started_at": iso(end + round(lag * SECOND)),
        "generation_time": iso(end),
    }


def pace_of(count: int, **facts: Any) -> Pace:
    pace = Pace()
    for stream in Stream:
        for number in range(count):
            pace.add(stream, meta(number, **facts))
    return pace


def at(number: float) -> int:
    return START + round(number * 10 * SECOND)


@pytest.mark.parametrize("count", [0, 1])
def test_before_the_second_batch_there_is_no_pace(count: int) -> None:
    pace = pace_of(count)
    assert pace.batches_per_minute(at(1)) is None
    assert pace.records_per_second(at(1)) is None
    assert pace.start_lag_p99_seconds() is None


@pytest.mark.parametrize("count", [2, BATCHES, 3 * BATCHES])
def test_the_pace_is_that_of_both_streams_together(count: int) -> None:
    pace = pace_of(count)
    assert pace.batches_per_minute(at(count - 0.5)) == 12
    assert pace.records_per_second(at(count - 0.5)) == 4


def test_the_pace_falls_while_nothing_comes() -> None:
    pace = pace_of(BATCHES)
    paces = [pace.batches_per_minute(at(BATCHES - 1 + silence)) for silence in (0, 2, 10, 1000)]
    assert paces[0] == paces[1] == 12
    assert paces[1] > paces[2] > paces[3] > 0  # type: ignore[operator]


def test_the_lag_is_the_greatest_but_for_one_in_a_hundred() -> None:
    pace = Pace()
    for number in range(1, 201):
        pace.add(Stream.EVENTS, meta(number, lag=number / 100))
    assert pace.start_lag_p99_seconds() == 1.98


def test_a_batch_that_was_made_up_for_says_nothing_about_the_lag() -> None:
    pace = pace_of(5, lag=0.25)
    pace.add(Stream.EVENTS, meta(5, lag=10.0))
    assert pace.start_lag_p99_seconds() == 0.25


def test_a_clock_that_was_set_back_gives_no_negative_lag() -> None:
    assert pace_of(5, lag=-3.0).start_lag_p99_seconds() == 0

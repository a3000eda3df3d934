"""Batches are read from any number on, as if the whole ledger had been read, at the cost of what is asked for."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleetgen.domain.records import SECOND, batch_id, instant, iso
from fleetgen.storage.ledger import BatchEntry, GapEntry, Ledger

BEGIN = instant("2026-01-01T12:00:00Z")
TAIL_BYTES = 8192
"""So near the bisection comes; shorter ledgers are read from their beginning."""


def batch(number: int, place: int, width: int = 1) -> BatchEntry:
    """A batch at a place of the ledger; a greater width makes its line longer."""
    start = BEGIN + place * SECOND
    return BatchEntry(
        start=iso(start),
        end=iso(start + SECOND),
        segment=1,
        company_count=number,
        batch_number=number,
        batch_id=batch_id(start),
        mode="emulated",
        record_count=width,
        valid_count=width,
        corrupted_count=0,
        issue_counts={f"issue {kind}": kind for kind in range(width)},
        bytes=271 * width,
        parts=1,
        sha256=f"{number:064x}",
    )


def gap(place: int) -> GapEntry:
    start = iso(BEGIN + place * SECOND)
    return GapEntry(
        start=start, end=iso(BEGIN + (place + 1) * SECOND), segment=1, company_count=0, reason="paused", intervals=1
    )


def history(runs: list[tuple[bool, int, int]]) -> list[BatchEntry | GapEntry]:
    """Return the lines of runs of batches (True) or gaps, each of a length, and of a width of its batches' lines."""
    lines: list[BatchEntry | GapEntry] = []
    number = 0
    for are_batches, length, width in runs:
        for _ in range(length):
            lines.append(batch(number, len(lines), width) if are_batches else gap(len(lines)))
            number += are_batches
    return lines


def written(path: Path, lines: list[BatchEntry | GapEntry], torn: float | None = None) -> Ledger:
    """Write a ledger; if torn, only such a share of its last line."""
    texts = [line.model_dump_json().encode() + b"\n" for line in lines]
    if torn is not None and texts:
        texts[-1] = texts[-1][: int(torn * (len(texts[-1]) - 1))]
    path.write_bytes(b"".join(texts))
    return Ledger(path)


def by_reading_all(ledger: Ledger, number: int, count: int) -> list[BatchEntry]:
    batches = [entry for entry in ledger.entries() if isinstance(entry, BatchEntry)]
    return [entry for entry in batches if entry.batch_number >= number][:count]


runs = st.lists(st.tuples(st.booleans(), st.integers(1, 60), st.integers(1, 40)), max_size=6)
tears = st.none() | st.floats(0, 1)


@given(runs=runs, torn=tears, number=st.integers(-1, 400), count=st.integers(0, 400))
@example(runs=[], torn=None, number=0, count=5)
@example(runs=[(True, 1, 1)], torn=None, number=0, count=5)
@example(runs=[(True, 1, 1)], torn=0.5, number=0, count=5)
@example(runs=[(False, 1, 1)], torn=None, number=0, count=5)
@example(runs=[(True, 1, 400)], torn=None, number=0, count=1)
@example(runs=[(True, 40, 1), (False, 200, 1), (True, 1, 1)], torn=None, number=40, count=1)
@example(runs=[(False, 200, 1), (True, 40, 1), (False, 200, 1)], torn=0.9, number=39, count=9)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_batches_from_a_number_on_are_those_that_reading_all_finds(
    runs: list[tuple[bool, int, int]], torn: float | None, number: int, count: int
) -> None:
    with TemporaryDirectory() as folder:
        ledger = written(Path(folder) / "events.jsonl", history(runs), torn)

        assert ledger.batches_from(number, count) == by_reading_all(ledger, number, count)


@given(runs=runs, torn=tears, place=st.integers(-1, 400), after=st.integers(0, 1))
@example(runs=[], torn=None, place=0, after=0)
@example(runs=[(True, 1, 400)], torn=None, place=0, after=0)
@example(runs=[(True, 1, 1)], torn=0.5, place=0, after=0)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_the_line_that_starts_at_an_instant_is_the_one_that_reading_all_finds(
    runs: list[tuple[bool, int, int]], torn: float | None, place: int, after: int
) -> None:
    moment = BEGIN + place * SECOND + after
    with TemporaryDirectory() as folder:
        ledger = written(Path(folder) / "events.jsonl", history(runs), torn)

        expected = next((entry for entry in ledger.entries() if entry.interval.start >= moment), None)
        assert ledger.starting_at(moment) == expected


@pytest.mark.parametrize("torn", [None, 0.0, 0.7])
def test_every_number_of_a_long_ledger_is_found(tmp_path: Path, torn: float | None) -> None:
    lines = history([(True, 70, 1), (False, 50, 1), (True, 1, 300), (False, 1, 1), (True, 90, 4)])
    ledger = written(tmp_path / "events.jsonl", lines, torn)
    assert ledger.path.stat().st_size > 4 * TAIL_BYTES

    for number in range(163):
        assert ledger.batches_from(number, 2) == by_reading_all(ledger, number, 2)


def test_a_ledger_that_was_never_written_has_no_batches(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger" / "events.jsonl")
    assert ledger.batches_from(0, 10) == []
    assert ledger.starting_at(0) is None


def test_a_line_that_is_appended_is_found_at_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger" / "events.jsonl")

    for number in range(60):
        assert ledger.batches_from(number, 5) == []
        ledger.append(batch(number, number))
        assert ledger.batches_from(number, 5) == [batch(number, number)]


def test_a_few_batches_cost_little_however_long_the_ledger_is(tmp_path: Path) -> None:
    # given a ledger of more than 2 MB
    ledger = written(tmp_path / "events.jsonl", history([(True, 6000, 1)]))
    size = ledger.path.stat().st_size
    assert size > 2 << 20

    for number in (0, 1, 3000, 5998):
        before = bytes_read()
        found = ledger.batches_from(number, 2)
        cost = bytes_read() - before

        assert [entry.batch_number for entry in found] == [number, number + 1]
        assert cost < size / 10

        before = bytes_read()
        one = ledger.starting_at(found[0].interval.start)
        cost = bytes_read() - before

        assert one == found[0]
        assert cost < size / 10


def bytes_read() -> int:
    """Return how many bytes this process has read so far."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])

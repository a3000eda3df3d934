"""A ledger keeps its lines through every crash and finds any of them without reading all."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetgen.domain.records import SECOND, batch_id, instant, iso
from fleetgen.errors import ManifestError
from fleetgen.storage.ledger import BatchEntry, GapEntry, Ledger

BEGIN = instant("2026-01-01T12:00:00Z")
SIZES = [0, 1, 2, 15, 16, 17, 100, 1000, 3000]


def batch(number: int, start: int, end: int) -> BatchEntry:
    return BatchEntry(
        start=iso(start),
        end=iso(end),
        segment=1,
        company_count=10 * number,
        batch_number=number,
        batch_id=batch_id(start),
        mode="emulated",
        record_count=number % 21,
        valid_count=number % 21,
        corrupted_count=0,
        bytes=number * 271,
        parts=1,
        sha256=f"{number:064x}",
    )


def gap(start: int, end: int, intervals: int) -> GapEntry:
    return GapEntry(start=iso(start), end=iso(end), segment=1, company_count=0, reason="paused", intervals=intervals)


@cache
def history(count: int) -> tuple[BatchEntry | GapEntry, ...]:
    """So many lines that follow each other; every ninth is a gap, and intervals differ in length."""
    entries: list[BatchEntry | GapEntry] = []
    at, number = BEGIN, 0
    for line in range(count):
        intervals = 1 + line % 7 if line % 9 == 8 else 1
        end = at + intervals * (10 + line % 3) * SECOND
        entries.append(gap(at, end, intervals) if line % 9 == 8 else batch(number, at, end))
        at, number = end, number + (line % 9 != 8)
    return tuple(entries)


def lines_of(entries: Sequence[BatchEntry | GapEntry]) -> bytes:
    return b"".join(entry.model_dump_json(exclude_none=True).encode() + b"\n" for entry in entries)


def batches_of(entries: Sequence[BatchEntry | GapEntry]) -> list[BatchEntry]:
    return [entry for entry in entries if isinstance(entry, BatchEntry)]


def ended_by_reading_all(entries: Sequence[BatchEntry | GapEntry], moment: int) -> BatchEntry | GapEntry | None:
    ended = [entry for entry in entries if instant(entry.end) <= moment]
    return ended[-1] if ended else None


@pytest.fixture(scope="module")
def ledgers() -> Iterator[dict[int, Ledger]]:
    """Ledgers of every size, written at once."""
    with TemporaryDirectory() as folder:
        found = {size: Ledger(Path(folder) / f"{size}.jsonl") for size in SIZES}
        for size, ledger in found.items():
            ledger.path.write_bytes(lines_of(history(size)))
        yield found


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger" / "events.jsonl")

    for place, entry in enumerate(history(40)):
        ledger.append(entry)
        assert ledger.last() == entry
        assert tuple(ledger.entries()) == history(place + 1)

    assert ledger.path.read_bytes() == lines_of(history(40))


def test_a_ledger_that_was_never_written_is_empty(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger" / "events.jsonl")

    assert ledger.last() is None
    assert list(ledger.entries()) == []
    assert ledger.newest_batches(5) == []
    assert ledger.ended_by(BEGIN) is None
    assert not ledger.repair()
    assert not ledger.path.exists()


@pytest.mark.parametrize("size", SIZES)
def test_the_last_line_and_all_lines_are_found(ledgers: dict[int, Ledger], size: int) -> None:
    assert ledgers[size].last() == (history(size)[-1] if size else None)
    assert tuple(ledgers[size].entries()) == history(size)
    assert list(ledgers[size].batches()) == batches_of(history(size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [0, 1, 2, 10, 100, 5000])
def test_the_newest_batches_are_found(ledgers: dict[int, Ledger], size: int, count: int) -> None:
    assert ledgers[size].newest_batches(count) == (batches_of(history(size))[-count:] if count else [])


def test_the_newest_batches_are_found_behind_many_gaps(tmp_path: Path) -> None:
    first, second = batch(0, BEGIN, BEGIN + 10 * SECOND), batch(1, BEGIN + 10 * SECOND, BEGIN + 20 * SECOND)
    gaps = [gap(BEGIN + at * 10 * SECOND, BEGIN + (at + 1) * 10 * SECOND, 1) for at in range(2, 500)]
    ledger = Ledger(tmp_path / "events.jsonl")
    ledger.path.write_bytes(lines_of([first, second, *gaps]))

    assert ledger.newest_batches(1) == [second]
    assert ledger.newest_batches(2) == [first, second]
    assert ledger.newest_batches(3) == [first, second]


@given(size=st.sampled_from(SIZES), seconds=st.integers(-100, 45_000), offset=st.integers(-1, 1))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_what_had_ended_by_a_moment_is_what_reading_all_says(
    ledgers: dict[int, Ledger], size: int, seconds: int, offset: int
) -> None:
    moment = BEGIN + seconds * SECOND + offset

    assert ledgers[size].ended_by(moment) == ended_by_reading_all(history(size), moment)


@pytest.mark.parametrize("size", [1, 16, 100, 1000])
def test_an_interval_has_ended_at_its_end_and_not_before(ledgers: dict[int, Ledger], size: int) -> None:
    for line in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        entry = history(size)[line]
        before = history(size)[line - 1] if line else None

        assert ledgers[size].ended_by(entry.interval.end) == entry
        assert ledgers[size].ended_by(entry.interval.end - 1) == before


@pytest.mark.parametrize("whole", [0, 1, 60])
@pytest.mark.parametrize("torn", [batch(77, BEGIN, BEGIN + SECOND), gap(BEGIN, BEGIN + SECOND, 1)])
def test_a_line_torn_at_any_byte_is_cut_off(tmp_path: Path, whole: int, torn: BatchEntry | GapEntry) -> None:
    ledger = Ledger(tmp_path / "events.jsonl")
    kept, line = lines_of(history(whole)), lines_of([torn])

    for written in range(1, len(line)):
        # given a crash after so many bytes of the last line
        ledger.path.write_bytes(kept + line[:written])

        # then readers do not see it
        assert tuple(ledger.entries()) == history(whole)
        assert ledger.last() == (history(whole)[-1] if whole else None)

        # and a repair removes it, once
        assert ledger.repair()
        assert ledger.path.read_bytes() == kept
        assert not ledger.repair()


@pytest.mark.parametrize("size", [1, 16, 100, 1000])
@pytest.mark.parametrize("written", [1, 50, 300])
def test_moments_are_found_beside_a_torn_line(tmp_path: Path, size: int, written: int) -> None:
    ledger = Ledger(tmp_path / "events.jsonl")
    torn = lines_of([batch(size, history(size)[-1].interval.end, history(size)[-1].interval.end + SECOND)])
    ledger.path.write_bytes(lines_of(history(size)) + torn[:written])

    for seconds in range(-10, 60 * size, max(1, size // 5)):
        moment = BEGIN + seconds * SECOND
        assert ledger.ended_by(moment) == ended_by_reading_all(history(size), moment)


def test_a_tear_longer_than_the_tail_is_cut_off(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "events.jsonl")
    ledger.path.write_bytes(lines_of(history(30)) + b"x" * 50_000)

    assert ledger.repair()
    assert tuple(ledger.entries()) == history(30)


def test_a_whole_ledger_needs_no_repair(ledgers: dict[int, Ledger]) -> None:
    for size, ledger in ledgers.items():
        assert not ledger.repair()
        assert tuple(ledger.entries()) == history(size)


def test_a_line_that_is_no_entry_is_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "events.jsonl")
    ledger.path.write_bytes(b'{"kind":"batch"}\n')

    with pytest.raises(ManifestError, match=r"events\.jsonl"):
        ledger.last()


def test_appending_after_a_repair_goes_on_where_the_whole_lines_ended(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "events.jsonl")
    ledger.path.write_bytes(lines_of(history(20)) + b'{"start":"2026')

    ledger.repair()
    ledger.append(history(21)[-1])

    assert tuple(ledger.entries()) == history(21)

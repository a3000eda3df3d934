"""Small batches that are made at once have the bytes, the truth and the blocks that each has by itself."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fleetgen.domain.batches import Batch, BatchInputs, make_batch
from fleetgen.domain.drivers import mean_count
from fleetgen.domain.records import SECOND, Interval, Quality, Segment, Settings, Stream
from fleetgen.domain.together import is_small, make_batches
from support.domain_cases import NOON, QUARTER, emulated, following_segment, only_segment, production

WEIGHTS = dict.fromkeys(("missing_field", "null_value", "duplicate", "invalid_enum"), 1.0)
QUALITY = Quality(0.3, 0.3, WEIGHTS)


@st.composite
def settings_of_small_batches(draw: st.DrawFn) -> Settings:
    changes = {
        "seed": draw(st.integers(0, 2**64 - 1)),
        "drivers_per_company": draw(st.sampled_from([1, 3, 999, 2000])),
        "max_active_companies": draw(st.sampled_from([0, 1, 7, 1000])),
        "active_probability": draw(st.sampled_from([0.0, 0.4, 1.0])),
        "companies_per_batch": draw(st.sampled_from([1, 10, 130])),
        "quality": draw(st.sampled_from([None, QUALITY])),
    }
    bounds = draw(st.sampled_from([None, (0, 3), (5, 20), (300, 700)]))
    if bounds is None:
        return production(**changes, event_rate_per_driver=draw(st.sampled_from([0.001, 0.2])))
    return emulated(**changes, events_per_batch=bounds)


def history(
    stream: Stream, first_settings: Settings, count: int, seconds: int, before: int = 0
) -> Iterator[BatchInputs]:
    """The inputs of the first batches of a dataset whose settings changed in the middle."""
    first = only_segment(first_settings)
    second = following_segment(
        first, replace(first_settings, seed=first_settings.seed // 2 + 1), count // 2, count // 2
    )
    companies = before
    for number in range(count):
        segments = (first,) if number < count // 2 else (first, second)
        companies += first_settings.companies_per_batch * (number % 3 > 0)
        start = NOON + number * seconds * SECOND
        yield BatchInputs(
            stream,
            number,
            Interval(start, start + seconds * SECOND),
            segments[-1],
            segments,
            reached(segments, companies),
        )


def reached(segments: tuple[Segment, ...], companies: int) -> int:
    return max(companies, segments[-1].first_company)


def is_made_soon(inputs: BatchInputs) -> bool:
    """Whether it is small, or a little too large for that."""
    drawn = inputs.segment.settings
    companies = min(inputs.company_count, drawn.max_active_companies or inputs.company_count)
    return mean_count(drawn, inputs.interval.seconds, companies * drawn.drivers_per_company) < 2000


def published(batch: Batch) -> tuple[object, ...]:
    pieces = list(batch.pieces())
    return (
        batch.block_rows,
        b"".join(bytes(piece.lines) for piece in pieces),
        b"".join(piece.truth for piece in pieces),
        [piece.issues for piece in pieces],
    )


@pytest.mark.parametrize("stream", list(Stream))
@settings(max_examples=40)
@given(drawn=settings_of_small_batches(), seconds=st.sampled_from([1, 10, 7200]), before=st.sampled_from([0, 5000]))
def test_neighbours_made_at_once_are_what_each_is_by_itself(
    stream: Stream, drawn: Settings, seconds: int, before: int
) -> None:
    several = list(history(stream, drawn, 12, seconds, before))
    assume(stream is Stream.COMPANIES or all(map(is_made_soon, several)))
    made = make_batches(several)
    assert [published(batch) for batch in made] == [published(make_batch(inputs)) for inputs in several]


def test_streams_may_be_mixed_and_gaps_lie_between() -> None:
    events = list(history(Stream.EVENTS, emulated(), 30, 10))
    mixed = [*events[:9], *history(Stream.COMPANIES, emulated(), 5, 10), *events[12:], events[3]]
    made = make_batches(mixed)
    assert [published(batch) for batch in made] == [published(make_batch(inputs)) for inputs in mixed]


@pytest.mark.parametrize("stream", list(Stream))
def test_small_neighbours_are_cut_from_one_text_and_large_ones_are_not(stream: Stream) -> None:
    small = emulated(events_per_batch=(5, 20), companies_per_batch=10)
    large = emulated(events_per_batch=(600, 600), companies_per_batch=600)
    for drawn, texts in ((small, 2), (large, 20)):  # of two segments
        made = make_batches(list(history(stream, drawn, 20, 10, before=2000)))
        chunks = [next(batch.encode_block(0, 1000)).text for batch in made]
        assert len({id(chunk if chunk.base is None else chunk.base) for chunk in chunks}) == texts


def test_more_companies_between_two_batches_than_can_be_are_no_reason_for_much_memory() -> None:
    first, second, *_ = history(Stream.EVENTS, emulated(), 20, 10, before=2000)
    far = replace(second, company_count=10**12)
    assert [published(each) for each in make_batches([first, far])] == [
        published(make_batch(each)) for each in (first, far)
    ]


def test_a_batch_is_small_where_little_is_expected_of_it() -> None:
    (inputs, *_) = history(Stream.EVENTS, emulated(), 20, 10, before=2000)
    assert is_small(inputs)
    busy = replace(inputs, segment=only_segment(production()), interval=QUARTER)
    assert not is_small(busy)
    assert is_small(replace(busy, company_count=3))

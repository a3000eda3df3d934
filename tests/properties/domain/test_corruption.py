"""Issues are injected line for line: as often as asked, each as its type demands, and never without their truth."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from math import comb, exp, lgamma, log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examined
from hypothesis import strategies as st

from fleetgen.domain.batches import BatchInputs, make_batch
from fleetgen.domain.corruption import REASON_CODES, Corrupted, corrupt_block
from fleetgen.domain.drivers import BLOCK_EVENTS
from fleetgen.domain.issues import decide
from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import (
    COMPANY_FIELDS,
    EVENT_FIELDS,
    EVENT_TYPES,
    GEOGRAPHIES,
    ISSUE_TYPES,
    SECOND,
    Interval,
    Quality,
    Settings,
    Stream,
    instant,
)
from support.chi_square import assert_follows, assert_uniform
from support.corrupting import one_by_one
from support.domain_cases import (
    QUARTER,
    as_lines,
    batch_bytes,
    clean_bytes,
    company_address,
    company_inputs,
    emulated,
    event_inputs,
    following_segment,
    only_segment,
    production,
    truth_bytes,
)

WEIGHTS = {
    "missing_field": 0.30,
    "null_value": 0.30,
    "malformed_timestamp": 0.20,
    "invalid_enum": 0.10,
    "duplicate": 0.05,
    "boundary_violation": 0.05,
}
FIELDS = {Stream.COMPANIES: COMPANY_FIELDS, Stream.EVENTS: EVENT_FIELDS}
TIME = {Stream.COMPANIES: "created_at", Stream.EVENTS: "timestamp"}
CHOICE = {Stream.COMPANIES: "geography", Stream.EVENTS: "event_type"}
CHOICES = {Stream.COMPANIES: GEOGRAPHIES, Stream.EVENTS: EVENT_TYPES}
RECORDS = 100_000
RATES = (
    *(0.001, 0.005, 0.01, 0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2),
    *(0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
)


def only(kind: str) -> dict[str, float]:
    """Weights under which there is one type of issue."""
    return dict.fromkeys(ISSUE_TYPES, 0.0) | {kind: 1.0}


def quality(rate: float, weights: Mapping[str, float] | None = None) -> Quality:
    """The same rate for both streams."""
    return Quality(rate, rate, WEIGHTS if weights is None else weights)


def inputs(stream: Stream, settings: Settings, interval: Interval = QUARTER, number: int = 0) -> BatchInputs:
    """The inputs of one batch of a dataset with these settings alone; its events reach a hundred companies."""
    segments = [only_segment(settings)]
    if stream is Stream.COMPANIES:
        return company_inputs(segments, number, interval)
    return event_inputs(segments, 100, number, interval)


def sized(count: int, **changes: Any) -> Settings:
    """Settings under which a batch of either stream has so many records."""
    return emulated(companies_per_batch=count, events_per_batch=(count, count), **changes)


def truths(batch: BatchInputs) -> list[dict[str, Any]]:
    return [json.loads(line) for line in truth_bytes(batch).splitlines()]


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def put_back(published: bytes, truth: list[dict[str, Any]], stream: Stream) -> bytes:
    """Return the lines with every original that the truth names in its place again."""
    lines = published.decode().splitlines()
    for issue in truth:
        place = issue["line"] - 1
        record = json.loads(lines[place])
        if issue["issue_type"] == "duplicate":
            assert issue["field"] is None
            lines[place] = compact(issue["original"])
            continue
        if issue["issue_type"] == "missing_field":
            assert issue["field"] not in record
        else:
            assert record[issue["field"]] == issue["injected"] != issue["original"]
        record[issue["field"]] = issue["original"]
        lines[place] = compact({name: record[name] for name in FIELDS[stream]})
    return "".join(f"{line}\n" for line in lines).encode()


@dataclass(frozen=True)
class Made:
    """A batch as it is published, its clean twin, and the truth."""

    batch: BatchInputs
    published: bytes
    clean: bytes
    truth: list[dict[str, Any]]
    issues: Counter[str]

    def of(self, kind: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
        """Yield each issue of a type with the record as it is published and as it was before."""
        published, clean = self.published.splitlines(), self.clean.splitlines()
        for issue in self.truth:
            if issue["issue_type"] == kind:
                yield issue, json.loads(published[issue["line"] - 1]), json.loads(clean[issue["line"] - 1])


@cache
def dirty(stream: Stream) -> Made:
    """A hundred thousand records, half of them with an issue, in many blocks."""
    batch = inputs(stream, sized(RECORDS, quality=quality(0.5)))
    issues: Counter[str] = Counter()
    for piece in make_batch(batch).pieces():
        issues += piece.issues
    return Made(batch, batch_bytes(batch), clean_bytes(batch), truths(batch), issues)


streams = pytest.mark.parametrize("stream", list(Stream))


# How often


def tail(successes: range, trials: int, rate: float) -> float:
    """Return the probability of any of these counts under the binomial law, summed in logarithms for the small ones."""
    return sum(
        exp(lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1) + k * log(rate) + (trials - k) * log(1 - rate))
        for k in successes
    )


def test_the_binomial_law_of_these_tests_is_right() -> None:
    assert tail(range(3, 6), 10, 0.3) == pytest.approx(sum(comb(10, k) * 0.3**k * 0.7 ** (10 - k) for k in range(3, 6)))


@pytest.mark.parametrize("rate", RATES)
@streams
def test_the_share_of_records_with_an_issue_is_the_rate_of_the_stream(stream: Stream, rate: float) -> None:
    # given a rate for one stream, and another for the other
    other = 0.37
    rates = (other, rate) if stream is Stream.COMPANIES else (rate, other)
    settings = sized(RECORDS, seed=int(rate * 1000), quality=Quality(*rates, WEIGHTS))

    # when a hundred thousand records are made
    found = truth_bytes(inputs(stream, settings)).count(b"\n")

    # then those with an issue lie within the 99.9 % interval of the binomial law: neither tail has more than 0.05 %
    expected = RECORDS * rate
    beyond = range(found, RECORDS + 1) if found > expected else range(found + 1)
    assert tail(beyond, RECORDS, rate) > 0.0005, f"{found} of {RECORDS}, expected {expected:.0f}"


@streams
def test_a_rate_of_0_gives_no_issue_and_the_clean_bytes(stream: Stream) -> None:
    batch = inputs(stream, sized(20_000, quality=quality(0.0)))

    assert truth_bytes(batch) == b""
    assert batch_bytes(batch) == clean_bytes(batch)


@streams
def test_a_rate_of_1_gives_every_record_exactly_one_issue(stream: Stream) -> None:
    batch = inputs(stream, sized(20_000, quality=quality(1.0)))

    assert [issue["line"] for issue in truths(batch)] == list(range(1, 20_001))


@streams
def test_a_rate_of_1_leaves_a_single_record_its_issue(stream: Stream) -> None:
    batch = inputs(stream, sized(1, quality=quality(1.0)))

    (issue,) = truths(batch)
    assert issue["line"] == 1
    assert issue["issue_type"] != "duplicate"


@streams
def test_a_rate_of_one_stream_leaves_the_other_clean(stream: Stream) -> None:
    rates = (0.0, 1.0) if stream is Stream.EVENTS else (1.0, 0.0)

    assert truth_bytes(inputs(stream, sized(1000, quality=Quality(*rates, WEIGHTS)))) == b""


def test_a_batch_without_records_has_an_empty_truth() -> None:
    batch = event_inputs([only_segment(emulated(quality=quality(1.0)))], company_count=0)

    assert batch_bytes(batch) == truth_bytes(batch) == b""


def test_a_block_without_lines_stays_without() -> None:
    settings = emulated()

    made = corrupt_block(
        as_lines(b""), 1, Stream.COMPANIES, quality(1.0), QUARTER, company_address(settings, batch=3), block=0
    )

    assert made == Corrupted(memoryview(b""), b"", Counter())


# The same as line by line


@given(
    rate=st.sampled_from([0.0, 0.01, 0.15, 0.9, 1.0]),
    weights=st.fixed_dictionaries({kind: st.sampled_from([0.0, 0.0, 0.1, 1.0]) for kind in ISSUE_TYPES}),
    count=st.integers(0, 400),
    first_line=st.sampled_from([1, 7, 95, 9_900, 10**6 - 5, 10**9 - 1]),
    seed=st.integers(0, 2**63 - 1),
)
@examined(max_examples=150, derandomize=True, deadline=None)
@streams
def test_all_issues_at_once_give_what_each_gives_alone(
    stream: Stream, rate: float, weights: dict[str, float], count: int, first_line: int, seed: int
) -> None:
    if not any(weights.values()):
        weights = WEIGHTS
    batch = inputs(stream, sized(max(1, count), seed=seed, drivers_per_company=1100))
    address = company_address(batch.segment.settings)
    lines = clean_bytes(batch).splitlines(keepends=True)[:count]

    made = corrupt_block(
        as_lines(b"".join(lines)), first_line, stream, quality(rate, weights), QUARTER, address, block=2
    )

    issues = decide(len(lines), quality(rate, weights), rate, address, block=2)
    published, truth = one_by_one(lines, issues, first_line, stream, QUARTER)
    assert bytes(made.lines) == b"".join(published)
    assert made.truth == b"".join(truth)
    assert made.issues == Counter(ISSUE_TYPES[kind] for kind in issues.kinds.tolist())


# Which type


@streams
def test_types_follow_their_weights(stream: Stream) -> None:
    observed = dirty(stream).issues
    total = sum(observed.values())

    assert_follows([observed[kind] for kind in ISSUE_TYPES], [total * WEIGHTS[kind] for kind in ISSUE_TYPES])


@pytest.mark.parametrize("seed", range(5))
@streams
def test_types_follow_any_weights(stream: Stream, seed: int) -> None:
    weights = {kind: float((place + 1) * (seed + 2) % 7) for place, kind in enumerate(ISSUE_TYPES)}
    found = Counter(
        issue["issue_type"] for issue in truths(inputs(stream, sized(10_000, seed=seed, quality=quality(1.0, weights))))
    )

    kinds = [kind for kind in ISSUE_TYPES if weights[kind]]
    share = sum(found.values()) / sum(weights.values())
    assert set(found) <= set(kinds)
    assert_follows([found[kind] for kind in kinds], [share * weights[kind] for kind in kinds])


@pytest.mark.parametrize("kind", ISSUE_TYPES)
@streams
def test_a_weight_of_0_switches_a_type_off(stream: Stream, kind: str) -> None:
    batch = inputs(stream, sized(3000, quality=quality(1.0, {**WEIGHTS, kind: 0.0})))

    assert {issue["issue_type"] for issue in truths(batch)} == set(ISSUE_TYPES) - {kind}


@pytest.mark.parametrize("kind", ISSUE_TYPES)
@streams
def test_a_type_left_out_is_switched_off_as_by_a_weight_of_0(stream: Stream, kind: str) -> None:
    weights = {name: weight for name, weight in WEIGHTS.items() if name != kind}
    zero, absent = (
        inputs(stream, sized(1000, quality=quality(0.5, chosen))) for chosen in (weights | {kind: 0.0}, weights)
    )

    assert batch_bytes(zero) == batch_bytes(absent)
    assert truth_bytes(zero) == truth_bytes(absent)


@pytest.mark.parametrize("kind", [kind for kind in ISSUE_TYPES if kind != "duplicate"])
@streams
def test_one_type_alone_hits_every_record(stream: Stream, kind: str) -> None:
    found = truths(inputs(stream, sized(1000, quality=quality(1.0, only(kind)))))

    assert Counter(issue["issue_type"] for issue in found) == {kind: 1000}


@streams
def test_duplicates_alone_leave_the_first_record_of_each_block_as_it_is(stream: Stream) -> None:
    # given a batch of several blocks and duplicates at a rate of 1
    batch = inputs(stream, sized(40_000, quality=quality(1.0, only("duplicate"))))
    sizes = make_batch(batch).block_rows

    # then every line but the first of each block has one
    firsts = {1 + sum(sizes[:block]) for block in range(len(sizes))}
    assert len(sizes) > 1
    assert {issue["line"] for issue in truths(batch)} == set(range(1, 40_001)) - firsts


# What each type does


@pytest.mark.parametrize("kind", ISSUE_TYPES)
@streams
def test_a_truth_names_the_line_the_record_the_type_and_the_reason(stream: Stream, kind: str) -> None:
    for issue, _, clean in dirty(stream).of(kind):
        assert list(issue) == ["line", "record_id", "issue_type", "field", "original", "injected", "reason_code"]
        assert issue["record_id"] == clean[FIELDS[stream][0]]
        assert issue["reason_code"] == REASON_CODES[kind]


@pytest.mark.parametrize("kind", [kind for kind in ISSUE_TYPES if kind != "duplicate"])
@streams
def test_an_issue_changes_its_field_alone(stream: Stream, kind: str) -> None:
    for issue, published, clean in dirty(stream).of(kind):
        name = issue["field"]
        others = [each for each in FIELDS[stream] if each != name]
        assert [(key, value) for key, value in published.items() if key != name] == [
            (key, clean[key]) for key in others
        ]
        assert issue["original"] == clean[name]


@streams
def test_a_missing_field_is_left_out_and_any_may_be(stream: Stream) -> None:
    counts: Counter[str] = Counter()
    for issue, published, clean in dirty(stream).of("missing_field"):
        assert set(clean) - set(published) == {issue["field"]}
        assert issue["injected"] is None
        counts[issue["field"]] += 1

    assert_uniform([counts[name] for name in FIELDS[stream]])


@streams
def test_a_null_value_is_null_and_any_field_may_be(stream: Stream) -> None:
    counts: Counter[str] = Counter()
    for issue, published, clean in dirty(stream).of("null_value"):
        assert [name for name, value in published.items() if value is None] == [issue["field"]]
        assert list(published) == list(clean)
        assert issue["injected"] is None
        counts[issue["field"]] += 1

    assert_uniform([counts[name] for name in FIELDS[stream]])


def is_instant_with_a_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None and "/" not in text
    except ValueError:
        return False


@streams
def test_a_malformed_timestamp_is_none_in_any_of_six_ways(stream: Stream) -> None:
    ways: Counter[str] = Counter()
    for issue, published, clean in dirty(stream).of("malformed_timestamp"):
        text, original = published[TIME[stream]], clean[TIME[stream]]
        assert issue["field"] == TIME[stream]
        assert not is_instant_with_a_zone(text)
        ways[way_of(text, original)] += 1

    assert set(ways) == {"month 13", "day 32", "hour 25", "no zone", "slashes", "words"}
    assert min(ways.values()) > sum(ways.values()) / 10


def way_of(text: str, original: str) -> str:
    forms = {
        original[:5] + "13" + original[7:]: "month 13",
        original[:8] + "32" + original[10:]: "day 32",
        original[:11] + "25" + original[13:]: "hour 25",
        original[:-1]: "no zone",
        original[:10].replace("-", "/") + original[10:]: "slashes",
    }
    assert text in forms or not any(character.isdigit() for character in text)
    return forms.get(text, "words")


@streams
def test_an_invalid_enum_is_a_text_that_is_none_of_the_choices_and_there_are_several(stream: Stream) -> None:
    values: Counter[str] = Counter()
    for issue, published, _ in dirty(stream).of("invalid_enum"):
        assert issue["field"] == CHOICE[stream]
        values[published[CHOICE[stream]]] += 1

    assert not set(values) & set(CHOICES[stream])
    assert len(values) >= 4
    assert_uniform(list(values.values()))


@streams
def test_a_duplicate_is_a_copy_of_an_earlier_line_of_its_block_and_names_it(stream: Stream) -> None:
    made = dirty(stream)
    published, clean = made.published.splitlines(), made.clean.splitlines()
    sizes = make_batch(made.batch).block_rows
    block_of = [block for block, size in enumerate(sizes) for _ in range(size)]
    distances = []
    for issue, _, before in made.of("duplicate"):
        line, copied = issue["line"], issue["injected"]
        assert 1 <= copied < line
        assert block_of[copied - 1] == block_of[line - 1]
        assert published[line - 1] == published[copied - 1] == clean[copied - 1]
        assert issue["original"] == before
        distances.append(line - copied)

    assert len(set(distances)) > 100


@streams
def test_where_nothing_earlier_is_clean_a_duplicate_copies_what_was_published(stream: Stream) -> None:
    batch = inputs(stream, sized(500, quality=quality(1.0)))
    published = batch_bytes(batch).splitlines()

    copies = [issue for issue in truths(batch) if issue["issue_type"] == "duplicate"]

    assert len(copies) > 5
    assert all(published[issue["line"] - 1] == published[issue["injected"] - 1] for issue in copies)


@streams
def test_a_boundary_violation_is_an_instant_before_the_interval_after_it_or_far_in_the_future(stream: Stream) -> None:
    day = 86_400 * SECOND
    where: Counter[str] = Counter()
    for issue, published, _ in dirty(stream).of("boundary_violation"):
        text = published[TIME[stream]]
        at = instant(text)
        assert issue["field"] == TIME[stream]
        assert is_instant_with_a_zone(text)
        assert len(text) == len("2026-01-01T12:00:00.000000Z")
        if at < QUARTER.start:
            assert at >= QUARTER.start - day
            where["before"] += 1
        elif at < QUARTER.end + 364 * day:
            assert QUARTER.end <= at < QUARTER.end + day
            where["after"] += 1
        else:
            where["far in the future"] += 1

    assert len(where) == 3
    assert_uniform(list(where.values()))


@pytest.mark.parametrize("start", ["1970-01-02T00:00:00Z", "2024-02-29T23:59:50Z", "2099-12-31T23:59:59Z"])
@streams
def test_issues_fit_into_intervals_of_any_time(stream: Stream, start: str) -> None:
    interval = Interval(instant(start), instant(start) + SECOND)
    batch = inputs(stream, sized(2000, quality=quality(1.0)), interval)

    assert put_back(batch_bytes(batch), truths(batch), stream) == clean_bytes(batch)


# What stays


@streams
def test_every_line_is_a_json_object_in_utf8(stream: Stream) -> None:
    lines = dirty(stream).published.split(b"\n")

    assert lines.pop() == b""
    assert len(lines) == RECORDS
    assert all(isinstance(json.loads(line.decode("utf-8", "strict")), dict) for line in lines)


@streams
def test_lines_of_truth_are_in_order_and_their_counts_are_those_told(stream: Stream) -> None:
    made = dirty(stream)
    places = [issue["line"] for issue in made.truth]

    assert places == sorted(set(places))
    assert Counter(issue["issue_type"] for issue in made.truth) == made.issues


@streams
def test_the_lines_that_the_truth_names_are_those_that_differ_from_the_clean_twin(stream: Stream) -> None:
    made = dirty(stream)
    pairs = zip(made.published.splitlines(), made.clean.splitlines(), strict=True)

    assert [place for place, (one, other) in enumerate(pairs, 1) if one != other] == [
        issue["line"] for issue in made.truth
    ]


@streams
def test_lines_with_an_issue_stand_among_the_clean_ones(stream: Stream) -> None:
    # given the places of the issues, in twenty stretches of the batch
    stretches = Counter((issue["line"] - 1) * 20 // RECORDS for issue in dirty(stream).truth)

    # then each has about as many
    expected = dirty(stream).issues.total() / 20
    assert all(abs(count - expected) < 5 * (expected / 2) ** 0.5 for count in stretches.values())
    assert len(stretches) == 20


@streams
def test_quality_on_or_off_does_not_change_the_clean_records_beneath(stream: Stream) -> None:
    without = inputs(stream, sized(20_000))

    for rate in (0.0, 0.15, 1.0):
        assert clean_bytes(inputs(stream, sized(20_000, quality=quality(rate)))) == batch_bytes(without)


@pytest.mark.parametrize("seed", range(20))
def test_sizes_and_bounds_stay_what_was_drawn(seed: int) -> None:
    for settings in (emulated(seed=seed), production(seed=seed)):
        clean = inputs(Stream.EVENTS, settings, number=seed)
        with_issues = inputs(Stream.EVENTS, replace(settings, quality=quality(0.9)), number=seed)

        assert make_batch(with_issues).block_rows == make_batch(clean).block_rows
        assert batch_bytes(with_issues).count(b"\n") == batch_bytes(clean).count(b"\n") == make_batch(clean).rows


def test_drivers_send_events_of_the_true_company_where_its_record_is_corrupted() -> None:
    # given companies whose records all have an issue, and events without any
    settings = emulated(companies_per_batch=100, events_per_batch=(5000, 5000), quality=Quality(0.0, 1.0, WEIGHTS))
    true = {json.loads(line)["company_id"] for line in clean_bytes(inputs(Stream.COMPANIES, settings)).splitlines()}

    # when events are made
    events = [json.loads(line) for line in batch_bytes(inputs(Stream.EVENTS, settings)).splitlines()]

    # then they name the companies as these were before
    assert {event["company_id"] for event in events} == true
    assert all(event["driver_id"][4:40] == event["company_id"] for event in events)


@pytest.mark.parametrize("chunk_rows", [1, 61, 4096, 10_000_000])
@streams
def test_chunks_of_any_size_give_the_same_bytes_and_truth(stream: Stream, chunk_rows: int) -> None:
    batch = inputs(stream, sized(5000, quality=quality(0.3)))

    assert batch_bytes(batch, chunk_rows) == batch_bytes(batch)
    assert truth_bytes(batch, chunk_rows) == truth_bytes(batch)


@streams
def test_blocks_made_in_any_order_give_the_same_bytes_and_truth(stream: Stream) -> None:
    made = make_batch(inputs(stream, sized(3 * BLOCK_EVENTS, quality=quality(0.2))))
    blocks = range(len(made.block_rows))

    backwards = {block: next(made.pieces(range(block, block + 1))) for block in reversed(blocks)}

    forwards = list(made.pieces())
    assert len(forwards) > 2
    assert [(bytes(each.lines), each.truth) for each in forwards] == [
        (bytes(backwards[block].lines), backwards[block].truth) for block in blocks
    ]


def test_lines_are_counted_over_all_parts_of_a_batch() -> None:
    # given a batch of events above the size of a part
    batch = inputs(Stream.EVENTS, sized(300_000, quality=quality(0.001)))
    parts = make_batch(batch).parts()

    # then the truth finds its records by their line in the parts one after the other
    published = [json.loads(line) for line in batch_bytes(batch).splitlines()]
    kept = [issue for issue in truths(batch) if issue["field"] not in ("event_id", None)]
    assert len(parts) == 2
    assert kept[-1]["line"] > sum(make_batch(batch).block_rows[block] for block in parts[0])
    assert all(published[issue["line"] - 1]["event_id"] == issue["record_id"] for issue in kept)


def test_batches_seeds_and_streams_have_issues_of_their_own() -> None:
    def places(stream: Stream, seed: int, number: int) -> tuple[int, ...]:
        batch = inputs(stream, sized(1000, seed=seed, quality=quality(0.2)), number=number)
        return tuple(issue["line"] for issue in truths(batch))

    drawn = {places(stream, seed, number) for stream in Stream for seed in (1, 2) for number in (0, 1)}

    assert len(drawn) == 8


def test_a_higher_rate_keeps_the_records_that_a_lower_one_hits() -> None:
    few, many = (
        {issue["line"] for issue in truths(inputs(Stream.EVENTS, sized(5000, quality=quality(rate))))}
        for rate in (0.1, 0.4)
    )

    assert few < many


@examined(max_examples=150, deadline=None)
@given(
    stream=st.sampled_from(list(Stream)),
    seed=st.integers(0, 2**63 - 1),
    number=st.integers(0, 10_000),
    count=st.integers(1, 400),
    rates=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    weights=st.fixed_dictionaries({kind: st.sampled_from([0.0, 0.05, 1.0, 1e9]) for kind in ISSUE_TYPES}).filter(
        lambda weights: sum(weights.values()) > 0
    ),
    start=st.integers(0, 4_000_000_000),
    seconds=st.integers(1, 86_400),
    active=st.floats(0.1, 1),
    drivers=st.integers(1, 1200),
    earlier_companies=st.integers(0, 3),
)
def test_putting_the_originals_back_gives_the_clean_twin_byte_for_byte(
    stream: Stream,
    seed: int,
    number: int,
    count: int,
    rates: tuple[float, float],
    weights: dict[str, float],
    start: int,
    seconds: int,
    active: float,
    drivers: int,
    earlier_companies: int,
) -> None:
    # given any settings, and the same without quality
    shape: dict[str, Any] = {"seed": seed, "active_probability": active, "drivers_per_company": drivers}
    settings = sized(count, quality=Quality(*rates, weights), **shape)
    interval = Interval(start * SECOND, (start + seconds) * SECOND)
    first = only_segment(emulated(seed=seed ^ 1))

    def batch(chosen: Settings) -> BatchInputs:
        segments = [first, following_segment(first, chosen, earlier_companies)]
        if stream is Stream.COMPANIES:
            return company_inputs(segments, earlier_companies + number, interval)
        return event_inputs(segments, first.settings.companies_per_batch * earlier_companies + 1, number, interval)

    dirty_one, clean_one = batch(settings), batch(replace(settings, quality=None))

    # when both are made
    published, truth = batch_bytes(dirty_one), truths(dirty_one)

    # then the originals in their places make the one the other, and neither has a line more
    assert put_back(published, truth, stream) == batch_bytes(clean_one)
    assert {issue["issue_type"] for issue in truth} <= {kind for kind in ISSUE_TYPES if weights[kind]}


@streams
def test_by_hand_and_in_the_dataset_issues_are_drawn_apart(stream: Stream) -> None:
    # given the addresses of a batch of the dataset and of one made by hand with the same seed and number
    settings = sized(1000, quality=quality(0.2))
    lines = clean_bytes(inputs(stream, settings))
    by_hand = Origin.COMPANIES_BY_HAND if stream is Stream.COMPANIES else Origin.EVENTS_BY_HAND

    def places(origin: Origin) -> list[int]:
        address = Address(settings.seed, origin, 0, Purpose.ISSUE)
        made = corrupt_block(as_lines(lines), 1, stream, quality(0.2), QUARTER, address, block=0)
        return [json.loads(line)["line"] for line in made.truth.splitlines()]

    # then the issues of the one say nothing of those of the other
    assert places(Origin(int(by_hand) - 2)) != places(by_hand)

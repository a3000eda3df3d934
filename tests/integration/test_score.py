"""The score of pipelines over real datasets: our own, weak ones, by line and by id, with and without files on disk."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from fleetgen.domain.batches import PART_ROWS
from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import ISSUE_TYPES, SECOND, Stream
from fleetgen.errors import DifferenceFound
from fleetgen.generation.checking import check
from fleetgen.generation.dataset import Dataset
from fleetgen.scoring import Choice, Score, score
from fleetgen.scoring.own import NoQuarantine
from fleetgen.storage.layout import Layout
from fleetgen.testing import DirtyBatches
from support.dirty_data import START, Row, by_id, by_line, carry, dirty_dataset, orphans, piped, remade_truth, truth

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
CONFIGURATIONS = 20
EVENTS_IN_EACH = 5000 if SOAK else 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DirtyBatches:
    """Forty batches of each stream, in which every type of issue occurs."""
    return dirty_dataset(tmp_path_factory.mktemp("made"), 40, duplicate="0.30", boundary_violation="0.30")


@pytest.fixture(scope="module")
def carried(made: DirtyBatches, tmp_path_factory: pytest.TempPathFactory) -> DirtyBatches:
    """The same, carried by the own pipeline."""
    copy = DirtyBatches(shutil.copytree(made.data, tmp_path_factory.mktemp("carried") / "data"))
    carry(copy)
    return copy


def injected(made: DirtyBatches) -> Counter[str]:
    """Issues by type, as the truth on disk has them."""
    return Counter(issue["issue_type"] for stream in Stream for _, _, issue in truth(made, stream))


def missed(found: Score) -> dict[str, int]:
    return {kind: count for kind, count in found.overall.misses.items() if count}


def random_settings(number: int) -> dict[str, str]:
    """Return settings from all over what is allowed."""
    words = [word / 2**32 for word in Address(14, Origin.EVENTS, number, Purpose.ISSUE).draws(4)[0].tolist()]
    more = [word / 2**32 for word in Address(15, Origin.EVENTS, number, Purpose.ISSUE).draws(8)[0].tolist()]
    mean = EVENTS_IN_EACH // 6
    return {
        "seed": str(number),
        "event_error_rate": f"{1.0 if number == 0 else words[0]:.3f}",
        "company_error_rate": f"{words[1]:.3f}",
        "active_probability": f"{max(0.5, words[2]):.3f}",
        "max_active_companies": str(int(more[0] * 20)),
        "drivers_per_company": str(1 + int(more[1] * 2000)),
        "company_interval": f'"PT{1 + int(more[2] * 59)}S"',
        "driver_interval": f'"PT{1 + int(more[3] * 59)}S"',
        "companies_per_batch": str(4 + int(more[4] * 40)),
        "events_per_batch": f"{{ min = {max(1, mean // 2)}, max = {mean * 3 // 2} }}",
        **{kind: f"{more[place % 8] if place != number % 6 else 0:.3f}" for place, kind in enumerate(ISSUE_TYPES)},
    }


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> DirtyBatches:
    """A dataset of twenty segments, each with settings of its own, carried by the own pipeline."""
    folder = tmp_path_factory.mktemp("varied")
    for number in range(CONFIGURATIONS):
        made = dirty_dataset(folder, 6, **random_settings(number))
    carry(made)
    return made


@pytest.mark.soak
def test_own_pipeline_finds_every_issue_and_nothing_else_whatever_the_settings(varied: DirtyBatches) -> None:
    assert len(Dataset(Layout(varied.data)).manifest().segments) == CONFIGURATIONS
    found = score(varied.data)
    assert found.overall.records > CONFIGURATIONS * EVENTS_IN_EACH
    assert found.overall.hits == injected(varied)
    assert set(found.overall.hits) == set(ISSUE_TYPES)
    assert (found.misses, found.false_alarms, found.recall, found.precision) == ([], [], 1.0, 1.0)
    assert found.overall.not_judged.total() == found.overall.collateral == 0


def test_collateral_is_known_across_segments(varied: DirtyBatches) -> None:
    whole = piped(varied)
    found = varied.score([*by_line(whole.rejected), *orphans(whole)])
    assert found.overall.collateral == len(orphans(whole)) > 100
    assert (found.recall, found.precision) == (1.0, 1.0)


def test_truth_that_is_made_again_is_the_truth_on_disk(made: DirtyBatches) -> None:
    for stream in Stream:
        on_disk = [(batch, line, issue["issue_type"]) for batch, line, issue in truth(made, stream)]
        assert list(remade_truth(made, stream)) == on_disk != []


def test_own_pipeline_is_scored_over_what_it_has_carried(made: DirtyBatches, tmp_path: Path) -> None:
    behind = DirtyBatches(shutil.copytree(made.data, tmp_path / "data"))
    carry(behind, (Stream.EVENTS,), most=7)
    found = score(behind.data)
    assert {stream: tally.batches for stream, tally in found.tallies.items()} == {
        Stream.COMPANIES: 0,
        Stream.EVENTS: 7,
    }
    assert (found.recall, found.precision) == (1.0, 1.0)


@pytest.mark.parametrize("blind", ISSUE_TYPES)
def test_a_pipeline_that_is_blind_to_one_type_misses_just_that(made: DirtyBatches, blind: str) -> None:
    """A copy of a line with an issue is rejected for that issue by those who do not see duplicates."""
    expected = set()
    for stream in Stream:
        dirty = {(batch, line) for batch, line, _ in truth(made, stream)}
        for batch, line, issue in truth(made, stream):
            if issue["issue_type"] == blind and not (blind == "duplicate" and (batch, issue["injected"]) in dirty):
                expected.add((stream.value, batch, line))
    found = made.score(by_line(piped(made, blind).rejected))
    assert {(each.stream, each.batch_id, each.line) for each in found.misses} == expected != set()
    assert {each.issue_type for each in found.misses} == {blind}
    assert missed(found) == {blind: len(expected)}
    assert found.recall == pytest.approx(1 - len(expected) / injected(made).total())
    assert found.recall_of(blind) == pytest.approx(1 - len(expected) / injected(made)[blind])
    assert found.precision == 1.0


def test_a_pipeline_that_keeps_the_last_of_equal_lines_is_as_good(made: DirtyBatches) -> None:
    rejected = {(row["stream"], row["batch_id"], row["line"]) for row in by_line(piped(made).rejected)}
    swapped = 0
    for stream in Stream:
        for batch, line, issue in truth(made, stream):
            source = (stream.value, batch, issue["injected"])
            if issue["issue_type"] == "duplicate" and source not in rejected:
                rejected = rejected - {(stream.value, batch, line)} | {source}
                swapped += 1
    found = made.score([dict(zip(("stream", "batch_id", "line"), place, strict=True)) for place in rejected])
    assert (found.recall, found.precision) == (1.0, 1.0)
    assert swapped > 10


def test_rejecting_everything_finds_all_and_counts_what_was_clean(made: DirtyBatches) -> None:
    every = [row for part in (piped(made).rejected, piped(made).accepted) for row in by_line(part)]
    found = made.score(every).overall
    clean = len(every) - injected(made).total()
    assert found.hits == injected(made)
    assert found.false_alarms.total() + found.collateral == clean
    assert found.collateral == len(orphans(piped(made)))


def test_events_of_companies_that_were_dirty_are_collateral(made: DirtyBatches) -> None:
    whole = piped(made)
    joined = orphans(whole)
    found = made.score([*by_line(whole.rejected), *joined])
    assert found.overall.collateral == len(joined) > 10
    assert (found.recall, found.precision, found.false_alarms) == (1.0, 1.0, [])


def test_collateral_is_known_beyond_the_batches_that_are_scored(made: DirtyBatches) -> None:
    whole = piped(made)
    joined = orphans(whole)
    found = score(made.data, [*by_line(whole.rejected), *joined], choice=Choice((Stream.EVENTS,), newest=3))
    newest = {batch.batch_id for batch in list(made.batches("events"))[-3:]}
    assert found.overall.collateral == sum(place["batch_id"] in newest for place in joined) > 0
    assert found.overall.batches == 3
    assert found.false_alarms == []


def test_an_event_of_a_clean_company_that_was_rejected_is_a_false_alarm(made: DirtyBatches) -> None:
    whole = piped(made)
    companies = {record["company_id"] for place, record in whole.accepted if place["stream"] == "companies"}
    known = next((p, r) for p, r in whole.accepted if p["stream"] == "events" and r["company_id"] in companies)
    found = made.score([*by_line(whole.rejected), known[0]])
    (alarm,) = found.false_alarms
    assert (alarm.batch_id, alarm.line, alarm.record_id) == (
        known[0]["batch_id"],
        known[0]["line"],
        known[1]["event_id"],
    )
    assert found.precision == pytest.approx(1 - 1 / (1 + injected(made).total()))


@pytest.mark.parametrize("blind", [None, "duplicate", "null_value"])
def test_scores_by_line_by_id_and_by_what_was_accepted_agree(made: DirtyBatches, blind: str | None) -> None:
    whole = piped(made, blind)
    line = made.score(by_line(whole.rejected))
    by_accepted = made.score(accepted=by_line(whole.accepted))
    for record_id in (made.score(by_id(whole.rejected)), made.score(accepted=by_id(whole.accepted))):
        assert record_id.overall.hits + record_id.overall.misses + record_id.overall.not_judged == injected(made)
        assert record_id.overall.not_judged == without_id(made)
        for kind in ISSUE_TYPES:
            if line.recall_of(kind) in (0.0, 1.0):
                assert record_id.recall_of(kind) == line.recall_of(kind)
        assert record_id.precision == line.precision == 1.0
    assert by_accepted.facts() == line.facts()


def without_id(made: DirtyBatches) -> Counter[str]:
    """Issues by type of the lines that show no id."""
    found: Counter[str] = Counter()
    for stream, field in ((Stream.COMPANIES, "company_id"), (Stream.EVENTS, "event_id")):
        found.update(issue["issue_type"] for _, _, issue in truth(made, stream) if issue["field"] == field)
    return found


def test_a_quarantine_by_id_tells_how_many_rows_have_none(made: DirtyBatches) -> None:
    found = made.score(by_id(piped(made).rejected))
    assert found.rows_without_id == without_id(made).total() > 0


def test_ids_and_lines_may_be_mixed(made: DirtyBatches) -> None:
    whole = piped(made).rejected
    mixed: list[Row] = []
    for number, (place, record) in enumerate(whole):
        shown = record.get("event_id" if place["stream"] == "events" else "company_id")
        mixed.append({"record_id": shown} if shown is not None and number % 2 else place)
    alone = next(place for place, record in whole if place["stream"] == "events" and record.get("event_id"))
    twice = next(record for place, record in whole if place == alone)
    for rows in (mixed, [*by_line(whole), {"event_id": twice["event_id"]}]):
        found = made.score(rows)
        assert (found.recall, found.precision) == (1.0, 1.0)
        assert found.overall.not_judged.total() == found.ids_not_found == 0


def test_ids_of_another_dataset_are_told(made: DirtyBatches, tmp_path: Path) -> None:
    other = dirty_dataset(tmp_path, 3, seed="7")
    rows = [row for row in by_id(piped(other).rejected) if row.get("event_id")]
    found = made.score(rows)
    assert found.ids_not_found == len({row["event_id"] for row in rows}) > 0
    assert found.recall == 0.0


def test_the_quarantine_of_a_dataset_that_was_cleaned_is_not_scored(carried: DirtyBatches, tmp_path: Path) -> None:
    copy = Layout(shutil.copytree(carried.data, tmp_path / "data"))
    old = Dataset(copy).manifest().dataset_id
    copy.manifest.write_text(copy.manifest.read_text().replace(old, "f" * 32))
    for segment in copy.segments.iterdir():
        segment.write_text(segment.read_text().replace(old, "f" * 32))
    with pytest.raises(NoQuarantine, match="There is no quarantine of this dataset"):
        score(copy.data)


def test_a_batch_that_does_not_follow_from_its_segment_has_no_known_truth(made: DirtyBatches, tmp_path: Path) -> None:
    copy = Layout(shutil.copytree(made.data, tmp_path / "data"))
    ledger = copy.ledger(Stream.EVENTS)
    hashed = list(Dataset(copy).ledgers[Stream.EVENTS].batches())[3]
    ledger.write_text(ledger.read_text().replace(hashed.sha256, "0" * 64))
    with pytest.raises(DifferenceFound, match=f"events {hashed.batch_id} does not follow from its segment"):
        score(copy.data, [])


def test_lines_count_over_the_parts_of_a_batch(tmp_path: Path) -> None:
    """A batch of two parts, made by hand-picked settings: about 315,000 events in 15 minutes."""
    settings = {"mode": '"production"', "drivers_per_company": "9000", "event_rate_per_driver": "0.35"}
    rates = {"event_error_rate": "0.001", "company_error_rate": "0.0"}
    large = dirty_dataset(tmp_path, 1, **settings, **rates)
    (batch,) = large.batches("events")
    assert len(batch.files) == 2
    assert list(check(Dataset(Layout(large.data)), None)) == []
    rows = [{"batch_id": name, "line": line} for name, line, _ in truth(large, Stream.EVENTS)]
    assert max(line for _, line, _ in truth(large, Stream.EVENTS)) > PART_ROWS
    found = large.score(rows, stream="events")
    assert (found.recall, found.precision) == (1.0, 1.0)
    assert found.overall.hits.total() == len(rows) > 100


def test_deleted_batches_and_truth_change_nothing(carried: DirtyBatches, tmp_path: Path) -> None:
    copy = Layout(shutil.copytree(carried.data, tmp_path / "data"))
    before = score(copy.data).facts()
    shutil.rmtree(copy.data / "truth")
    shutil.rmtree(copy.raw)
    assert score(copy.data).facts() == before
    assert before["hits"] == injected(carried).total()


def test_batches_are_chosen_by_time_and_number(made: DirtyBatches) -> None:
    whole = list(made.batches("events"))
    chosen = Choice((Stream.EVENTS,), START + 100 * SECOND, START + 300 * SECOND)
    inside = [each for each in whole if each.interval_start >= chosen.start and each.interval_end <= chosen.until]  # type: ignore[operator]
    assert score(made.data, [], choice=chosen).overall.batches == len(inside) == 20
    newest = Choice((Stream.EVENTS,), None, chosen.until, newest=4)
    found = score(made.data, [], choice=newest)
    assert {each.batch_id for each in found.misses} <= {each.batch_id for each in inside[-4:]}
    assert found.overall.batches == 4


def test_lists_are_bounded_and_counts_are_not(made: DirtyBatches) -> None:
    found = score(made.data, [], most=5)
    assert len(found.misses) == 5
    assert found.overall.misses == injected(made)


def test_progress_is_told_batch_by_batch(made: DirtyBatches) -> None:
    told: list[tuple[int, int]] = []
    score(made.data, [], progress=lambda done, total: told.append((done, total)))
    total = sum(len(list(made.batches(stream))) for stream in Stream)
    assert told == [(done, total) for done in range(1, total + 1)]


def test_a_dataset_made_at_once_is_sound(made: DirtyBatches) -> None:
    assert list(check(Dataset(Layout(made.data)), None)) == []

"""What may be done to a dataset under its lock: begin it, open a segment, settle a stream after a crash."""

from pathlib import Path

import pytest

from fleetgen.config.loading import load
from fleetgen.config.model import Config
from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.errors import ManifestError
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import GapEntry
from fleetgen.storage.manifest import Manifest
from support.configs import SHIPPED, set_folder
from support.domain_cases import NOON
from support.simulation import simulated


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(Layout(tmp_path / "data"))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(set_folder(tmp_path / "set", SHIPPED.read_bytes())).config


def begin(dataset: Dataset, config: Config, at: int = NOON) -> Manifest:
    dataset.layout.manifests.mkdir(parents=True, exist_ok=True)
    with dataset.store.locked() as transaction:
        return dataset.begin(transaction, lambda: config, at)


def follow(dataset: Dataset, config: Config, at: int = NOON + SECOND) -> Manifest:
    with dataset.store.locked() as transaction:
        return dataset.follow_config(transaction, lambda: config, at)


def with_seed(config: Config, seed: int | None) -> Config:
    return config.model_copy(update={"seed": seed})


def test_without_a_dataset_one_is_told_how_to_get_it(dataset: Dataset) -> None:
    assert dataset.read() is None
    with pytest.raises(ManifestError, match=r"There is no dataset in .*: start one with `fleetgen up`"):
        dataset.manifest()


def test_a_dataset_begins_once(dataset: Dataset, config: Config) -> None:
    first = begin(dataset, config)
    assert begin(dataset, config, NOON + 60 * SECOND) == first == dataset.manifest()
    assert (first.origin, len(first.segments)) == (NOON, 1)
    assert dataset.segments(first)[0].settings == config.settings(config.seed or 0)


def test_the_first_batch_of_events_begins_where_that_of_companies_ends(dataset: Dataset, config: Config) -> None:
    manifest = begin(dataset, config, NOON + 7_250_000)
    companies, events = (dataset.next_interval(manifest, stream) for stream in Stream)
    assert companies.end == events.start
    assert events.end <= NOON + 10 * SECOND + config.settings(0).driver_interval_seconds * SECOND


def test_a_seed_that_nobody_names_is_drawn_and_kept(dataset: Dataset, config: Config) -> None:
    manifest = begin(dataset, with_seed(config, None))
    drawn = manifest.drawn_seed
    assert drawn is not None
    assert dataset.segments(manifest)[0].settings.seed == drawn
    assert follow(dataset, with_seed(config, None)) == manifest
    named = follow(dataset, with_seed(config, 5))
    assert [segment.settings.seed for segment in dataset.segments(named)] == [drawn, 5]


def test_a_segment_opens_where_the_bytes_would_differ_and_only_there(dataset: Dataset, config: Config) -> None:
    manifest = begin(dataset, config)
    assert follow(dataset, config.model_copy(update={"control": config.control})) == manifest
    other = config.model_copy(update={"mode": "production"})
    opened = follow(dataset, other)
    assert [entry.number for entry in opened.segments] == [1, 2]
    assert opened.segments[-1].instant == NOON + SECOND
    assert follow(dataset, other) == opened


def test_a_dataset_that_has_not_begun_opens_no_segment(dataset: Dataset, config: Config) -> None:
    dataset.layout.manifests.mkdir(parents=True)
    assert follow(dataset, config).segments == ()


def test_a_segment_of_another_dataset_is_refused(dataset: Dataset, config: Config) -> None:
    manifest = begin(dataset, config)
    path = dataset.layout.segment(1)
    path.write_text(path.read_text().replace(manifest.dataset_id, "0" * 8 + manifest.dataset_id[8:]))
    with pytest.raises(ManifestError, match="belongs to another dataset"):
        Dataset(dataset.layout).segments(manifest)


def test_a_line_that_the_manifest_lacks_is_taken_into_it(dataset: Dataset, config: Config) -> None:
    manifest = begin(dataset, config)
    due = dataset.next_interval(manifest, Stream.EVENTS)
    gap = GapEntry(start=iso(due.start), end=iso(due.end), segment=1, company_count=0, reason="downtime", intervals=1)
    dataset.ledgers[Stream.EVENTS].append(gap)
    for _ in range(2):
        settled = dataset.settle(manifest, Stream.EVENTS)
        assert (settled.head(Stream.EVENTS).stands_at, dataset.take_adopted()) == (due.end, [])
        assert settled.head(Stream.EVENTS).totals.missed == {"downtime": 1}
        manifest = settled


def test_a_stream_stalls_where_its_next_interval_is_further_off_than_its_grid(dataset: Dataset, config: Config) -> None:
    manifest = begin(dataset, config)
    due = dataset.next_interval(manifest, Stream.EVENTS).end
    assert dataset.stalled_until(manifest, Stream.EVENTS, now=NOON) is None
    assert dataset.stalled_until(manifest, Stream.EVENTS, now=NOON - 3600 * SECOND) == due


def test_whoever_opens_a_segment_finds_unrecorded_batches_of_the_other_stream_too(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(15)
        before = simulation.dataset.manifest()
        simulation.run_for(10)
        number = before.head(Stream.EVENTS).next_batch
        published = simulation.dataset.ledgers[Stream.EVENTS].batches_from(number, 1)
        simulation.dataset.store.write(before)
        simulation.edit(companies_per_batch="7")
        company = simulation.makers[Stream.COMPANIES]
        company.follow_config()
        found = company.dataset.take_adopted()
        assert [each.entry for each in found if each.stream is Stream.EVENTS] == published
        assert all(each.finished_at >= each.scheduled_at for each in found)
        assert found[-1].head.last_published_at == found[-1].finished_at
        assert company.dataset.take_adopted() == []

"""Consumers: known by name, with the newest batch they have; they neither run ahead nor go back."""

from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.errors import UsageError
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.lifecycle import WrongDataset, acknowledge, leave, register
from fleetgen.storage.layout import Layout
from fleetgen.storage.manifest import MOST_CONSUMERS, Head, Latencies, Manifest

LATENCIES = Latencies(bronze_to_silver=1.0, silver_to_gold=1.0, end_to_end=2.0)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """A dataset with ten batches of events, numbered from 0, and no company."""
    layout = Layout(tmp_path)
    layout.manifests.mkdir()
    dataset = Dataset(layout)
    with dataset.store.locked() as transaction:
        transaction.save(transaction.manifest.with_head(Stream.EVENTS, Head(next_batch=10)))
    return dataset


def acknowledged(dataset: Dataset, number: int, at: int = 1, latencies: Latencies | None = None) -> Manifest:
    dataset_id = dataset.manifest().dataset_id
    return acknowledge(dataset, "mine", dataset_id, {Stream.EVENTS: number}, at, latencies)


def test_who_registers_is_known_and_has_nothing_yet(dataset: Dataset) -> None:
    register(dataset, "mine")
    acknowledged(dataset, 4)
    known = register(dataset, "mine").consumers
    assert {name: consumer.acknowledged for name, consumer in known.items()} == {"mine": {Stream.EVENTS: 4}}


def test_an_older_acknowledgement_changes_only_when_it_was_heard(dataset: Dataset) -> None:
    acknowledged(dataset, 4, at=1, latencies=LATENCIES)
    consumer = acknowledged(dataset, 3, at=2).consumers["mine"]
    assert (consumer.acknowledged, consumer.acknowledged_at) == ({Stream.EVENTS: 4}, 2)
    assert consumer.latencies == LATENCIES


def test_a_batch_that_was_never_published_cannot_be_acknowledged(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="There is no batch 10 of events: the newest is 9"):
        acknowledged(dataset, 10)
    with pytest.raises(UsageError, match="There is no batch 0 of companies: none is published yet"):
        acknowledge(dataset, "mine", dataset.manifest().dataset_id, {Stream.COMPANIES: 0}, at=1)
    assert dataset.manifest().consumers == {}


def test_an_acknowledgement_of_a_dataset_that_was_cleaned_is_refused(dataset: Dataset) -> None:
    with pytest.raises(WrongDataset):
        acknowledge(dataset, "mine", "another", {Stream.EVENTS: 1}, at=1)


def test_who_leaves_is_forgotten(dataset: Dataset) -> None:
    register(dataset, "mine")
    assert [leave(dataset, "mine"), leave(dataset, "mine")] == [True, False]
    assert dataset.manifest().consumers == {}


def test_there_is_a_limit_to_how_many_consumers_are_known(dataset: Dataset) -> None:
    for number in range(MOST_CONSUMERS):
        register(dataset, f"consumer {number}")
    with pytest.raises(UsageError, match=f"There are {MOST_CONSUMERS} consumers already: let one leave first"):
        acknowledged(dataset, 1)
    register(dataset, "consumer 0")

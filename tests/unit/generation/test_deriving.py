"""The files that follow from published batches: appended to, and made anew where they are off."""

from pathlib import Path

import pytest

from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import SECOND, Interval, Stream
from fleetgen.generation import deriving, recording
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.bronze import Part
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Head, Totals
from support.domain_cases import NOON, emulated, only_segment


def head_of(*entries: BatchEntry) -> Head:
    """The head after these batches, as far as the files ask for it."""
    return Head(totals=Totals(bytes=sum(entry.bytes for entry in entries)))


def batch_of_companies(layout: Layout, number: int, content: bytes) -> BatchEntry:
    """A published batch with these bytes, and its ledger line."""
    start = NOON + 10 * SECOND * number
    segment = only_segment(emulated())
    inputs = BatchInputs(Stream.COMPANIES, number, Interval(start, start + 10 * SECOND), segment, (segment,), 0)
    folder = layout.batch(Stream.COMPANIES, inputs.interval.batch_id)
    folder.mkdir(parents=True)
    (folder / "companies.jsonl").write_bytes(content)
    part = Part("companies.jsonl", 1, len(content), "a" * 64)
    return recording.ledger_entry(recording.batch_meta(inputs, [part], "a" * 64, {}))


@pytest.mark.parametrize("damage", [None, b"", b"{}\n", b"as long as both\n" * 9])
def test_the_file_of_all_companies_is_appended_to_and_made_anew_where_it_is_off(
    tmp_path: Path, damage: bytes | None
) -> None:
    dataset = Dataset(Layout(tmp_path))
    layout = dataset.layout
    first, second = batch_of_companies(layout, 0, b'{"a":1}\n'), batch_of_companies(layout, 1, b'{"b":22}\n')
    dataset.ledgers[Stream.COMPANIES].append(first, second)
    deriving.follow(dataset, Stream.COMPANIES, [first], head_of(first), NOON)
    if damage is not None:
        layout.all_companies.write_bytes(damage)
    for _ in range(2):
        deriving.follow(dataset, Stream.COMPANIES, [second], head_of(first, second), NOON)
        assert layout.all_companies.read_bytes() == b'{"a":1}\n{"b":22}\n'


def test_several_batches_follow_at_once(tmp_path: Path) -> None:
    dataset = Dataset(Layout(tmp_path))
    batches = [batch_of_companies(dataset.layout, number, b"%d\n" % number) for number in range(3)]
    deriving.follow(dataset, Stream.COMPANIES, batches, head_of(*batches), NOON)
    assert dataset.layout.all_companies.read_bytes() == b"0\n1\n2\n"

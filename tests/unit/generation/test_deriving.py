"""The files that follow from published batches: appended to, and made anew where they are off."""

from pathlib import Path

import pytest

from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import SECOND, Interval, Stream
from fleetgen.generation import recording
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.deriving import Derived
from fleetgen.storage.bronze import Part
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Head, Manifest, Totals
from support.domain_cases import NOON, emulated, only_segment


def after(*entries: BatchEntry) -> Manifest:
    """The manifest after these batches of companies, as far as the files ask for it."""
    head = Head(next_batch=len(entries), totals=Totals(bytes=sum(entry.bytes for entry in entries)))
    return Manifest(dataset_id="a", origin=NOON).with_head(Stream.COMPANIES, head)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset(Layout(tmp_path))
    dataset.layout.manifests.mkdir()
    dataset.layout.dataset_note.write_text("A dataset")
    return dataset


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
    dataset: Dataset, damage: bytes | None
) -> None:
    layout, derived = dataset.layout, Derived(dataset, Stream.COMPANIES)
    first, second = batch_of_companies(layout, 0, b'{"a":1}\n'), batch_of_companies(layout, 1, b'{"b":22}\n')
    dataset.ledgers[Stream.COMPANIES].append(first, second)
    derived.follow(after(first), NOON, first)
    if damage is not None:
        layout.all_companies.write_bytes(damage)
    for _ in range(2):
        derived.follow(after(first, second), NOON, second)
        assert layout.all_companies.read_bytes() == b'{"a":1}\n{"b":22}\n'


def test_several_batches_follow_at_once(dataset: Dataset) -> None:
    batches = [batch_of_companies(dataset.layout, number, b"%d\n" % number) for number in range(3)]
    Derived(dataset, Stream.COMPANIES).follow(after(*batches), NOON, *batches)
    assert dataset.layout.all_companies.read_bytes() == b"0\n1\n2\n"


def all_batches(dataset: Dataset, count: int) -> list[BatchEntry]:
    batches = [batch_of_companies(dataset.layout, number, b'{"a":%d}\n' % number) for number in range(count)]
    dataset.ledgers[Stream.COMPANIES].append(*batches)
    Derived(dataset, Stream.COMPANIES).follow(after(*batches[:1]), NOON, *batches[:1])
    return batches


@pytest.mark.parametrize("torn", [b"", b'{"a":1}\n{"a'])
def test_a_file_that_lacks_batches_is_completed_without_being_made_anew(dataset: Dataset, torn: bytes) -> None:
    batches, path = all_batches(dataset, 4), dataset.layout.all_companies
    inode = path.stat().st_ino
    with path.open("ab") as file:
        file.write(torn)
    Derived(dataset, Stream.COMPANIES).follow(after(*batches), NOON, batches[-1])
    assert path.read_bytes() == b"".join(b'{"a":%d}\n' % number for number in range(4))
    assert path.stat().st_ino == inode


def test_a_file_that_lost_a_line_in_its_middle_is_made_anew(dataset: Dataset) -> None:
    batches, path = all_batches(dataset, 4), dataset.layout.all_companies
    Derived(dataset, Stream.COMPANIES).follow(after(*batches[:3]), NOON, *batches[1:3])
    path.write_bytes(path.read_bytes().replace(b'{"a":1}\n', b""))
    Derived(dataset, Stream.COMPANIES).follow(after(*batches), NOON, batches[-1])
    assert path.read_bytes() == b"".join(b'{"a":%d}\n' % number for number in range(4))


@pytest.mark.parametrize("stream", Stream)
def test_a_file_that_cannot_be_written_is_counted_and_tried_again_ever_more_slowly(
    dataset: Dataset, stream: Stream
) -> None:
    batches = all_batches(dataset, 2)
    manifest = after(*batches).with_head(Stream.EVENTS, Head(next_batch=2))
    path = dataset.layout.all_companies if stream is Stream.COMPANIES else dataset.layout.batch_manifest
    path.unlink(missing_ok=True)
    path.mkdir()
    derived = Derived(dataset, stream)
    tried = []
    for second in range(200):
        failures = derived.failures
        derived.follow(manifest, NOON + second * SECOND, batches[-1])
        if derived.failures > failures:
            tried.append(second)
    assert tried == [0, 10, 30, 70, 150]
    assert isinstance(derived.trouble, OSError)

    path.rmdir()
    assert (derived.is_due(NOON + 200 * SECOND), derived.is_due(NOON + 310 * SECOND)) == (False, True)
    derived.follow(manifest, NOON + 310 * SECOND)
    assert derived.trouble is None
    assert path.is_file()

"""The hash of a batch: of its parts' hashes, as a shell computes it; of all its bytes, as version 1 had it."""

import hashlib
import subprocess
import threading
from pathlib import Path

import pytest

from fleetgen.domain.records import SCHEMA_VERSION
from fleetgen.storage.hashing import BatchHash, beside, hash_of_parts

PARTS = (b"a\nb\n", b"c\n", b"")


def hashed(parts: tuple[bytes, ...], schema_version: int = SCHEMA_VERSION) -> tuple[str, list[str]]:
    batch, ended = BatchHash(schema_version), []
    for part in parts:
        for place in range(len(part)):
            batch.update(part[place : place + 1])
        ended.append(batch.end_part())
    return batch.hexdigest(), ended


@pytest.mark.parametrize("schema_version", range(1, SCHEMA_VERSION + 1))
def test_a_part_has_the_hash_of_its_bytes_in_every_version(schema_version: int) -> None:
    _, ended = hashed(PARTS, schema_version)
    assert ended == [hashlib.sha256(part).hexdigest() for part in PARTS]


@pytest.mark.parametrize("schema_version", range(1, SCHEMA_VERSION + 1))
def test_a_batch_of_one_part_has_its_hash_in_every_version(schema_version: int) -> None:
    whole, ended = hashed(PARTS[:1], schema_version)
    assert [whole] == ended == [hashlib.sha256(PARTS[0]).hexdigest()]


@pytest.mark.parametrize("count", [2, 3])
def test_version_1_hashes_all_bytes_as_one_file(count: int) -> None:
    assert hashed(PARTS[:count], 1)[0] == hashlib.sha256(b"".join(PARTS[:count])).hexdigest()


@pytest.mark.parametrize("count", [2, 3, 11])
def test_a_shell_computes_the_hash_of_several_parts(tmp_path: Path, count: int) -> None:
    parts = tuple(b"part %d\n" % number for number in range(count))
    for number, part in enumerate(parts):
        (tmp_path / f"events-{number:05d}.jsonl").write_bytes(part)
    line = "sha256sum events-*.jsonl | cut -c1-64 | sha256sum"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    whole, ended = hashed(parts)
    assert whole == hash_of_parts(ended) == done.stdout.split()[0]


def test_a_thread_hashes_what_it_is_given_in_order_and_ends() -> None:
    threads, pieces = threading.active_count(), [b"%d" % number for number in range(1000)]
    batch = hashlib.sha256()
    with beside(batch) as update:
        for piece in pieces:
            update(memoryview(piece))
    assert batch.hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert threading.active_count() == threads


class Refusing:
    """Takes a few pieces, then raises."""

    def __init__(self, taken: int) -> None:
        self.left = taken

    def update(self, data: memoryview) -> None:
        self.left -= 1
        if self.left < 0:
            raise MemoryError("no more")


@pytest.mark.parametrize("pieces", [1, 2, 3, 100])
def test_a_fault_of_the_thread_is_raised_wherever_it_happens(pieces: int) -> None:
    threads = threading.active_count()
    with pytest.raises(MemoryError, match="no more"), beside(Refusing(taken=pieces - 1)) as update:
        for _ in range(pieces):
            update(memoryview(b"piece"))
    assert threading.active_count() == threads


def test_a_fault_of_the_thread_stops_who_gives_it_more() -> None:
    given = []
    with pytest.raises(MemoryError, match="no more"), beside(Refusing(taken=0)) as update:
        for number in range(1000):
            update(memoryview(b"piece"))
            given.append(number)
    assert len(given) < 10


def test_what_is_given_up_meanwhile_leaves_no_thread() -> None:
    threads = threading.active_count()
    with pytest.raises(InterruptedError), beside(hashlib.sha256()) as update:
        update(memoryview(bytes(1 << 20)))
        raise InterruptedError
    assert threading.active_count() == threads


class Waiting:
    """Takes a piece only when it is let."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)

    def update(self, data: memoryview) -> None:
        assert self.gate.acquire(timeout=60)


def test_few_pieces_wait_for_the_thread() -> None:
    waiting, given = Waiting(), []

    def give() -> None:
        with beside(waiting) as update:
            for number in range(20):
                update(memoryview(b"piece"))
                given.append(number)

    giver = threading.Thread(target=give)
    giver.start()
    giver.join(0.3)  # as many as it can
    held = len(given)
    waiting.gate.release(20)
    giver.join(60)
    assert len(given) == 20
    assert 1 <= held <= 3

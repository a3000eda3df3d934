"""A batch that is judged in pieces ends in the same tables as one that is judged whole, and takes little memory."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.medallion import lines
from fleetgen.medallion.embedded.budget import MEGABYTE, Budget
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.medallion.lines import DamagedBatch
from fleetgen.storage.layout import Layout
from support.delta_tables import DATASET, batches, contents, dirty, follow
from support.nasty_batches import put
from support.nasty_lines import NASTY, event

CARRYING = Path(__file__).parents[1] / "support" / "carrying.py"
SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
KILLS = int(os.environ.get("FLEETGEN_KILLS", "60" if SOAK else "24"))


@pytest.fixture(scope="module")
def bronze(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A dirty dataset of batches of some hundred lines, to be copied."""
    bounds = {"companies_per_batch": "40", "events_per_batch": "{ min = 200, max = 300 }"}
    with dirty(tmp_path_factory.mktemp("bronze"), 60, **bounds) as simulation:
        return simulation.dataset.layout


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be read a few lines at a time."""
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 1000)


def copied(bronze: Layout, folder: Path) -> Layout:
    shutil.copytree(bronze.data, folder)
    return Layout(folder)


def carrier(layout: Layout, at_once: int, beat: Callable[[], None] = lambda: None) -> EmbeddedEngine:
    """Return an engine that carries so many lines at once."""
    return EmbeddedEngine(layout, DATASET, beat, budget=Budget(64 * MEGABYTE, 1, at_once))


def test_pieces_end_in_the_tables_of_the_whole(bronze: Layout, tmp_path: Path) -> None:
    whole, pieces = (copied(bronze, tmp_path / name) for name in ("whole", "pieces"))
    follow(whole, carrier(whole, 100_000), most=1000)
    follow(pieces, carrier(pieces, 25), most=1000)
    assert contents(pieces) == contents(whole)
    assert len(contents(whole)["quarantine"]) > 100


def test_nothing_is_left_beside_the_tables(bronze: Layout, tmp_path: Path) -> None:
    layout = copied(bronze, tmp_path / "data")
    engine = carrier(layout, 10)
    engine.carry(Stream.EVENTS, batches(layout, Stream.EVENTS)[:1])
    files = {path.name for path in (layout.data / "staged" / "events").glob("*.parquet")}
    assert len(files) > 5
    assert not layout.spill.exists()


def test_tables_that_lag_behind_silver_get_what_they_lack(bronze: Layout, tmp_path: Path) -> None:
    # given silver tables that have batches which a gold table lacks, as a kill leaves them
    layout = copied(bronze, tmp_path / "data")
    follow(layout, carrier(layout, 25), most=1000)
    kept = contents(layout)
    shutil.rmtree(layout.data / "processed" / "batches")
    # when they are judged again in pieces, which no table of silver takes
    follow(layout, carrier(layout, 25), most=1000)
    # then nothing is lost, and nothing is there twice
    assert contents(layout) == kept


DUPLICATES: dict[str, list[bytes]] = {
    "equal lines far apart": [event(1), *map(event, range(10, 40)), event(1), event(1)],
    "equal broken lines": [b"{", *map(event, range(10, 40)), b"{", b"", b"", b"\xff", b"\xff"],
    "equal ids far apart": [event(1), *map(event, range(10, 40)), event(1, event_type="delivered"), event(1) + b" "],
    "a rejected line does not take an id": [
        event(1, event_type="flying"),
        *map(event, range(10, 40)),
        event(1),
        event(1, event_type="delivered"),
    ],
    "every nasty line, far apart": [
        *(each.line for each in NASTY),
        *map(event, range(1000, 1040)),
        *(each.line for each in NASTY),
    ],
    "nothing but one id": [event(1, event_type=kind) for kind in ("delivered", "start driving") for _ in range(20)],
}


@pytest.mark.parametrize("content", DUPLICATES.values(), ids=DUPLICATES)
def test_duplicates_across_pieces_are_those_of_the_whole(bronze: Layout, tmp_path: Path, content: list[bytes]) -> None:
    found = {}
    for at_once in (100_000, 4):
        layout = copied(bronze, tmp_path / str(at_once))
        entry = put(layout, batches(layout, Stream.EVENTS)[0], b"\n".join(content) + b"\n")
        carried = carrier(layout, at_once).carry(Stream.EVENTS, [entry])
        found[at_once] = contents(layout), carried.outcomes, carried.rules, carried.rows
        assert carried.lines == len(content)
        assert all(delta_holds_what_lies_there(layout, name) for name in ("events", "quarantine"))
    assert found[4] == found[100_000]


def delta_holds_what_lies_there(layout: Layout, name: str) -> bool:
    """Whether each Parquet file of a silver table is named by a commit."""
    folder = layout.data / "staged" / name
    told = "".join(path.read_text() for path in (folder / "_delta_log").glob("*.json"))
    return all(path.name in told for path in folder.glob("*.parquet"))


def test_a_damaged_batch_leaves_nothing_in_any_table(bronze: Layout, tmp_path: Path) -> None:
    layout = copied(bronze, tmp_path / "data")
    entry = batches(layout, Stream.EVENTS)[0]
    path = layout.batch(Stream.EVENTS, entry.batch_id) / "events.jsonl"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b"d", b"e"))
    engine = carrier(layout, 10)
    with pytest.raises(DamagedBatch, match=entry.batch_id):
        engine.carry(Stream.EVENTS, [entry])
    assert not any(contents(layout).values())
    # and once it is repaired the same engine goes on
    path.write_bytes(kept)
    assert engine.carry(Stream.EVENTS, [entry]).lines == entry.record_count


@pytest.mark.soak
def test_kills_between_pieces_end_in_the_tables_of_an_undisturbed_run(bronze: Layout, tmp_path: Path) -> None:
    undisturbed, killed = (copied(bronze, tmp_path / name) for name in ("undisturbed", "killed"))
    follow(undisturbed, carrier(undisturbed, 100_000), most=1000)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(CARRYING), str(killed.data), str(KILLS), "20"]
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert contents(killed) == contents(undisturbed)


MOST_MEBIBYTES = 260
_PROGRAM = """
import resource, sys
from pathlib import Path
from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.budget import Budget
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
layout, entry = Layout(Path(sys.argv[1])), BatchEntry.model_validate_json(sys.argv[2])
engine = EmbeddedEngine(layout, "a-dataset", lambda: None, budget=Budget(100_000_000, 2, 30_000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
carried = engine.carry(Stream.EVENTS, [entry])
print(carried.lines, carried.outcomes["accepted"], before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is that of Linux")
def test_a_large_batch_takes_no_more_memory_than_a_piece(bronze: Layout, tmp_path: Path) -> None:
    # given one batch of some hundred thousand lines, and a budget for a tenth of them
    layout, count = copied(bronze, tmp_path / "data"), 300_000
    first = batches(layout, Stream.EVENTS)[0]
    entry = put(layout, first, b"".join(event(number) + b"\n" for number in range(count)))
    # when a process carries it
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _PROGRAM, str(layout.data), entry.model_dump_json()]
    told = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
    # then it takes what a piece takes, and not what all lines would: more than a gigabyte
    carried, accepted, before, after = map(int, told.split())
    assert carried == accepted == count
    assert (after - before) / 1024 < MOST_MEBIBYTES

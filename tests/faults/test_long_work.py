"""Work whose length depends on the data beats as it goes, says how far it is, and goes on where it was interrupted."""

import os
import time
from pathlib import Path

import pytest

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import load
from fleetgen.domain.records import SECOND, Stream
from fleetgen.errors import Interrupted, ManifestError
from fleetgen.generation import recording
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.summing import head_of
from fleetgen.storage.ledger import Ledger
from fleetgen.storage.manifest import Head
from fleetgen.supervision.client import Supervisor
from support.configs import fleetgen
from support.long_ledgers import make_long
from support.patience import wait_for
from support.sets import RunningSet
from support.simulation import simulated

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
LINES = 3_000_000 if SOAK else 150_000
EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "companies_per_batch": "10"}
LONGEST_SILENCE = 4.0
"""Seconds without a beat; the watchdog kills after 30, which a machine that is slower by far would reach."""


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_set_with_long_ledgers_that_lost_its_manifest_is_back_without_a_kill() -> None:
    with RunningSet(**EVERY_SECOND) as running:
        make_long(running.config, LINES, system_now() // SECOND * SECOND)
        loaded = load(running.config)
        loaded.layout.manifest.unlink()
        running.start(wait=False)
        silence = longest_silence_until_rebuilt(running)
        wait_for(lambda: all(running.batch_count(each) >= 2 for each in Stream), 120, "Publishing")
        starts = Supervisor(loaded.socket).starts()
        running.call("pause")

        assert starts == {"company": 1, "driver": 1}
        assert silence < LONGEST_SILENCE
        totals = running.manifest()["heads"]["events"]["totals"]
        made = sum(totals["batches"].values()) - LINES
        assert made >= 2
        assert totals["issues"]["duplicate"] >= LINES
        if SOAK:
            told = [line["event"] for name in starts for line in running.log(name) if line.get("kind") == "progress"]
            assert any("goes on: the ledger of" in event for event in told), told


def longest_silence_until_rebuilt(running: RunningSet) -> float:
    """Return for how many seconds at most the process that makes the manifest anew did not beat."""
    seen: dict[str, tuple[str, float]] = {}
    longest = 0.0
    until = time.monotonic() + 600
    while not any(line.get("kind") == "rebuilt" for name in running.ports for line in running.log(name)):
        assert time.monotonic() < until
        for name in running.ports:
            path = running.folder / "run" / f"{name}.heartbeat"
            beat, now = path.read_text() if path.exists() else "", time.monotonic()
            if beat and seen.setdefault(name, (beat, now))[0] == beat:
                longest = max(longest, now - seen[name][1])
            elif beat:
                seen[name] = beat, now
        time.sleep(0.05)
    return longest


def test_adding_up_a_ledger_fast_is_adding_up_its_lines(tmp_path: Path) -> None:
    with simulated(tmp_path, preset="quality-demo", catch_up_limit="2") as simulation:
        simulation.run_for(60)
        simulation.stop()
        simulation.run_for(200)
        simulation.start()
        simulation.run_for(60)
        for stream in Stream:
            ledger, start = simulation.dataset.ledgers[stream], 17
            slow = Head(stands_at=start)
            for entry in ledger.entries():
                slow = recording.head_after(slow, stream, entry, published_at=None, late=False)
            assert slow.totals.missed
            assert slow.totals.issues
            assert head_of(ledger, stream, start, lambda text=None: None) == slow
            with ledger.path.open("ab") as file:
                file.write(b'{"kind":"batch"')  # torn
            assert head_of(ledger, stream, start, lambda text=None: None) == slow


@pytest.mark.parametrize("line", [b"no JSON", b"[]", b'{"kind":"batch"}', b'{"kind":"gap","reason":"whim"}', b"null"])
def test_a_line_of_a_ledger_that_is_none_is_named(tmp_path: Path, line: bytes) -> None:
    ledger = Ledger(tmp_path / "events.jsonl")
    ledger.path.write_bytes(line + b"\n")
    with pytest.raises(ManifestError, match=r"events\.jsonl has a line that is no entry"):
        head_of(ledger, Stream.EVENTS, 0, lambda text=None: None)


def test_reading_a_lost_ledger_back_from_the_metas_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    with simulated(tmp_path, **EVERY_SECOND) as simulation:
        simulation.stop()
        done = fleetgen("backfill", "--batches", "1500", "--config", simulation.file, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        layout = simulation.loaded.layout
        whole = layout.ledger(Stream.EVENTS).read_bytes()
        layout.manifest.unlink()
        layout.ledger(Stream.EVENTS).unlink()

        def interrupt(text: str | None = None) -> None:
            told.append(text or "")
            if "written anew" in told[-1]:
                raise Interrupted

        told: list[str] = []
        for _ in range(2):
            with pytest.raises(Interrupted):
                Dataset(layout, interrupt).read()
        begun = layout.ledger(Stream.EVENTS).read_bytes()
        assert 0 < len(begun) <= len(whole)
        assert whole.startswith(begun)
        assert next(text for text in told if "written anew" in text).startswith("1,000 lines of the ledger of events")

        Dataset(layout).read()
        assert layout.ledger(Stream.EVENTS).read_bytes() == whole
        assert fleetgen("verify", "--config", simulation.file, cwd=tmp_path).returncode == 0


def test_the_trash_of_a_large_dataset_holds_up_no_batch(tmp_path: Path) -> None:
    with simulated(tmp_path, **EVERY_SECOND) as simulation:
        simulation.stop()
        trash = simulation.loaded.layout.data / ".trash-old"
        for number in range(50):
            (trash / "raw" / f"{number}").mkdir(parents=True)
            for each in range(100):
                (trash / "raw" / f"{number}" / f"{each}.jsonl").touch()

        simulation.start(Stream.COMPANIES)
        left = sum(1 for _ in trash.rglob("*"))
        assert 2000 <= left < 5050
        simulation.run_for(5)
        maker = simulation.makers[Stream.COMPANIES]
        while maker.trash.delete_some():
            pass
        assert not trash.exists()
        assert simulation.metas(Stream.COMPANIES)

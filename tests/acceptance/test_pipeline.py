"""The pipeline of a running set, from a published batch to what people ask of gold."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from fleetgen.config.model import OWN_PIPELINE
from fleetgen.domain.records import SECOND, Stream, instant
from fleetgen.medallion.embedded.reading import FORMS
from fleetgen.medallion.embedded.tables import load
from fleetgen.medallion.forms import TableForm
from fleetgen.medallion.gold import GOLD
from fleetgen.storage.bronze import read_meta
from support.configs import fleetgen
from support.delta_tables import batches, contents
from support.event_stream import answers, health, reasons
from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet, free_ports
from support.tables import (
    acknowledged,
    assert_nothing_disappears,
    catch_up,
    dirty_set,
    is_caught_up,
    layout_of,
    pipeline_log,
    pipeline_pid,
    pipeline_samples,
    published,
    records_told,
    rows_of,
)

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
LIVE_SECONDS = 120 if SOAK else 22
INTERVAL = '"PT5S"' if SOAK else '"PT1S"'
INTERVALS = 520
"""Of both streams: more than a thousand batches."""

_READ = {form.name: form for form in FORMS if form.name in ("events", "quarantine", "batches")}

Counts = dict[tuple[str, int], int]


# A live set with readers


@dataclass
class Read:
    """What a reader found at one time: the version that was read, and how many rows of each batch there were."""

    name: str
    version: int
    counts: Counts


@dataclass
class Readers:
    """Reads the tables again and again, while they are written and compacted, and what was acknowledged before that."""

    running: RunningSet
    reads: list[Read] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)
    """Acknowledged batches that a table did not have."""
    faults: list[Exception] = field(default_factory=list)
    kept_open: dict[str, tuple[DeltaTable, Counts]] = field(default_factory=dict)
    """Tables as they were opened at the beginning, and what was in them."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self.stopping.wait(0.1):
            try:
                self._look()
            except Exception as fault:
                self.faults.append(fault)

    def _look(self) -> None:
        told = acknowledged(self.running) or {}
        for form in FORMS:
            delta = load(form.folder(layout_of(self.running)))
            for stream in form.streams:
                last = delta.transaction_version(f"fleetgen-{stream}") if delta is not None else None
                if told.get(stream, -1) > (-1 if last is None else last):
                    self.ahead.append(f"{form.name} has {stream} up to {last}, acknowledged was {told[stream]}")
        for name, form in _READ.items():
            delta = load(form.folder(layout_of(self.running)))
            if delta is None:
                continue
            for counted in (counted_by_polars(form, delta), counted_by_duckdb(form, delta)):
                self.reads.append(Read(name, delta.version(), counted))
            if name not in self.kept_open and len(counted) > 2:
                self.kept_open[name] = delta, counted


def every_version(form: TableForm, delta: DeltaTable) -> Iterator[Read]:
    """Yield what is in a table at each of its versions: what any reader may have seen."""
    for version in range(1, delta.version() + 1):
        yield Read(form.name, version, counted_by_duckdb(form, DeltaTable(delta.table_uri, version=version)))


def counted_by_polars(form: TableForm, delta: DeltaTable) -> Counts:
    frame = pl.scan_delta(delta.table_uri, version=delta.version())
    stream = pl.col("stream") if "stream" in form.schema.names else pl.lit(form.name).alias("stream")
    return tallied(frame.select(stream, "batch_number").collect().rows())


def counted_by_duckdb(form: TableForm, delta: DeltaTable) -> Counts:
    stream = "stream" if "stream" in form.schema.names else f"'{form.name}'"
    with duckdb.connect() as connection:
        connection.register("rows_read", delta.to_pyarrow_dataset())
        return tallied(connection.execute(f"SELECT {stream}, batch_number FROM rows_read").fetchall())


def tallied(rows: list[Any]) -> Counts:
    return dict(Counter((stream, number) for stream, number in rows))


@pytest.fixture(scope="module")
def live() -> Iterator[tuple[RunningSet, Readers]]:
    """A set that has run for a while, with readers, and is paused and caught up."""
    with dirty_set(company_interval=INTERVAL, driver_interval=INTERVAL) as running:
        running.start()
        catch_up(running)
        readers = Readers(running)
        time.sleep(LIVE_SECONDS)
        running.call("pause")
        time.sleep(0.5)
        catch_up(running)
        readers.stop()
        yield running, readers


@pytest.mark.quiet
@pytest.mark.soak
def test_batches_are_in_gold_within_a_second_and_never_later_than_five(live: tuple[RunningSet, Readers]) -> None:
    running, _ = live
    # given when each batch was published, and when it was committed to the last of its tables
    took = [seconds for stream in Stream for seconds in seconds_to_gold(running, stream)]
    assert len(took) >= 2 * LIVE_SECONDS // (5 if SOAK else 1) - 4

    # then
    assert max(took) <= 5
    assert sorted(took)[int(0.95 * len(took))] <= 1

    # and the process has measured no less
    samples = pipeline_samples(running)
    assert samples is not None
    within = {
        limit: samples["fleetgen_pipeline_latency_seconds_bucket", frozenset({("stage", "end_to_end"), ("le", limit)})]
        for limit in ("1.0", "5.0", "+Inf")
    }
    assert within["+Inf"] == sum(published(running).values()) + 2
    assert within["5.0"] == within["+Inf"]
    assert within["1.0"] >= 0.95 * len(took)


def seconds_to_gold(running: RunningSet, stream: Stream) -> list[float]:
    """Return how long each batch took from its publication to being in every gold table; without the first one, which
    was published while the pipeline started.
    """
    layout = layout_of(running)
    commits = [commits_of(running, form.form, stream) for form in GOLD if stream in form.form.streams]
    found = []
    for entry in batches(layout, stream)[1:]:
        meta = read_meta(layout, stream, entry.batch_id)
        assert meta is not None
        seen = max(min(at for last, at in table if last >= entry.batch_number) for table in commits)
        found.append(seen - instant(meta["generation_time"]) / SECOND)
    return found


def commits_of(running: RunningSet, form: TableForm, stream: Stream) -> list[tuple[int, float]]:
    """Return the last batch of each commit to a table, and when the commit could be seen."""
    return [
        (transaction["version"], path.stat().st_mtime)
        for path in (form.folder(layout_of(running)) / "_delta_log").glob("*.json")
        for line in path.read_text().splitlines()
        if (transaction := json.loads(line).get("txn", {})).get("appId") == f"fleetgen-{stream}"
    ]


@pytest.mark.quiet
def test_readers_see_whole_batches_while_tables_are_written_and_compacted(live: tuple[RunningSet, Readers]) -> None:
    running, readers = live
    assert readers.faults == []
    assert len(readers.reads) > 50

    for name, form in _READ.items():
        # given what is in each batch in the end
        delta = load(form.folder(layout_of(running)))
        assert delta is not None
        final = counted_by_duckdb(form, delta)
        reads = [read for read in readers.reads if read.name == name]

        # then a reader saw, of each stream, all batches up to some one, whenever it came
        for read in [*reads, *every_version(form, delta)]:
            newest: dict[str, int] = {}
            for stream, number in read.counts:
                newest[stream] = max(number, newest.get(stream, -1))
            assert read.counts == {
                (stream, number): count for (stream, number), count in final.items() if number <= newest.get(stream, -1)
            }

        # and whoever opened the table at the beginning still finds its files
        opened, counts = readers.kept_open[name]
        assert counted_by_duckdb(form, opened) == counts

    # and a table was compacted between two of the reads
    delta = load(_READ["quarantine"].folder(layout_of(running)))
    assert delta is not None
    compacted = [each["version"] for each in delta.history() if each["operation"] == "OPTIMIZE"]
    versions = [read.version for read in readers.reads if read.name == "quarantine"]
    assert any(min(versions) < version <= max(versions) for version in compacted)


@pytest.mark.quiet
def test_what_is_acknowledged_is_in_every_table(live: tuple[RunningSet, Readers]) -> None:
    running, readers = live

    assert readers.ahead == []
    assert acknowledged(running) == published(running)
    assert_nothing_disappears(layout_of(running))


@pytest.mark.quiet
def test_a_pipeline_that_follows_small_batches_loads_no_arrow(live: tuple[RunningSet, Readers]) -> None:
    running, _ = live
    wait_for(lambda: running.manifest()["consumers"][OWN_PIPELINE]["outcome"]["score"], 30, "A score")

    (pid,) = running._pids_of("pipeline")
    mapped = Path(f"/proc/{pid}/maps").read_text()

    assert "_duckdb" in mapped
    assert "libarrow" not in mapped


# A backlog


@pytest.fixture(scope="module")
def backlog() -> Iterator[RunningSet]:
    """A set that was started, paused, with more than a thousand batches to carry."""
    with dirty_set(in_memory=True) as running:
        running.call("backfill", "--batches", str(INTERVALS))
        running.call("pause")
        running.start()
        yield running


def test_a_backlog_of_a_thousand_batches_is_worked_off_while_the_set_is_paused(backlog: RunningSet) -> None:
    catch_up(backlog, 60)

    # given how long it took, without the start of the process
    starting, done = pipeline_log(backlog, "starting")[0], pipeline_log(backlog, "batch_processed")[-1]
    seconds = (instant(done["timestamp"]) - instant(starting["timestamp"])) / SECOND

    assert backlog.manifest()["desired"]["paused"]
    assert 2 * INTERVALS / seconds >= 50
    assert sum(published(backlog).values()) + 2 >= 2 * INTERVALS


def test_nothing_disappears_in_a_thousand_batches(backlog: RunningSet) -> None:
    catch_up(backlog, 60)

    assert assert_nothing_disappears(layout_of(backlog)) >= 1000

    samples = pipeline_samples(backlog)
    assert samples is not None
    for stream in Stream:
        lines = sum(entry.record_count for entry in batches(layout_of(backlog), stream))
        assert sum(count for (name, _), count in records_told(samples).items() if name == stream) == lines


def test_people_ask_a_running_set_for_what_is_in_its_tables(backlog: RunningSet) -> None:
    catch_up(backlog, 60)
    found = contents(layout_of(backlog))

    told = {(each["layer"], each["name"]): each["rows"] for each in json.loads(backlog.call("tables", "--json").stdout)}
    assert told == {(form.layer, form.name): len(found[form.name]) for form in FORMS}

    sql = "SELECT stream, count(*) AS batches, sum(lines)::BIGINT AS lines FROM gold.batches GROUP BY stream"
    answer = [json.loads(line) for line in backlog.call("query", sql, "--format", "json").stdout.splitlines()]
    heads = backlog.manifest()["heads"]
    assert {row["stream"]: (row["batches"], row["lines"]) for row in answer} == {
        stream: (head["next_batch"], head["totals"]["records"]) for stream, head in heads.items()
    }


def test_a_second_pipeline_of_the_same_data_names_the_first(backlog: RunningSet) -> None:
    catch_up(backlog, 60)
    (port,) = free_ports(1)

    refused = backlog.call("run", "pipeline", "--port", str(port), check=False)

    assert refused.returncode == 75
    assert f"process {pipeline_pid(backlog)}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert is_caught_up(backlog)


@pytest.mark.parametrize("removed", ["staged/companies", "processed/fleet_by_geography"])
def test_tables_that_were_removed_are_made_anew_from_bronze(backlog: RunningSet, removed: str) -> None:
    catch_up(backlog, 60)
    before = contents(layout_of(backlog))
    backlog.ctl("stop", "pipeline")

    shutil.rmtree(backlog.data / removed)
    backlog.ctl("start", "pipeline")

    wait_for(lambda: acknowledged(backlog) is not None, 10, "The pipeline")
    catch_up(backlog, 60)
    assert contents(layout_of(backlog)) == before


@pytest.mark.parametrize("damaged", list(Stream))
def test_a_damaged_batch_is_told_with_its_remedy_and_carried_once_it_is_repaired(
    backlog: RunningSet, damaged: Stream
) -> None:
    catch_up(backlog, 60)
    before = contents(layout_of(backlog))
    layout, told = layout_of(backlog), len(pipeline_log(backlog, "error"))

    # given a batch that was damaged by hand before the pipeline came to it
    backlog.ctl("stop", "pipeline")
    for folder in (layout.silver, layout.gold):
        shutil.rmtree(folder)
    entry = batches(layout, damaged)[-1]
    path = layout.batch(damaged, entry.batch_id) / f"{damaged}.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    backlog.ctl("start", "pipeline")

    try:
        # then each try says so once, with the remedy, and the process lives
        wait_for(lambda: len(pipeline_log(backlog, "error")) >= told + 2, 20, "A second try")
        for line in pipeline_log(backlog, "error")[told:]:
            assert entry.batch_id in line["event"]
            assert "`fleetgen verify --all --repair`" in line["event"]
            assert "exception" not in line
        assert "RUNNING" in backlog.ctl("status", "pipeline")
        pid = pipeline_pid(backlog)

        # and the other stream goes on
        other = next(stream for stream in Stream if stream is not damaged)
        wait_for(lambda: (acknowledged(backlog) or {}).get(other) == published(backlog)[other], 5, f"All {other}")
        assert (acknowledged(backlog) or {})[damaged] < entry.batch_number
    finally:
        backlog.call("verify", "--all", "--repair", check=False)

    # and after the repair it goes on by itself
    catch_up(backlog, 40)
    assert pipeline_pid(backlog) == pid
    assert contents(layout) == before


def processes(running: RunningSet) -> list[str]:
    """Return the processes that health names; it asks supervisord twice a second."""
    return [each["name"] for each in health(running)["processes"]]


def test_a_pipeline_that_is_disabled_has_no_process_and_nobody_waits_for_it(backlog: RunningSet) -> None:
    catch_up(backlog, 60)

    backlog.configure_table("pipeline", enabled="false")
    backlog.call("reload")
    try:
        wait_for(lambda: pipeline_pid(backlog) is None, 10, "The end of the pipeline")
        assert acknowledged(backlog) is None
        assert "pipeline" not in backlog.ctl("status")
        wait_for(lambda: answers(backlog) and "pipeline" not in processes(backlog), 10, "A health without a pipeline")
        assert not reasons(backlog)
    finally:
        backlog.configure_table("pipeline", enabled="true")
        backlog.call("reload")
    wait_for(lambda: acknowledged(backlog) is not None, 10, "The pipeline")
    catch_up(backlog)


def test_after_a_clean_the_tables_are_those_of_the_new_dataset(backlog: RunningSet) -> None:
    catch_up(backlog, 60)
    pid = pipeline_pid(backlog)

    # when all is cleaned, no table is left and none is made
    backlog.call("clean", "--yes")
    time.sleep(0.5)
    assert not layout_of(backlog).silver.exists()
    assert not layout_of(backlog).gold.exists()
    assert acknowledged(backlog) in (None, dict.fromkeys(Stream, -1))

    # when it is resumed, only what is new is in the tables
    backlog.call("resume")
    wait_for(lambda: min((acknowledged(backlog) or {Stream.EVENTS: -1}).values()) >= 1, 20, "New tables")
    backlog.call("pause")
    time.sleep(0.5)
    catch_up(backlog)
    assert pipeline_pid(backlog) == pid
    assert assert_nothing_disappears(layout_of(backlog)) == sum(published(backlog).values()) + 2
    assert len(rows_of(layout_of(backlog), "batches")) < INTERVALS
    assert pipeline_log(backlog, "failed") == []


# What it needs


@pytest.mark.parametrize("package", ["duckdb", "deltalake", "pyarrow"])
def test_without_its_packages_up_refuses_and_says_what_to_install(tmp_path: Path, package: str) -> None:
    subprocess.run([*FLEETGEN, "init", str(tmp_path)], check=True, capture_output=True)
    program = f"import sys; sys.modules[{package!r}] = None; from fleetgen.cli.main import main; sys.exit(main())"
    config = tmp_path / "etc" / "generator.toml"

    refused = subprocess.run(
        [sys.executable, "-c", program, "up", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert refused.returncode == 71
    assert f"needs {package}: " in refused.stderr
    assert "pip install 'fleetgen[pipeline]'" in refused.stderr
    assert "pipeline.enabled = false" in refused.stderr
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


def test_without_a_dataset_query_and_tables_say_what_makes_them(tmp_path: Path) -> None:
    subprocess.run([*FLEETGEN, "init", str(tmp_path)], check=True, capture_output=True)

    for arguments in (("tables",), ("query", "SELECT * FROM gold.batches")):
        refused = fleetgen(*arguments, cwd=tmp_path)
        assert refused.returncode == 66
        assert "fleetgen up`" in refused.stderr
        assert "Traceback" not in refused.stderr

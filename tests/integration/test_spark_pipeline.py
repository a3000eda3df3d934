"""Spark as the pipeline's engine: the tables of the embedded one, whoever writes them, and no JVM that outlives its parent."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from fleetgen.domain.records import Stream
from fleetgen.errors import Interrupted
from fleetgen.medallion.carrying.engine import Engine
from fleetgen.medallion.embedded import upkeep
from fleetgen.medallion.embedded.reading import FORMS
from fleetgen.medallion.lines import DamagedBatch
from fleetgen.medallion.spark.session import Session
from fleetgen.storage.layout import Layout
from support.delta_tables import batches, contents, copied, databases_begun, engine, follow, sorted_rows, varied
from support.nasty_batches import put_nasty
from support.patience import wait_for
from support.spark import is_alive, started_by
from support.spark_engine import carrying, lacking, spark_engine, started

BATCHES = 200 if os.environ.get("FLEETGEN_SOAK") else 20

if reason := lacking():
    pytest.skip(f"No Spark here: {reason}", allow_module_level=True)

pytestmark = pytest.mark.timeout(900)
"""On a machine that others work on, a commit by Spark can take ten times as long as alone."""

Contents = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def bronze(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return varied(tmp_path_factory.mktemp("bronze"), BATCHES)


@pytest.fixture
def layout(bronze: Layout, tmp_path: Path) -> Layout:
    return copied(bronze, tmp_path / "data")


@pytest.fixture(scope="module")
def undisturbed(bronze: Layout, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """What the embedded engine makes of it."""
    copy = copied(bronze, tmp_path_factory.mktemp("undisturbed") / "data")
    carry(engine(copy), copy)
    return contents(copy)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with started(tmp_path_factory.mktemp("spark")) as session:
        yield session


def carry(carrier: Engine, layout: Layout, upto: int | None = None) -> None:
    """Carry what is missing of both streams, up to a batch."""
    for stream in Stream:
        carrier.carry(stream, batches(layout, stream)[carrier.next_batch(stream) : upto])


@pytest.mark.parametrize("few_lines", [20_000, 0], ids=["the driver writes", "Spark writes"])
def test_tables_are_those_of_the_embedded_engine_row_for_row(
    bronze: Layout, session: Session, tmp_path: Path, few_lines: int
) -> None:
    # given a dirty dataset, whose first batch of events has every nasty line
    found = {}
    for name in ("embedded", "spark"):
        layout = copied(bronze, tmp_path / name)
        carrier: Engine = engine(layout) if name == "embedded" else spark_engine(layout, session, few_lines)
        # when the events come in two runs, and companies between
        first, *others = batches(layout, Stream.EVENTS)
        entries = [put_nasty(layout, first), *others]
        told = [
            carrier.carry(Stream.EVENTS, entries[:5]),
            carrier.carry(Stream.COMPANIES, batches(layout, Stream.COMPANIES)),
            carrier.carry(Stream.EVENTS, entries[5:]),
        ]
        passed = [(each.batches, each.lines, each.outcomes, each.rules) for each in told]
        found[name] = passed, carrier.totals(), contents(layout)
    # then nobody can tell which engine it was
    assert found["spark"] == found["embedded"]
    assert {row[0] for row in found["spark"][2]["fleet_by_geography"]} == {"US", "EU", "SA", "AUS"}
    assert_read_by_others(Layout(tmp_path / "spark"), found["spark"][2])
    if few_lines == 0:
        assert written_by_spark(Layout(tmp_path / "spark"))


def assert_read_by_others(layout: Layout, expected: Contents) -> None:
    """Polars and DuckDB find in each table what delta-rs finds."""
    for form in FORMS:
        path = str(form.folder(layout))
        assert sorted_rows(pl.read_delta(path).to_arrow(), form) == expected[form.name], form.name
        if files := DeltaTable(path).file_uris():
            options = "hive_partitioning = true, hive_types = {'day': DATE}" if form.partition_by else ""
            with duckdb.connect() as connection:
                found = connection.sql(f"FROM read_parquet(?, {options})", params=[files]).to_arrow_table()
            assert sorted_rows(found, form) == expected[form.name], form.name


def written_by_spark(layout: Layout) -> bool:
    """Whether each table has a commit of Spark that says which batch is its last."""
    logs = [*layout.silver.glob("*/_delta_log"), *layout.gold.glob("*/_delta_log")]
    texts = ["".join(path.read_text() for path in log.glob("*.json")) for log in logs]
    return len(texts) == 10 and all("Apache-Spark" in text and '"appId":"fleetgen-' in text for text in texts)


def test_the_engine_can_be_changed_on_one_folder_both_ways(
    layout: Layout, session: Session, undisturbed: Contents
) -> None:
    # given a dataset that one engine after the other carries on, with the upkeep of tables between
    steps: tuple[tuple[int | None, Callable[[], Engine]], ...] = (
        (5, lambda: engine(layout)),
        (9, lambda: spark_engine(layout, session, few_lines=0)),
        (14, lambda: engine(layout)),
        (None, lambda: spark_engine(layout, session)),
    )
    for upto, opened in steps:
        carrier = opened()
        carry(carrier, layout, upto)
        carrier.close()
    # then there is no trace of it in the tables
    assert contents(layout) == undisturbed


def test_spark_reads_what_the_embedded_engine_writes_joins_and_deletes(
    layout: Layout, session: Session, undisturbed: Contents
) -> None:
    follow(layout, engine(layout, keep_seconds=1), most=2)
    for form in FORMS:
        frame = session.spark.read.format("delta").load(str(form.folder(layout)))
        assert sorted_rows(frame.toArrow(), form) == undisturbed[form.name], form.name


def test_a_table_that_lags_behind_gets_what_it_lacks(layout: Layout, session: Session, undisturbed: Contents) -> None:
    # given tables of which one has nothing, as somebody removed it
    carry(engine(layout), layout, 10)
    for name in ("staged/quarantine", "processed/deliveries_by_company_and_day"):
        shutil.rmtree(layout.data / name)
    carry(spark_engine(layout, session), layout)
    assert contents(layout) == undisturbed


def test_duckdb_begins_anew_on_the_driver_now_and_then_and_the_tables_are_the_same(
    layout: Layout, session: Session, undisturbed: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = databases_begun(monkeypatch, 7)
    follow(layout, spark_engine(layout, session), most=BATCHES // 10)
    assert 3 <= len(begun) <= 4
    assert contents(layout) == undisturbed


def test_upkeep_joins_what_spark_wrote(
    layout: Layout, session: Session, undisturbed: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "DUE_COMMITS", 20)
    carrier = spark_engine(layout, session, keep_seconds=1)
    for number in range(upkeep.DUE_COMMITS // 2 + 3):
        carry(carrier, layout, number + 1)
    assert carrier.maintain()
    carry(carrier, layout)
    assert contents(layout) == undisturbed


@pytest.mark.parametrize("few_lines", [20_000, 0], ids=["the driver writes", "Spark writes"])
def test_a_damaged_batch_is_named_and_nothing_of_its_pass_is_written(
    layout: Layout, session: Session, few_lines: int
) -> None:
    entries = batches(layout, Stream.EVENTS)
    (layout.batch(Stream.EVENTS, entries[3].batch_id) / "events.jsonl").write_bytes(b"{}\n")
    carrier = spark_engine(layout, session, few_lines)
    with pytest.raises(DamagedBatch, match=rf"{entries[3].batch_id}.*verify --all --repair") as told:
        carrier.carry(Stream.EVENTS, entries)
    with pytest.raises(DamagedBatch) as expected:
        engine(layout).carry(Stream.EVENTS, entries)
    assert (str(told.value), told.value.batch_number) == (str(expected.value), expected.value.batch_number)
    assert not any(contents(layout).values())


def test_a_stop_that_is_asked_for_ends_the_work(layout: Layout, session: Session) -> None:
    def stop() -> None:
        raise Interrupted

    carrier = spark_engine(layout, session)
    usual, session.beat = session.beat, stop
    try:
        with pytest.raises(Interrupted):
            carrier.carry(Stream.EVENTS, batches(layout, Stream.EVENTS))
    finally:
        session.beat = usual
    assert session.is_up
    assert carrier.next_batch(Stream.EVENTS) == 0


def test_a_driver_killed_between_two_tables_leaves_no_jvm_and_nothing_to_do_twice(
    layout: Layout, session: Session, undisturbed: Contents, tmp_path: Path
) -> None:
    # given a process that is killed after the second table that its Spark writes
    process = carrying(layout, tmp_path, "--dies-after", "2")
    try:
        family = wait_for(lambda: started_by(process.pid), 60, "The JVM")
        assert process.wait(600) == -signal.SIGKILL
    finally:
        process.kill()
    # then its JVM ends with it
    wait_for(lambda: not any(is_alive(pid) for pid in family), 10, "The end of the JVM")
    # and another driver ends with the tables of an undisturbed run
    carry(spark_engine(layout, session), layout)
    assert contents(layout) == undisturbed

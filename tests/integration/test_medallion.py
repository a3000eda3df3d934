"""Bronze to silver to gold on real files: exactly once, nothing lost, flat, readable meanwhile."""

import csv
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from click.testing import CliRunner, Result
from deltalake import DeltaTable

from fleetgen.cli import tables as commands
from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError, SystemLacks, UsageError
from fleetgen.medallion.embedded import upkeep
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.medallion.embedded.reading import FORMS, NoTables, table_facts
from fleetgen.medallion.embedded.tables import DamagedTable
from fleetgen.medallion.embedded.upkeep import DUE_COMMITS
from fleetgen.medallion.lines import DamagedBatch
from fleetgen.storage.layout import Layout
from support.delta_tables import batches, contents, databases_begun, dirty, engine, follow
from support.simulation import records

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
LAW_SECONDS = 6000 if SOAK else 300
FLAT_BATCHES = 2000 if SOAK else 72
KILLS = int(os.environ.get("FLEETGEN_KILLS", "100" if SOAK else "20"))
CARRYING = Path(__file__).parents[1] / "support" / "carrying.py"


@pytest.fixture(scope="module")
def bronze(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A dirty dataset of 30 batches of each stream, to be copied."""
    with dirty(tmp_path_factory.mktemp("bronze"), 300) as simulation:
        return simulation.dataset.layout


@pytest.fixture
def layout(bronze: Layout, tmp_path: Path) -> Layout:
    shutil.copytree(bronze.data, tmp_path / "data")
    return Layout(tmp_path / "data")


@pytest.fixture(scope="module")
def undisturbed(bronze: Layout, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    folder = tmp_path_factory.mktemp("undisturbed") / "data"
    shutil.copytree(bronze.data, folder)
    follow(Layout(folder), engine(Layout(folder)), most=1000)
    return contents(Layout(folder))


def rows(layout: Layout, name: str) -> list[dict[str, Any]]:
    """Return a table's rows."""
    form = next(form for form in FORMS if form.name == name)
    found: list[dict[str, Any]] = DeltaTable(str(form.folder(layout))).to_pyarrow_table().to_pylist()
    return found


@pytest.mark.soak
def test_kills_at_any_moment_end_in_the_tables_of_an_undisturbed_run(
    layout: Layout, undisturbed: dict[str, list[tuple[Any, ...]]]
) -> None:
    # when one process after the other is killed, at a step or at a moment
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, str(CARRYING), str(layout.data), str(KILLS)], env=environment, check=False)
    assert killed.returncode == 0
    # then nothing is missing and nothing is there twice
    assert contents(layout) == undisturbed


def test_one_by_one_and_in_bulk_give_the_same_tables(
    layout: Layout, undisturbed: dict[str, list[tuple[Any, ...]]]
) -> None:
    follow(layout, engine(layout), first=Stream.EVENTS)
    assert contents(layout) == undisturbed


def test_gold_says_what_bronze_and_truth_say(layout: Layout) -> None:
    # given what follows from the lines that have no issue
    follow(layout, engine(layout), most=1000)
    clean = {stream: [record for record, rejected in with_truth(layout, stream) if not rejected] for stream in Stream}
    companies, events = clean[Stream.COMPANIES], clean[Stream.EVENTS]
    known = {each["company_id"] for each in companies}
    # then gold says the same
    assert sums(rows(layout, "events_by_company_and_type"), "company_id", "event_type", value="events") == Counter(
        (each["company_id"], each["event_type"]) for each in events
    )
    assert sums(rows(layout, "deliveries_by_company_and_day"), "day", "company_id", value="deliveries") == Counter(
        (each["timestamp"][:10], each["company_id"]) for each in events if each["event_type"] == "delivered"
    )
    assert sums(rows(layout, "fleet_by_geography"), "geography", value="companies") == Counter(
        (each["geography"],) for each in companies
    )
    assert sums(rows(layout, "unknown_company_events"), "company_id", value="events") == Counter(
        (each["company_id"],) for each in events if each["company_id"] not in known
    )
    assert len(rows(layout, "active_drivers_and_trucks")) == len(batches(layout, Stream.EVENTS))


def with_truth(layout: Layout, stream: Stream) -> list[tuple[dict[str, Any], bool]]:
    """Return each published record and whether it has an issue."""
    marked = []
    for entry in batches(layout, stream):
        truth = layout.truth(stream, entry.batch_id) / "issues.jsonl"
        lines = {json.loads(issue)["line"] for issue in truth.read_text().splitlines()}
        marked += [line + 1 in lines for line in range(entry.record_count)]
    return list(zip(records(layout.data, stream), marked, strict=True))


def sums(found: list[dict[str, Any]], *keys: str, value: str) -> Counter[tuple[str, ...]]:
    total: Counter[tuple[str, ...]] = Counter()
    for row in found:
        total[tuple(str(row[key]) for key in keys)] += row[value]
    return total


@pytest.mark.soak
def test_silver_and_quarantine_and_duplicates_are_the_lines_of_bronze(tmp_path: Path) -> None:
    with dirty(tmp_path, LAW_SECONDS, driver_interval='"PT5S"') as simulation:
        layout = simulation.dataset.layout
    follow(layout, engine(layout), most=300)
    law = {(row["stream"], row["batch_number"]): row for row in rows(layout, "batches")}
    kept = Counter((row["stream"], row["batch_number"]) for row in rows(layout, "quarantine"))
    for stream in Stream:
        silver = Counter(row["batch_number"] for row in rows(layout, stream.value))
        for entry in batches(layout, stream):
            row = law.pop((stream.value, entry.batch_number))
            assert row["lines"] == entry.record_count == row["accepted"] + row["quarantined"] + row["duplicates"]
            assert row["accepted"] == silver[entry.batch_number] == entry.valid_count
            assert row["quarantined"] + row["duplicates"] == kept[stream.value, entry.batch_number]
    assert not law


def test_a_company_that_arrives_late_takes_its_events_out_of_the_unknown(layout: Layout) -> None:
    # given events whose companies nobody has told of
    carrier = engine(layout)
    carrier.carry(Stream.EVENTS, batches(layout, Stream.EVENTS))
    unknown = sum(row["events"] for row in rows(layout, "unknown_company_events"))
    assert unknown == len(rows(layout, "events"))
    # when the companies come, one batch in an engine that knew the events and the others after a restart
    first, *others = batches(layout, Stream.COMPANIES)
    carrier.carry(Stream.COMPANIES, [first])
    assert 0 < sum(row["events"] for row in rows(layout, "unknown_company_events")) < unknown
    engine(layout).carry(Stream.COMPANIES, others)
    # then only those are left that came with an issue
    known = {row["company_id"] for row in rows(layout, "companies")}
    left = {row["company_id"] for row in rows(layout, "unknown_company_events")}
    assert left == {row["company_id"] for row in rows(layout, "events")} - known


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: shutil.rmtree(folder),
        lambda folder: (folder / "events.jsonl").unlink(),
        lambda folder: os.truncate(folder / "events.jsonl", 100),
        lambda folder: (folder / "events.jsonl").open("a").write("{}\n"),
        lambda folder: (folder / "events.jsonl").write_bytes(
            (folder / "events.jsonl").read_bytes().replace(b"d", b"e")
        ),
    ],
    ids=["folder gone", "file gone", "torn", "line added", "bytes changed"],
)
def test_a_damaged_batch_is_named_and_carried_once_it_is_repaired(layout: Layout, damage: Any) -> None:
    # given a batch that somebody damaged
    carrier = engine(layout)
    entries = batches(layout, Stream.EVENTS)
    folder = layout.batch(Stream.EVENTS, entries[3].batch_id)
    shutil.copytree(folder, layout.data / "kept")
    damage(folder)
    # then it is named, and nothing of it is in the tables
    carrier.carry(Stream.EVENTS, entries[:3])
    with pytest.raises(DamagedBatch, match=rf"{entries[3].batch_id}.*verify --all --repair") as told:
        carrier.carry(Stream.EVENTS, entries[3:6])
    assert told.value.batch_number == 3
    assert carrier.next_batch(Stream.EVENTS) == 3
    # and once it is repaired the pipeline goes on
    shutil.rmtree(folder, ignore_errors=True)
    shutil.move(layout.data / "kept", folder)
    carrier.carry(Stream.EVENTS, entries[3:6])
    assert carrier.next_batch(Stream.EVENTS) == 6


def test_tables_of_another_dataset_are_made_anew(layout: Layout) -> None:
    engine(layout).carry(Stream.EVENTS, batches(layout, Stream.EVENTS)[:3])
    other = EmbeddedEngine(layout, "another", lambda: None)
    assert other.next_batch(Stream.EVENTS) == 0
    assert table_facts(layout)[0].rows == 0


def test_a_single_table_that_was_removed_is_filled_again(
    layout: Layout, undisturbed: dict[str, list[tuple[Any, ...]]]
) -> None:
    # given tables of which some have a third of the batches, and others, removed by hand, none
    carrier = engine(layout)
    for stream in Stream:
        carrier.carry(stream, batches(layout, stream)[:10])
    for name in ("processed/deliveries_by_company_and_day", "staged/quarantine", "processed/unknown_company_events"):
        shutil.rmtree(layout.data / name)
    # when all go on together
    follow(layout, engine(layout), most=1000)
    assert contents(layout) == undisturbed


def test_a_table_that_cannot_be_read_is_named(layout: Layout) -> None:
    engine(layout)
    (layout.data / "processed" / "batches" / "_delta_log" / "00000000000000000000.json").write_text("{")
    with pytest.raises(DamagedTable, match="processed/batches"):
        engine(layout)


def test_a_folder_that_delta_cannot_handle_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemLacks, match=r"rename the folder, or set pipeline.enabled to false"):
        engine(Layout(tmp_path / "[data]"))
    engine(Layout(tmp_path / "dätä of 1 'fleet'"))


def test_batches_out_of_order_are_refused(layout: Layout) -> None:
    entries = batches(layout, Stream.EVENTS)
    carrier = engine(layout)
    with pytest.raises(FleetgenError, match="go on at batch 0"):
        carrier.carry(Stream.EVENTS, entries[1:3])
    carrier.carry(Stream.EVENTS, entries[:3])
    assert carrier.carry(Stream.EVENTS, entries[:3]).batches == 0


@pytest.mark.soak
def test_time_and_files_stay_flat_over_many_batches(tmp_path: Path) -> None:
    # given many small batches
    with dirty(tmp_path, FLAT_BATCHES * 10, max_active_companies="50", company_interval='"PT10M"') as simulation:
        layout = simulation.dataset.layout
    carrier, seconds, files = engine(layout, keep_seconds=2), [], []
    carrier.carry(Stream.COMPANIES, batches(layout, Stream.COMPANIES))
    # when they are carried one by one
    for entry in batches(layout, Stream.EVENTS):
        started = time.process_time()
        carrier.carry(Stream.EVENTS, [entry])
        carrier.maintain()
        seconds.append(time.process_time() - started)
        files.append(sum(facts.files for facts in table_facts(layout)) if len(seconds) % 10 == 0 else 0)
    # then neither the time nor the files of the tables grow with them
    third = len(seconds) // 3
    assert statistics.median(seconds[-third:]) < 2 * statistics.median(seconds[:third])
    assert max(files) < len(FORMS) * (DUE_COMMITS + 15)
    # and neither do logs and files that nobody needs any more
    time.sleep(2.2)
    carrier.carry(Stream.EVENTS, [])
    logs = [len(list((form.folder(layout) / "_delta_log").iterdir())) for form in FORMS]
    assert max(logs) < min(FLAT_BATCHES + 30, 1000)


def test_duckdb_begins_anew_now_and_then_and_the_tables_are_the_same(
    layout: Layout, undisturbed: dict[str, list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = databases_begun(monkeypatch, 7)
    follow(layout, engine(layout))
    assert 4 <= len(begun) <= 1 + 60 // 7
    assert contents(layout) == undisturbed


@pytest.fixture
def soon_due(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a table be due after fewer commits than there are batches; return how many."""
    monkeypatch.setattr(upkeep, "DUE_COMMITS", 20)
    return upkeep.DUE_COMMITS


@pytest.mark.usefixtures("soon_due")
def test_readers_see_whole_batches_while_tables_are_written_and_compacted(layout: Layout) -> None:
    # given readers with DuckDB and with Polars
    carrier, over, faults, reads = engine(layout, keep_seconds=30), threading.Event(), [], Counter[str]()
    expected = {entry.batch_number: entry.valid_count for entry in batches(layout, Stream.EVENTS)}

    def read(name: str) -> None:
        path = str(layout.data / "staged" / "events")
        while not over.is_set():
            if name == "polars":
                found = Counter(pl.read_delta(path)["batch_number"].to_list())
            else:
                files = DeltaTable(path).file_uris()
                query = "SELECT batch_number, count(*) FROM read_parquet(?) GROUP BY 1"
                found = Counter(dict(duckdb.connect().execute(query, [files]).fetchall() if files else []))
            reads[name] += 1
            last = max(found, default=-1)
            if found != {number: count for number, count in expected.items() if number <= last and count}:
                faults.append((name, found))

    threads = [threading.Thread(target=read, args=(name,)) for name in ("polars", "duckdb")]
    for thread in threads:
        thread.start()
    # when the tables are written and compacted
    try:
        for entry in batches(layout, Stream.EVENTS):
            carrier.carry(Stream.EVENTS, [entry])
            carrier.maintain()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    # then each read found whole batches, in order
    assert not faults
    assert min(reads.values()) > 3
    assert len(DeltaTable(str(layout.data / "staged" / "events")).file_uris()) < len(expected)


def test_a_reader_that_began_before_a_compaction_can_finish(layout: Layout, soon_due: int) -> None:
    # given a table of many files, and readers that have just learnt which
    carrier, entries = engine(layout), batches(layout, Stream.EVENTS)
    for entry in entries[:soon_due]:
        carrier.carry(Stream.EVENTS, [entry])
    path = str(layout.data / "staged" / "events")
    before, lazily = DeltaTable(path), pl.scan_delta(path)
    # when all tables are compacted and vacuumed
    while carrier.maintain():
        pass
    assert len(DeltaTable(path).file_uris()) == 1 < len(before.file_uris())
    # then they find every row
    expected = sum(entry.valid_count for entry in entries[:soon_due])
    found = duckdb.connect().execute("SELECT count(*) FROM read_parquet(?)", [before.file_uris()]).fetchone()
    assert found == (expected,)
    assert lazily.collect().height == expected


def ask(layout: Layout, *arguments: str) -> Result:
    return CliRunner().invoke(commands.query, [*arguments, "--config", str(layout.data.parent / "generator.toml")])


@pytest.fixture
def configured(layout: Layout, bronze: Layout) -> Layout:
    shutil.copyfile(bronze.data.parent / "generator.toml", layout.data.parent / "generator.toml")
    return layout


def test_query_asks_every_layer_by_name(configured: Layout) -> None:
    follow(configured, engine(configured), most=1000)
    lines = sum(entry.record_count for entry in batches(configured, Stream.EVENTS))
    union = (
        "SELECT (SELECT count(*) FROM bronze.events) AS b, (SELECT sum(lines) FROM batches WHERE stream='events') AS g"
    )
    assert ask(configured, union).output == f"b,g\n{lines},{lines}\n"
    # and bronze's lines are those of quarantine
    same = "SELECT count(*) FROM quarantine q JOIN bronze.events b USING (batch_id, line, raw) WHERE stream = 'events'"
    quarantined = sum(row["stream"] == "events" for row in rows(configured, "quarantine"))
    assert ask(configured, same).output.split() == ["count_star()", str(quarantined)]


def test_query_prints_json_csv_and_a_table(configured: Layout) -> None:
    follow(configured, engine(configured), most=1000)
    sql = "SELECT stream, batch_number, raw FROM silver.quarantine ORDER BY ALL LIMIT 3"
    as_json = [json.loads(line) for line in ask(configured, sql, "--format", "json").output.splitlines()]
    as_csv = list(csv.DictReader(io.StringIO(ask(configured, sql, "--format", "csv").output)))
    assert [{key: str(value) for key, value in row.items()} for row in as_json] == as_csv
    assert len(as_csv) == 3
    assert "batch_number" in ask(configured, sql, "--format", "table").output


def test_query_prints_null_for_numbers_that_json_has_not(configured: Layout) -> None:
    sql = "SELECT 'nan'::DOUBLE a, ['-inf'::DOUBLE, 1.5] b, {'x': 'inf'::FLOAT} c, 'NaN, :Infinity' d"
    line = ask(configured, sql, "--format", "json").output
    found = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found == {"a": None, "b": [None, 1.5], "c": {"x": None}, "d": "NaN, :Infinity"}


def test_a_byte_that_is_no_text_spoils_no_other_line_of_its_file(configured: Layout) -> None:
    file = sorted(configured.stream(Stream.COMPANIES).glob("*/companies.jsonl"))[0]
    kept = file.read_bytes()
    file.write_bytes(b'\xff{"a":"it\'s \\"}\n\n' + '{"b":"\u00e9 \\" \'"}'.encode() + b"\n")
    try:
        sql = f"SELECT line, raw, json FROM bronze.companies WHERE batch_id = '{file.parent.name}' ORDER BY line"
        found = [json.loads(line) for line in ask(configured, sql, "--format", "json").output.splitlines()]
    finally:
        file.write_bytes(kept)
    assert [each["raw"] for each in found] == ['\\xFF{"a":"it\'s \\"}', "", '{"b":"\u00e9 \\" \'"}']
    assert [each["json"] for each in found] == [None, None, {"b": "\u00e9 \" '"}]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", "\nLINE 1: SELEC 1\n        ^"),
        ("FROM nowhere", "`fleetgen tables` lists what there is."),
        ("SELECT 1; SELECT 2", ""),
        ("COPY batches TO 'x.csv'", ""),
        ("DROP VIEW batches", ""),
        ("", ""),
    ],
)
def test_query_says_what_it_does_not_take_and_where(configured: Layout, sql: str, words: str) -> None:
    follow(configured, engine(configured), most=1000)
    fault = ask(configured, sql).exception
    assert isinstance(fault, UsageError)
    assert words in str(fault) if words else "\n" not in str(fault)


def test_before_there_are_tables_query_and_tables_say_so(configured: Layout) -> None:
    assert isinstance(ask(configured, "FROM batches").exception, NoTables)
    config = ["--config", str(configured.data.parent / "generator.toml")]
    assert isinstance(CliRunner().invoke(commands.tables, config).exception, NoTables)
    # bronze is there all the same, and is empty before the first batch
    assert ask(configured, "SELECT count(*) AS n FROM bronze.companies").output != "n\n0\n"
    shutil.rmtree(configured.raw)
    assert ask(configured, "SELECT count(*) AS n FROM bronze.companies").output == "n\n0\n"


def test_tables_lists_rows_and_sizes(configured: Layout) -> None:
    follow(configured, engine(configured), most=1000)
    config = ["--config", str(configured.data.parent / "generator.toml")]
    facts = {each["name"]: each for each in json.loads(CliRunner().invoke(commands.tables, ["--json", *config]).output)}
    assert set(facts) == {form.name for form in FORMS}
    assert facts["quarantine"]["rows"] == len(rows(configured, "quarantine"))
    assert facts["quarantine"]["bytes"] > 0
    assert "quarantine" in CliRunner().invoke(commands.tables, config).output


def test_without_the_extra_the_commands_name_it(configured: Layout) -> None:
    program = "import sys; sys.modules['deltalake'] = None; from fleetgen.cli.tables import tables; tables(standalone_mode=False)"
    config = ["--config", str(configured.data.parent / "generator.toml")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(
        [sys.executable, "-c", program, *config], capture_output=True, text=True, env=environment, check=False
    )
    assert told.stderr.splitlines()[-1].endswith("deltalake is not installed: pip install 'fleetgen[pipeline]'")
    assert "SystemLacks" in told.stderr

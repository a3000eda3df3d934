"""What a pipeline has written is read in every form, and each fault of it is one message with file, fault and fix."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from deltalake import write_deltalake

from fleetgen.domain.records import Stream
from fleetgen.errors import DifferenceFound, ManifestError, UsageError
from fleetgen.scoring import Choice, Score, score
from fleetgen.testing import DirtyBatches
from support.configs import SHIPPED, fleetgen, set_folder
from support.dirty_data import Row, by_id, by_line, dirty_dataset, piped

Write = Callable[[Path, list[Row]], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DirtyBatches:
    return dirty_dataset(tmp_path_factory.mktemp("made"), 12)


@pytest.fixture(scope="module")
def rows(made: DirtyBatches) -> list[Row]:
    """What a correct pipeline rejects, with columns that nobody asked for."""
    places = by_line(piped(made).rejected)
    return [{"why": 'a, "b"', **place, "score": number / 3} for number, place in enumerate(places)]


def jsonl(folder: Path, rows: list[Row]) -> Path:
    file = folder / "q.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def csv_file(folder: Path, rows: list[Row]) -> Path:
    file = folder / "q.csv"
    with file.open("w", newline="", encoding="utf-8-sig") as opened:
        writer = csv.DictWriter(opened, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return file


def parquet(folder: Path, rows: list[Row]) -> Path:
    file = folder / "q.parquet"
    pa.parquet.write_table(pa.Table.from_pylist(rows), file)
    return file


def delta(folder: Path, rows: list[Row]) -> Path:
    write_deltalake(str(folder / "q"), pa.Table.from_pylist(rows), partition_by=["stream"])
    return folder / "q"


def parquet_parts(folder: Path, rows: list[Row]) -> Path:
    """Parts by stream, as Spark writes them, the stream only in the folder's name."""
    parts = pa.dataset.partitioning(pa.schema([("stream", pa.string())]), flavor="hive")
    pa.dataset.write_dataset(pa.Table.from_pylist(rows), folder / "q", format="parquet", partitioning=parts)
    (folder / "q" / "_SUCCESS").touch()
    return folder / "q"


def json_parts(folder: Path, rows: list[Row]) -> Path:
    """Parts as Spark writes them, one of them empty."""
    (folder / "q").mkdir()
    for number, part in enumerate((rows[:5], [], rows[5:])):
        (folder / "q" / f"part-{number:05d}.json").write_text("".join(json.dumps(row) + "\n" for row in part))
    (folder / "q" / "_SUCCESS").touch()
    (folder / "q" / ".part-00000.json.crc").write_bytes(b"\xff")
    return folder / "q"


@pytest.mark.parametrize("write", [jsonl, csv_file, parquet, delta, parquet_parts, json_parts])
def test_every_form_is_read_and_other_columns_are_ignored(
    made: DirtyBatches, rows: list[Row], tmp_path: Path, write: Write
) -> None:
    found = made.score([write(tmp_path, rows)])
    assert (found.recall, found.precision) == (1.0, 1.0)
    assert found.overall.hits.total() == len(rows)


@pytest.mark.parametrize("write", [jsonl, parquet, csv_file])
def test_records_themselves_are_known_by_their_ids(made: DirtyBatches, tmp_path: Path, write: Write) -> None:
    names = ("event_id", "company_id", "driver_id", "geography")
    whole = [{name: row.get(name) for name in names} for row in by_id(piped(made).rejected)]
    found = made.score([write(tmp_path, whole)])
    assert (found.recall, found.precision) == (1.0, 1.0)
    assert found.rows_without_id == sum(row["event_id" if row["driver_id"] else "company_id"] is None for row in whole)


def test_several_files_are_one_quarantine(made: DirtyBatches, rows: list[Row], tmp_path: Path) -> None:
    found = made.score([jsonl(tmp_path, rows[::2]), csv_file(tmp_path, rows[1::2])])
    assert (found.recall, found.precision) == (1.0, 1.0)


def test_a_line_that_is_named_twice_is_rejected_once(made: DirtyBatches, rows: list[Row]) -> None:
    assert made.score(rows + rows).facts() == made.score(rows).facts()


def test_a_whole_number_may_be_a_float(made: DirtyBatches, rows: list[Row]) -> None:
    assert made.score([{**row, "line": float(row["line"])} for row in rows]).recall == 1.0


def test_rows_without_a_stream_are_of_the_one_that_is_scored(made: DirtyBatches, rows: list[Row]) -> None:
    events = [{name: row[name] for name in ("batch_id", "line")} for row in rows if row["stream"] == "events"]
    found = score(made.data, events, choice=Choice((Stream.EVENTS,)))
    assert (found.recall, found.precision) == (1.0, 1.0)


def test_a_false_alarm_counts_for_the_type_that_the_pipeline_told(made: DirtyBatches) -> None:
    clean = by_line(piped(made).accepted)
    told = [
        {**place, column: name}
        for place, (column, name) in zip(
            clean, [("issue_type", "invalid_enum"), ("rule", "outside_interval")], strict=False
        )
    ]
    found = made.score([*by_line(piped(made).rejected), *told])
    assert [each.issue_type for each in found.false_alarms] == ["invalid_enum", "boundary_violation"]
    assert found.overall.facts_of("invalid_enum")["precision"] < 1
    assert found.overall.facts_of("null_value")["precision"] == 1


def refused(made: DirtyBatches, *sources: Path | Row, choice: Choice | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        score(made.data, sources, choice=choice)
    return str(caught.value)


PLACE = {"stream": "events", "batch_id": "20260105T120000Z", "line": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.jsonl", b"", "q.jsonl is empty, so nothing tells that the pipeline has run. If it rejected nothing, write"),
        ("q.csv", b"", "q.csv is empty"),
        ("q.jsonl", b"\n{\n", "Line 2 of {file} holds no JSON: "),
        ("q.jsonl", b"[1]\n", "Line 1 of {file} is no JSON object: write one a line."),
        (
            "q.jsonl",
            b'{"foo":1,"bar":2}\n',
            "{file} has no column by which a record is known: it needs stream, batch_id",
        ),
        ("q.csv", b"bar,foo\n", "It has: bar, foo."),
        (
            "q.csv",
            b"stream,batch_id,line\nevents,20260105T120000Z\n",
            "Line 2 of {file} has 2 cells, but its header has 3",
        ),
        ("q.csv", b'stream,batch_id,line\nevents,"2026"x,1\n', "Line 2 of {file} is no CSV: "),
        (
            "q.csv",
            b"stream,batch_id,line\nevnts,20260105T120000Z,1\n",
            "{file}, line 2, has the unknown stream 'evnts': write",
        ),
        (
            "q.csv",
            b"stream,batch_id,line\nevents,20260105T120000Z,x\n",
            "line 2, has 'x' as its line: write a whole number",
        ),
        ("q.csv", b"stream,batch_id,line\nevents,20260105T120000Z,0\n", "line 2, has line 0: lines count from 1"),
        ("q.csv", b"batch_id,line\n20260105T120000Z,1\n", "line 2, has no stream: add a column `stream`"),
        (
            "q.csv",
            b"stream,batch_id,line\nevents,20250105T120000Z,1\n",
            "names batch '20250105T120000Z' of events, which this",
        ),
        (
            "q.csv",
            b"stream,batch_id,line\nevents,20260105T120000Z,999\n",
            "names line 999 of events 20260105T120000Z, which has",
        ),
        ("q.csv", b"event_id\n\xff\n", "{file} is no UTF-8 text: write it as UTF-8."),
        ("q.parquet", b"PAR1 but not really", "{file} is no readable Parquet: "),
        ("q.txt", b"x", "{file} is of an unknown kind: its name must end in .jsonl, .csv or .parquet."),
    ],
)
def test_a_faulty_file_is_one_message(
    made: DirtyBatches, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    told = refused(made, tmp_path / name)
    assert message.format(file=tmp_path / name) in told
    assert str(tmp_path / name) in told
    assert "\n" not in told


def test_what_is_not_there_is_one_message(made: DirtyBatches, rows: list[Row], tmp_path: Path) -> None:
    assert refused(made, tmp_path / "q.jsonl") == (
        f"There is no {tmp_path}/q.jsonl: name the file or folder that the pipeline writes."
    )
    assert f"{tmp_path} holds neither a Delta table nor any part" in refused(made, tmp_path)
    delta(tmp_path, rows)
    assert refused(made, tmp_path) == f"{tmp_path} has a Delta table in it: name its folder, {tmp_path}/q."
    next((tmp_path / "q" / "_delta_log").glob("*.json")).write_text("{")
    assert f"{tmp_path}/q is no readable Delta table: " in refused(made, tmp_path / "q")


def test_a_row_handed_over_is_named_by_its_number(made: DirtyBatches) -> None:
    assert refused(made, PLACE, {**PLACE, "line": -1}).startswith("what was handed over, row 2, has line -1")


def test_a_stream_that_is_missing_from_what_was_accepted_is_told(made: DirtyBatches) -> None:
    events = [place for place in by_line(piped(made).accepted) if place["stream"] == "events"]
    with pytest.raises(UsageError, match=r"No record of companies is among the accepted: .* --stream events"):
        made.score(accepted=events)
    assert score(made.data, accepted=events, choice=Choice((Stream.EVENTS,))).recall == 1.0


def test_quarantine_and_accepted_exclude_each_other(made: DirtyBatches) -> None:
    with pytest.raises(UsageError, match="one follows from the other"):
        made.score([], [])


def test_a_time_without_batches_is_refused(made: DirtyBatches) -> None:
    assert refused(made, choice=Choice(until=0)).startswith("There is no batch to score: ")


def test_without_a_dataset_there_is_nothing_to_score(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="There is no dataset in"):
        score(tmp_path, [])


def test_least_recall_and_precision_are_one_clear_sentence_each(made: DirtyBatches, rows: list[Row]) -> None:
    made.score(rows).require(1.0, 1.0)
    found = made.score([*rows[1:], *by_line(piped(made).accepted)[:2]])
    with pytest.raises(DifferenceFound) as caught:
        found.require(recall=0.999)
    assert str(caught.value) == (
        f"Recall is {1 - 1 / len(rows):.4f}, less than 0.999: 1 of {len(rows)} records with an issue were accepted."
    )
    with pytest.raises(DifferenceFound) as caught:
        found.require(precision=1)
    alarms, rejected = len(found.false_alarms), len(rows) - 1 + len(found.false_alarms)
    assert alarms in (1, 2)
    assert f"less than 1: {alarms} of {rejected} rejected records have no issue." in str(caught.value)


def test_where_nothing_was_injected_no_recall_is_enough(tmp_path: Path) -> None:
    clean = dirty_dataset(tmp_path, 3, enabled="false")
    found = clean.score([])
    found.require(precision=1.0)
    with pytest.raises(DifferenceFound, match="Nothing was injected that could be found"):
        found.require(recall=0.0)


@pytest.fixture
def folder(made: DirtyBatches, tmp_path: Path) -> Path:
    """A folder whose configuration names the dataset."""
    text = SHIPPED.read_text().replace('data = "../data"', f'data = "{made.data}"')
    set_folder(tmp_path, text)
    return tmp_path


def test_the_command_prints_json_and_ends_with_1_below_the_least(folder: Path, rows: list[Row]) -> None:
    jsonl(folder, rows[2:])
    done = fleetgen("score", "--quarantine", "q.jsonl", "--json", "--list", "1", "--min-recall", "1", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fleetgen: Recall is ")
    facts = json.loads(done.stdout)
    assert (facts["misses"], len(facts["missed"]), facts["precision"]) == (2, 1, 1.0)
    assert facts["missed"][0] | {name: rows[0][name] for name in PLACE} == facts["missed"][0]
    assert set(facts["streams"]) == {"companies", "events"}


def test_the_command_lists_some_misses_and_counts_the_rest(folder: Path, rows: list[Row]) -> None:
    csv_file(folder, rows[:3])
    done = fleetgen("score", "--quarantine", "q.csv", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert sum(line.startswith(("  companies ", "  events ")) for line in lines) == 10
    assert f"  … and {len(rows) - 3 - 10} more: --list N shows N of them, --json more" in lines
    assert "Nothing of events was rejected" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--quarantine", "none.jsonl"), 2, "fleetgen: There is no none.jsonl: "),
        (("--from", "yesterday"), 2, "fleetgen: --from 'yesterday' is no time with a zone"),
        ((), 66, "fleetgen: There is no quarantine of this dataset in "),
    ],
)
def test_faults_of_the_command_are_one_line_and_a_status(
    folder: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = fleetgen("score", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


CORE_ONLY = """
import sys
for name in ("duckdb", "deltalake", "pyarrow"):
    sys.modules[name] = None
from fleetgen.errors import SystemLacks
from fleetgen.scoring import score
from fleetgen.testing import dirty_batches
data, lines, columns = sys.argv[1:]
print(score(data, [lines]).recall, dirty_batches(columns + ".d", 2).score([]).recall)
for quarantine in (None, [columns]):
    try:
        score(data, quarantine)
    except SystemLacks as fault:
        print(fault)
"""


@pytest.mark.parametrize("write", [jsonl, csv_file])
def test_core_packages_read_lines_and_say_what_columns_need(
    made: DirtyBatches, rows: list[Row], tmp_path: Path, write: Write
) -> None:
    command = [
        sys.executable,
        "-c",
        CORE_ONLY,
        str(made.data),
        str(write(tmp_path, rows)),
        str(parquet(tmp_path, rows)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "1.0 0.0",
        "duckdb is not installed: pip install 'fleetgen[pipeline]'",
        f"To read {tmp_path}/q.parquet, pyarrow is needed: pip install 'fleetgen[pipeline]'",
    ]


def test_the_score_is_a_value_that_json_can_hold(made: DirtyBatches, rows: list[Row]) -> None:
    found: Score = made.score(rows)
    assert json.loads(json.dumps(found.facts())) == found.facts()

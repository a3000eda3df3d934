"""What a person does by hand with dirty data: make some, see what was injected, get the clean twin."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetgen.domain.records import ISSUE_TYPES, Stream
from support.sets import FLEETGEN
from support.simulation import simulated

streams = pytest.mark.parametrize("stream", list(Stream))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten minutes of the demo."""
    folder = tmp_path_factory.mktemp("made")
    with simulated(folder, preset="quality-demo") as simulation:
        simulation.run_for(600)
    return folder


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return shutil.copytree(made, tmp_path / "copy")


def call(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*FLEETGEN, *map(str, arguments), "--config", str(folder / "generator.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def set_keys(folder: Path, **values: str) -> None:
    """Replace the first lines of these keys in the configuration."""
    file = folder / "generator.toml"
    lines = file.read_text().splitlines()
    for key, value in values.items():
        place = next(place for place, line in enumerate(lines) if line.split("=")[0].strip() == key)
        lines[place] = f"{key} = {value}"
    file.write_text("\n".join(lines) + "\n")


def dirtiest(folder: Path, stream: Stream, kind: str | None = None) -> str:
    """Return the batch with the most issues, or with the most of one type."""

    def issues(path: Path) -> int:
        counts: dict[str, int] = json.loads(path.read_text())["issue_counts"]
        return counts.get(kind, 0) if kind else sum(counts.values())

    return max((folder / "data" / "raw" / stream).glob("*/batch_meta.json"), key=issues).parent.name


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# generate


@streams
def test_generate_makes_a_dirty_batch_with_its_truth_beside_it(made: Path, tmp_path: Path, stream: Stream) -> None:
    output = tmp_path / f"{stream}.jsonl"

    asked = call(made, "generate", stream, "--count", "2000", "--output", output)

    beside = tmp_path / f"{stream}.issues.jsonl"
    records, issues = lines_of(output), lines_of(beside)
    assert asked.returncode == 0
    assert asked.stdout == f"{output}: 2,000 {stream}, {len(issues):,} of them with an issue: see {beside}\n"
    assert len(records) == 2000
    assert 200 < len(issues) < 400
    assert {issue["issue_type"] for issue in issues} == set(ISSUE_TYPES)
    for issue in issues:
        if issue["issue_type"] == "null_value":
            assert records[issue["line"] - 1][issue["field"]] is None


@streams
def test_generate_repeats_its_truth_and_keeps_the_records_beneath(
    dataset: Path, tmp_path: Path, stream: Stream
) -> None:
    def generated(name: str) -> tuple[bytes, bytes]:
        output = tmp_path / f"{name}.jsonl"
        options = ("--count", "300", "--interval", "P1D", "--seed", "5", "--output", output)
        assert call(dataset, "generate", stream, *options).returncode == 0
        beside = tmp_path / f"{name}.issues.jsonl"
        return output.read_bytes(), beside.read_bytes() if beside.exists() else b""

    one, two = generated("one"), generated("two")
    set_keys(dataset, enabled="false")
    clean, no_truth = generated("clean")

    assert one == two
    assert no_truth == b""
    pairs = zip(one[0].splitlines(), clean.splitlines(), strict=True)
    differing = [number for number, (dirty_line, line) in enumerate(pairs, 1) if dirty_line != line]
    assert differing == [json.loads(line)["line"] for line in one[1].splitlines()]


@streams
def test_generate_onto_standard_output_prints_lines_alone(made: Path, stream: Stream) -> None:
    asked = call(made, "generate", stream, "--count", "50")

    assert asked.returncode == 0
    assert len([json.loads(line) for line in asked.stdout.splitlines()]) == 50


def test_a_clean_batch_in_the_place_of_a_dirty_one_leaves_no_truth_of_that_one(dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.jsonl"
    for enabled in ("true", "false"):
        set_keys(dataset, enabled=enabled)
        assert call(dataset, "generate", "companies", "--count", "50", "--output", output).returncode == 0

    assert list(tmp_path.glob("mine*")) == [output]


def test_generate_writes_no_truth_beside_a_device(made: Path, tmp_path: Path) -> None:
    """A device cannot have a truth beside it: that would be a file among the devices."""
    link = tmp_path / "device"
    link.symlink_to("/dev/null")

    asked = call(made, "generate", "events", "--count", "50", "--output", link)

    assert asked.returncode == 0
    assert list(tmp_path.iterdir()) == [link]


@pytest.mark.parametrize("rate", ["0.15", "1"])
def test_events_by_hand_come_from_the_true_companies_of_a_dirty_file(dataset: Path, tmp_path: Path, rate: str) -> None:
    # given companies made by hand, many without a company_id, as null, or twice, and their truth beside them
    set_keys(dataset, company_error_rate=rate, event_error_rate="0")
    file, twin = tmp_path / "mine.jsonl", tmp_path / "clean.jsonl"
    options = ("--count", "200", "--interval", "P1D", "--seed", "5", "--output")
    assert call(dataset, "generate", "companies", *options, file).returncode == 0
    set_keys(dataset, company_error_rate="0")
    assert call(dataset, "generate", "companies", *options, twin).returncode == 0

    # when events are made of them
    asked = call(dataset, "generate", "events", "--companies", file, "--count", "5000")

    # then they name the companies as they were before issues were injected
    assert asked.returncode == 0, asked.stderr
    found = {json.loads(line)["company_id"] for line in asked.stdout.splitlines()}
    assert found == {company["company_id"] for company in lines_of(twin)}


# replay


@streams
def test_replay_prints_the_published_lines_and_with_clean_those_before(made: Path, stream: Stream) -> None:
    name = dirtiest(made, stream)
    issues = lines_of(made / "data" / "truth" / stream / name / "issues.jsonl")

    published, clean = (call(made, "replay", stream, name, *options).stdout for options in ((), ("--clean",)))

    assert published == (made / "data" / "raw" / stream / name / f"{stream}.jsonl").read_text()
    pairs = zip(published.splitlines(), clean.splitlines(), strict=True)
    assert [number for number, (one, other) in enumerate(pairs, 1) if one != other] == [
        issue["line"] for issue in issues
    ]
    for issue in issues:
        record = json.loads(clean.splitlines()[issue["line"] - 1])
        assert (record if issue["field"] is None else record[issue["field"]]) == issue["original"]


# inspect


@streams
def test_inspect_shows_the_counts_the_first_lines_and_the_issues(made: Path, stream: Stream) -> None:
    name = dirtiest(made, stream)
    folder = made / "data" / "raw" / stream / name
    meta = json.loads((folder / "batch_meta.json").read_text())

    shown = call(made, "inspect", stream, name, "--lines", "4")

    counts = f"{meta['record_count']} ({meta['valid_count']} valid, {meta['corrupted_count']} corrupted)"
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"{stream} {name}\n")
    assert counts in shown.stdout
    assert f"sha256           {meta['sha256']}\n" in shown.stdout
    assert all(f"{kind} " in shown.stdout for kind in meta["issue_counts"])
    lines = (folder / f"{stream}.jsonl").read_text().splitlines()
    assert [line for line in shown.stdout.splitlines() if line in lines] == lines[:4]


@pytest.mark.parametrize("kind", ISSUE_TYPES)
@streams
def test_inspect_shows_every_value_of_an_issue_in_full(made: Path, stream: Stream, kind: str) -> None:
    # given a batch with an issue of this type
    name = dirtiest(made, stream, kind)
    issues = lines_of(made / "data" / "truth" / stream / name / "issues.jsonl")

    # when it is shown in a pipe
    shown = call(made, "inspect", stream, name, "--lines", "100").stdout

    # then each value can be read, however the table breaks its lines
    table = shown[shown.index("\n line  issue") :]
    assert "…" not in table
    unbroken = "".join(table.split())
    values = [value for issue in issues if issue["field"] for value in (issue["original"], issue["injected"])]
    assert all(all(piece in unbroken for piece in json.dumps(value).split(" ")) for value in values if short(value))
    assert table.count(kind) == sum(issue["issue_type"] == kind for issue in issues) > 0


def short(value: object) -> bool:
    """Whether a value fits into a column of the table."""
    return len(json.dumps(value)) <= 16


@streams
def test_inspect_in_a_script_has_the_meta_the_lines_and_every_issue(made: Path, stream: Stream) -> None:
    name = dirtiest(made, stream)
    folder = made / "data" / "raw" / stream / name

    asked = call(made, "inspect", stream, name, "--json", "--lines", "1")

    assert asked.returncode == 0
    assert json.loads(asked.stdout) == {
        "meta": json.loads((folder / "batch_meta.json").read_text()),
        "lines": (folder / f"{stream}.jsonl").read_text().splitlines()[:1],
        "issues": lines_of(made / "data" / "truth" / stream / name / "issues.jsonl"),
    }


def test_inspect_of_a_clean_batch_shows_no_issues(dataset: Path) -> None:
    set_keys(dataset, enabled="false")
    with simulated(dataset / "clean", preset="emulated") as simulation:
        simulation.run_for(20)
    name = dirtiest(dataset / "clean", Stream.EVENTS)

    asked = call(dataset / "clean", "inspect", "events", name, "--json")

    assert json.loads(asked.stdout)["issues"] == []


def test_inspect_of_an_unknown_batch_says_how_batches_are_named(made: Path) -> None:
    asked = call(made, "inspect", "events", "yesterday")

    assert asked.returncode == 2
    assert "'yesterday'" in asked.stderr
    assert "20260131T120000Z" in asked.stderr


SPOILT: dict[str, Callable[[Path, Path], object]] = {
    "no folder": lambda batch, truth: shutil.rmtree(batch),
    "no meta": lambda batch, truth: (batch / "batch_meta.json").unlink(),
    "a damaged meta": lambda batch, truth: (batch / "batch_meta.json").write_text("{\n"),
    "a torn truth": lambda batch, truth: (truth / "issues.jsonl").write_text('{"li'),
    "no text": lambda batch, truth: (batch / "events.jsonl").write_bytes(b"\xff\n"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_inspect_of_a_spoilt_batch_says_how_to_get_it_back(dataset: Path, spoilt: str) -> None:
    name = dirtiest(dataset, Stream.EVENTS)
    SPOILT[spoilt](dataset / "data" / "raw" / "events" / name, dataset / "data" / "truth" / "events" / name)

    asked = call(dataset, "inspect", "events", name)

    assert asked.returncode in (1, 2)
    assert f"events {name}" in asked.stderr
    assert "fleetgen verify --all --repair" in asked.stderr
    assert "Traceback" not in asked.stderr


# verify


@streams
def test_verify_names_what_is_wrong_with_a_truth_and_repairs_it(dataset: Path, stream: Stream) -> None:
    # given one truth with another byte and one that is gone
    truth = dataset / "data" / "truth" / stream
    flipped, gone = sorted(path for path in truth.iterdir() if (path / "issues.jsonl").stat().st_size)[3:5]
    (flipped / "issues.jsonl").write_bytes((flipped / "issues.jsonl").read_bytes().replace(b'"', b"'", 1))
    (gone / "issues.jsonl").unlink()
    told = [
        f"{stream} {flipped.name}: has changed bytes in its truth, issues.jsonl",
        f"{stream} {gone.name}: lacks its truth, issues.jsonl",
    ]

    checked = call(dataset, "verify", "--all")
    repaired = call(dataset, "verify", "--all", "--repair")
    again = call(dataset, "verify", "--all")

    assert (checked.returncode, checked.stdout.splitlines()) == (1, told)
    assert (repaired.returncode, repaired.stdout.splitlines()) == (0, [f"{line}; repaired" for line in told])
    assert (again.returncode, "no difference" in again.stdout) == (0, True)


def test_clean_removes_the_truth(dataset: Path) -> None:
    cleaned = call(dataset, "clean", "--yes")

    assert cleaned.returncode == 0, cleaned.stderr
    assert not (dataset / "data" / "truth").exists()
    assert not (dataset / "data" / "raw").exists()

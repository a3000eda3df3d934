"""What a person does by hand with a dataset: verify, replay, generate, schema."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from support.sets import FLEETGEN
from support.simulation import simulated


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of three minutes in two segments."""
    folder = tmp_path_factory.mktemp("made")
    with simulated(folder) as simulation:
        simulation.run_for(90)
        simulation.edit(seed="43")
        simulation.start()
        simulation.run_for(90)
    return folder


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it that a test may spoil."""
    yield shutil.copytree(made, tmp_path / "copy")


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [*FLEETGEN, *arguments, "--config", str(folder / "generator.toml")]
    return subprocess.run(command, capture_output=True, timeout=60)


def batches(folder: Path, stream: Stream) -> list[Path]:
    return sorted((folder / "data" / "raw" / stream).iterdir())


def test_verify_finds_no_difference_in_what_was_made(dataset: Path) -> None:
    checked = call(dataset, "verify", "--all")
    assert checked.returncode == 0
    assert b"no difference" in checked.stdout
    assert json.loads(call(dataset, "verify", "--all", "--json").stdout) == {"batches": 38, "differences": []}


@pytest.mark.parametrize("stream", list(Stream))
def test_verify_names_the_batch_with_a_flipped_byte(dataset: Path, stream: Stream) -> None:
    folder = batches(dataset, stream)[3]
    file = folder / f"{stream}.jsonl"
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    checked = call(dataset, "verify", "--all")
    assert checked.returncode == 1
    assert f"{stream} {folder.name}: has changed bytes in {stream}.jsonl" in checked.stdout.decode()
    assert checked.stdout.count(b"\n") == 1


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: shutil.rmtree(folder), "is missing"),
        (lambda folder: (folder / "events.jsonl").unlink(), "lacks events.jsonl"),
        (lambda folder: (folder / "events-00000.jsonl").write_text("x"), "should not have: events-00000.jsonl"),
        (
            lambda folder: (folder / "batch_meta.json").write_text(
                (folder / "batch_meta.json").read_text().replace('"record_count": 1', '"record_count": 2')
            ),
            "changed batch_meta.json: record_count",
        ),
    ],
)
def test_verify_names_what_else_is_wrong_with_a_batch(dataset: Path, spoil: object, told: str) -> None:
    folder = next(path for path in batches(dataset, Stream.EVENTS) if _count(path) >= 10)
    assert callable(spoil)
    spoil(folder)
    checked = call(dataset, "verify", "--all")
    assert checked.returncode == 1
    assert folder.name in checked.stdout.decode()
    assert told in checked.stdout.decode()


def _count(folder: Path) -> int:
    return int(json.loads((folder / "batch_meta.json").read_text())["record_count"])


def test_verify_tells_a_ledger_whose_hash_does_not_follow_from_the_segment(dataset: Path) -> None:
    ledger = dataset / "data" / "manifests" / "ledger" / "events.jsonl"
    first, *rest = ledger.read_text().splitlines()
    entry = json.loads(first)
    entry["sha256"] = "0" * 64
    ledger.write_text("\n".join([json.dumps(entry), *rest]) + "\n")
    checked = call(dataset, "verify", "--all")
    assert checked.returncode == 1
    assert "does not follow from its segment" in checked.stdout.decode()


@pytest.mark.parametrize("stream", list(Stream))
def test_replay_prints_every_batch_byte_for_byte(dataset: Path, stream: Stream) -> None:
    folders = batches(dataset, stream)
    for folder in (folders[0], folders[7], folders[-1]):
        assert call(dataset, "replay", stream, folder.name).stdout == (folder / f"{stream}.jsonl").read_bytes()


def test_replay_of_an_unknown_batch_says_how_batches_are_named(dataset: Path) -> None:
    asked = call(dataset, "replay", "events", "yesterday")
    assert asked.returncode == 2
    assert b"'yesterday'" in asked.stderr
    assert b"20260131T120000Z" in asked.stderr


def test_verify_of_no_dataset_says_how_to_start_one(tmp_path: Path) -> None:
    subprocess.run([*FLEETGEN, "init", str(tmp_path)], check=True, capture_output=True)
    checked = call(tmp_path / "etc", "verify")
    assert checked.returncode == 66
    assert b"fleetgen up" in checked.stderr
    assert b"Traceback" not in checked.stderr


def test_generate_by_hand_leaves_the_dataset_untouched(dataset: Path, tmp_path: Path) -> None:
    def state() -> dict[str, str]:
        files = [path for path in sorted((dataset / "data").rglob("*")) if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = state()
    output = tmp_path / "events.jsonl"
    asked = call(dataset, "generate", "events", "--count", "1000", "--output", str(output))
    assert asked.returncode == 0
    assert state() == before
    made = [json.loads(line) for line in output.read_text().splitlines()]
    known = {json.loads(line)["company_id"] for line in (dataset / "data" / "raw" / "companies.jsonl").open()}
    assert len(made) == 1000
    assert {event["company_id"] for event in made} <= known


def test_generate_takes_its_companies_from_a_file(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    assert call(dataset, "generate", "companies", "--count", "3", "--output", str(file)).returncode == 0
    ids = [json.loads(line)["company_id"] for line in file.read_text().splitlines()]
    events = call(dataset, "generate", "events", "--companies", str(file), "--count", "200").stdout.splitlines()
    assert {json.loads(line)["company_id"] for line in events} == set(ids)


def test_generate_repeats_itself_for_one_seed_and_interval(dataset: Path) -> None:
    one, two, other = (
        call(dataset, "generate", "companies", "--interval", "P1D", "--seed", seed).stdout for seed in ("1", "1", "2")
    )
    assert one == two
    assert one != other
    assert len(one.splitlines()) == 10


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["events", "--interval", "10s"], "PT1S"),
        (["events", "--count", "-1"], "--count"),
        (["events", "--companies", "/nowhere"], "/nowhere"),
        (["companies", "--companies", "/nowhere"], "generate events"),
        (["trucks"], "companies"),
    ],
)
def test_generate_refuses_what_it_cannot_do(dataset: Path, arguments: list[str], told: str) -> None:
    asked = call(dataset, "generate", *arguments)
    assert asked.returncode == 2
    assert told in asked.stderr.decode()
    assert b"Traceback" not in asked.stderr


def test_generate_names_the_line_that_is_no_company(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"company_id": "00000000-0000-4000-8000-000000000000"}\n{"company_id": 7}\n')
    asked = call(dataset, "generate", "events", "--companies", str(file))
    assert asked.returncode == 2
    assert b"Line 2" in asked.stderr


def test_output_that_cannot_be_written_is_named(dataset: Path) -> None:
    asked = call(dataset, "generate", "events", "--output", "/nowhere/at/all.jsonl")
    assert asked.returncode == 73
    assert b"/nowhere/at/all.jsonl" in asked.stderr


@pytest.mark.parametrize("form", ["jsonschema", "spark"])
def test_schemas_are_json_and_name_every_field(dataset: Path, form: str) -> None:
    schema = json.loads(call(dataset, "schema", "events", "--as", form).stdout)
    assert "truck_id" in json.dumps(schema)


def test_a_full_disk_is_named_with_its_status(dataset: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*FLEETGEN, "generate", "events", "--count", "5000", "--config", str(dataset / "generator.toml")]
        asked = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert asked.returncode == 73
    assert b"No space left" in asked.stderr
    assert b"Traceback" not in asked.stderr

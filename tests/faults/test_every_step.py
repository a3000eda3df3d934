"""kill -9 before each step on the disk, in turn: whoever goes on makes what an undisturbed life makes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from fleetgen.domain.records import Stream
from fleetgen.generation.checking import check
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.recording import CLOCK_KEYS
from fleetgen.storage.layout import Layout
from support.dying_maker import LIVES, in_child, live

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
STRIDE = 1 if SOAK else 8
PROGRAM = Path(__file__).parents[1] / "support" / "dying_maker.py"
MEMORY = Path("/dev/shm")

DATASET_ID = re.compile(rb'[0-9a-f]{32}(?=["\s])')


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where the system has that: nothing here depends on a disk's durability."""
    with TemporaryDirectory(prefix="fg-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.mark.soak
@pytest.mark.parametrize("life", LIVES)
def test_a_death_before_any_step_on_the_disk_changes_nothing_in_the_end(life: str, folder: Path) -> None:
    undisturbed = folder / "undisturbed"
    undisturbed.mkdir()
    assert not in_child(lambda: live(undisturbed, life))
    expected = contents(undisturbed / "data")

    command = [sys.executable, str(PROGRAM), str(folder), life, "1", str(STRIDE)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600, check=False)

    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["failed"] == [], done.stderr
    assert outcome["deaths"] > 100 / STRIDE
    wrong = {number: found for number in deaths(folder) if (found := faults(folder / str(number), expected))}
    assert wrong == {}


def deaths(folder: Path) -> list[int]:
    return sorted(int(each.name) for each in folder.iterdir() if each.name.isdigit())


def faults(life: Path, expected: dict[str, Any]) -> list[str]:
    """Return what is otherwise than in the undisturbed life, and what is wrong in itself."""
    data = life / "data"
    found = contents(data)
    other = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
    left: list[str] = json.loads((life / "left.json").read_text())
    return other + left + [str(each) for each in check(Dataset(Layout(data)), None)]


def contents(data: Path) -> dict[str, Any]:
    """Return every file below the data folder; of the manifest and the metas, what does not depend on the clock."""
    names = {str(path.relative_to(data)): path for path in data.rglob("*") if path.is_file() or not any(path.iterdir())}
    return {name: content(path) for name, path in names.items() if not name.endswith(".lock")}


def content(path: Path) -> Any:
    if path.is_dir():
        return "an empty folder"
    if path.name == "generator_state.json":
        return standing(json.loads(path.read_bytes()))
    if path.name == "batch_meta.json":
        meta = json.loads(path.read_bytes())
        return {key: value for key, value in meta.items() if key not in CLOCK_KEYS}
    if path.parent.name == "ledger" and path.suffix == ".jsonl":
        return [entry(json.loads(line)) for line in path.read_bytes().splitlines()]
    if path.suffix in (".md", ".toml"):
        return DATASET_ID.sub(b"", path.read_bytes())
    return path.read_bytes()


def entry(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of a ledger; how many companies a gap found depends on which stream came first after an outage."""
    return {key: value for key, value in line.items() if line["kind"] == "batch" or key != "company_count"}


def standing(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest says, but for the dataset's random id and what only whoever published a batch knows."""
    for stream in Stream:
        del manifest["heads"][stream]["totals"]["backfilled"]
    return {key: manifest[key] for key in ("origin", "segments", "heads", "desired", "cleaning")}

"""The worked examples in docs/examples: each is weak in one way, and the score finds just that weakness."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fleetgen.config.presets import preset_text
from fleetgen.domain.records import Stream
from fleetgen.scoring import Choice, Score, score
from fleetgen.testing import DirtyBatches, dirty_batches
from support.configs import REPOSITORY, fleetgen, set_folder
from support.dirty_data import carry, dirty_dataset

EXAMPLES = REPOSITORY / "docs" / "examples"
LONGEST_LINES = 60
EVENTS = Choice((Stream.EVENTS,))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DirtyBatches:
    return dirty_dataset(tmp_path_factory.mktemp("made"), 40, duplicate="0.20", boundary_violation="0.20")


def run(name: str, made: DirtyBatches, quarantine: Path) -> None:
    """Run an example as its first lines say."""
    command = [sys.executable, str(EXAMPLES / name), str(made.data), str(quarantine)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr


def missed_kinds(found: Score) -> set[str | None]:
    return {each.issue_type for each in found.misses}


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_small_enough_to_copy(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= LONGEST_LINES


def test_plain_python_does_not_look_at_the_interval(made: DirtyBatches, tmp_path: Path) -> None:
    run("plain_python.py", made, tmp_path / "q.jsonl")
    found = made.score(tmp_path / "q.jsonl")
    assert missed_kinds(found) == {"boundary_violation"}
    assert found.recall_of("boundary_violation") == 0.0
    assert found.precision == 1.0


def test_sql_looks_at_each_line_by_itself(made: DirtyBatches, tmp_path: Path) -> None:
    run("duckdb_sql.py", made, tmp_path / "q.parquet")
    found = score(made.data, tmp_path / "q.parquet", choice=EVENTS)
    assert missed_kinds(found) == {"duplicate"}
    assert found.precision == 1.0


@pytest.mark.skipif(find_spec("pyspark") is None, reason="pyspark is not installed: pip install pyspark")
@pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java: PySpark needs Java 17")
def test_spark_lets_null_pass_a_list_of_choices(made: DirtyBatches, tmp_path: Path) -> None:
    run("pyspark_frames.py", made, tmp_path / "q")
    found = score(made.data, tmp_path / "q", choice=EVENTS)
    assert missed_kinds(found) == {"missing_field", "null_value"}
    assert {each.field for each in found.misses} == {"event_type"}
    assert found.overall.not_judged.total() == found.rows_without_id > 0
    assert found.precision == 1.0


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the how-to: sixty batches from 2026 on, carried by the own pipeline."""
    folder = tmp_path_factory.mktemp("documented")
    carry(dirty_batches(folder, 60))
    set_folder(folder, preset_text("quality-demo"))
    return folder


@pytest.mark.parametrize(
    ("example", "quarantine", "options"),
    [
        (None, None, ()),
        ("plain_python.py", "quarantine.jsonl", ("--list", "3")),
        ("duckdb_sql.py", "quarantine.parquet", ("--stream", "events")),
    ],
)
def test_the_how_to_shows_what_the_command_prints(
    documented: Path, example: str | None, quarantine: str | None, options: tuple[str, ...]
) -> None:
    how_to = (REPOSITORY / "docs" / "howto" / "score-a-pipeline.md").read_text()
    arguments: tuple[str, ...] = ()
    if example is not None and quarantine is not None:
        run(example, DirtyBatches(documented / "data"), documented / quarantine)
        arguments = ("--quarantine", quarantine, *options)
    done = fleetgen("score", *arguments, cwd=documented)
    assert (done.returncode, done.stderr) == (0, "")
    printed = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    assert f"{' '.join(('$ bin/fleetgen score', *arguments))}\n{printed}\n```" in how_to

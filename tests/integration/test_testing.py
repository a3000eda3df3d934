"""`fleetgen.testing`: a folder with dirty batches for other people's test suites, quickly and always the same."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import parse
from fleetgen.config.presets import preset_text
from fleetgen.domain.records import Stream, instant
from fleetgen.errors import UsageError
from fleetgen.generation.backfilling import Backfill, Span
from fleetgen.generation.checking import check
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.recording import CLOCK_KEYS
from fleetgen.scoring import score
from fleetgen.storage.layout import Layout
from fleetgen.testing import dirty_batches
from support.configs import REPOSITORY, tree

SECONDS = 1.0
"""A hundred batches of each stream take less, or on a machine that is slow ..."""

COPIES = 10
"""... less than this many copies of them by plain Python."""


def comparable(data: Path) -> dict[str, object]:
    """Return all files of a dataset that follow from its settings, without the id that tells it from others."""
    kept: dict[str, object] = {}
    for name, content in tree(data).items():
        if name.endswith((".lock", "dataset.md")) or "/segments/" in name or not isinstance(content, bytes):
            continue
        facts = json.loads(content) if name.endswith(".json") else content
        unlike = ("dataset_id", "last_published_at", "last_updated", *CLOCK_KEYS)
        if isinstance(facts, dict):
            for part in (facts, *facts.get("heads", {}).values()):
                for key in unlike:
                    part.pop(key, None)
        kept[name] = facts
    return kept


def test_what_is_made_at_once_is_what_a_backfill_makes(tmp_path: Path) -> None:
    made = dirty_batches(tmp_path / "at-once", batches=15)
    config = parse(preset_text("quality-demo"), Path("generator.toml"))
    span = Span(instant("2026-01-01T00:00:00Z"), None, 15)
    with Backfill(Layout(tmp_path / "filled"), config, span, system_now()) as history:
        filled = list(history.fill(history.begin(), 1, lambda: None))
    assert len(filled) == 30
    assert comparable(made.data) == comparable(tmp_path / "filled")
    assert list(check(Dataset(Layout(made.data)), None)) == []


def test_the_same_arguments_make_the_same_batches_and_others_do_not(tmp_path: Path) -> None:
    first, again, other = (
        [line for batch in dirty_batches(tmp_path / name, 5, seed).batches("events") for _, line in batch.lines()]
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again != other


def test_the_batches_are_those_of_the_folder(tmp_path: Path) -> None:
    made = dirty_batches(tmp_path, batches=4)
    for stream in Stream:
        batches = list(made.batches(stream))
        assert [batch.batch_id for batch in batches] == sorted(
            path.name for path in (made.data / "raw" / stream).iterdir()
        )
        assert len(batches) == 4
        for batch in batches:
            lines = b"".join(file.read_bytes() for file in batch.files).decode().splitlines()
            assert list(batch.lines()) == list(enumerate(lines, 1))
            meta = json.loads((batch.files[0].parent / "batch_meta.json").read_text())
            assert batch.interval_start == instant(meta["interval_start"])
            assert batch.interval_end == instant(meta["interval_end"])


@pytest.mark.parametrize(("rate", "injected"), [(0.0, 0.0), (1.0, 1.0), (0.5, 0.5)])
def test_the_rate_is_the_share_of_records_with_an_issue(tmp_path: Path, rate: float, injected: float) -> None:
    facts = dirty_batches(tmp_path, 20, error_rate=rate).score([]).facts()
    assert facts["injected"] / facts["records"] == pytest.approx(injected, abs=0.1)


def test_its_score_is_that_of_the_command(tmp_path: Path) -> None:
    made = dirty_batches(tmp_path, 5)
    truth = [
        {"stream": stream.value, "batch_id": batch.batch_id, "line": json.loads(line)["line"]}
        for stream in Stream
        for batch in made.batches(stream)
        for line in (made.data / "truth" / stream / batch.batch_id / "issues.jsonl").read_text().splitlines()
    ]
    assert made.score(truth).facts() == score(made.data, truth).facts()
    made.score(truth).require(recall=1, precision=1)


def test_a_stream_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="evnts"):
        list(dirty_batches(tmp_path, 1).batches("evnts"))


def test_a_rate_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="error_rate"):
        dirty_batches(tmp_path, 1, error_rate=1.5)


@pytest.mark.quiet
def test_a_hundred_batches_take_less_than_a_second() -> None:
    took, copied = [], []
    for _ in range(3):
        with TemporaryDirectory(prefix="fg-") as folder:
            took.append(seconds_of(dirty_batches, folder, 100))
            copied.append(seconds_of(copy_by_lines, Path(folder, "data"), Path(folder, "copy")))
    assert min(took) < max(SECONDS, COPIES * min(copied)), (took, copied)


def seconds_of(what: Callable[..., object], *arguments: object) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    what(*arguments)
    return time.perf_counter() - began


def copy_by_lines(source: Path, target: Path) -> None:
    """Copy a tree with every line decoded and encoded again: as many files, and about as much for the interpreter."""
    for file in (each for each in source.rglob("*") if each.is_file()):
        lines = []
        for line in file.read_bytes().splitlines():
            try:
                lines.append(json.dumps(json.loads(line)).encode())
            except ValueError:
                lines.append(line)
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b"\n".join(lines))


def test_the_test_in_the_documentation_passes_and_can_fail(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "howto" / "test-in-ci.md").read_text()
    smallest = text.split("```python\n")[1].split("```")[0].replace("batches=100", "batches=10")
    assert pytest_on(tmp_path / "good", smallest) == 0
    assert pytest_on(tmp_path / "bad", smallest.replace("is None", "== 7")) == 1


def pytest_on(folder: Path, text: str) -> int:
    """Return the status of pytest over one file, in a process of its own."""
    folder.mkdir()
    (folder / "test_pipeline.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=60, check=False).returncode

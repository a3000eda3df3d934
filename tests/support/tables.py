"""A running set with a pipeline process as tests see it: its health, its tables, its log, and what is acknowledged."""

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from fleetgen.domain.records import Stream
from fleetgen.errors import NotYet
from fleetgen.medallion.embedded.reading import FORMS
from fleetgen.medallion.embedded.tables import load
from fleetgen.storage.layout import Layout
from fleetgen.storage.locks import FileLock
from support.delta_tables import batches, contents, engine, follow
from support.patience import wait_for
from support.sets import RunningSet

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "catch_up_limit": "1000"}
_MEMORY = Path("/dev/shm")
OUTCOMES = {"accepted": "accepted", "quarantined": "quarantined", "duplicates": "duplicate"}
"""Columns of gold.batches, and what the metrics call them."""


@contextmanager
def dirty_set(control: bool = True, in_memory: bool = False, **settings: str) -> Iterator[RunningSet]:
    """A set with a pipeline process, not yet started, in which three of ten records have an issue.

    Its data may lie in memory, where there is such a file system: a thousand batches take half a minute on a busy disk.
    """
    small = {"companies_per_batch": "3", "events_per_batch": "{ min = 3, max = 10 }"}
    rates = {"event_error_rate": "0.3", "company_error_rate": "0.3"}
    parent = _MEMORY if in_memory and _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None
    with (
        TemporaryDirectory(prefix="fg-", dir=parent, ignore_cleanup_errors=True) as folder,
        RunningSet(control, pipeline=True, **(EVERY_SECOND | small | rates | settings)) as running,
    ):
        running.configure_table("quality", enabled="true")
        if parent is not None:
            running.data.symlink_to(folder)
        yield running


def layout_of(running: RunningSet) -> Layout:
    return Layout(running.data)


def published(running: RunningSet) -> dict[Stream, int]:
    """Return the number of the newest batch of each stream; -1 before there is one."""
    heads = running.manifest()["heads"]
    return {stream: heads[stream]["next_batch"] - 1 for stream in Stream}


def acknowledged(running: RunningSet) -> dict[Stream, int] | None:
    """Return what the pipeline has acknowledged; None while it is not registered."""
    consumer = running.manifest()["consumers"].get("pipeline")
    return consumer and {stream: consumer["acknowledged"].get(stream, -1) for stream in Stream}


def is_caught_up(running: RunningSet) -> bool:
    """Whether the pipeline has acknowledged all that is published, and that is something."""
    newest = published(running)
    return min(newest.values()) >= 0 and acknowledged(running) == newest


def catch_up(running: RunningSet, seconds: float = 20) -> None:
    """Wait until the pipeline has carried everything; fail if it does not in time."""
    wait_for(lambda: is_caught_up(running), seconds, "The end of the backlog")


@contextmanager
def hung_pipeline(running: RunningSet) -> Iterator[int]:
    """Let the pipeline process stand still for a block, from a moment on in which it does not hold the manifest's lock."""
    lock = FileLock(layout_of(running).manifest_lock)
    while True:
        pid = wait_for(lambda: pipeline_pid(running), 10, "The pipeline")
        os.kill(pid, signal.SIGSTOP)
        try:
            with lock.held(timeout_seconds=1):
                break
        except NotYet:
            os.kill(pid, signal.SIGCONT)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


def pipeline_pid(running: RunningSet) -> int | None:
    """Return the pid of the pipeline process, where there is one."""
    mark = f"fleetgen\0run\0pipeline\0--config\0{running.config}"
    for pid in running.descendants():
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
    return None


def pipeline_log(running: RunningSet, kind: str) -> list[dict[str, Any]]:
    """Return the lines of the pipeline's log that are of a kind; the last line may be under way."""
    path = running.data / "manifests" / "logs" / "pipeline.jsonl"
    content = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if line.get("kind") == kind]


def pipeline_metrics(running: RunningSet) -> str:
    """Return what the pipeline's /metrics says."""
    with urlopen(f"http://127.0.0.1:{running.pipeline_port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def pipeline_samples(running: RunningSet) -> Samples | None:
    """Return the samples of the pipeline's metrics; None while it does not serve any."""
    try:
        families = list(text_string_to_metric_families(pipeline_metrics(running)))
    except OSError:
        return None
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def records_told(samples: Samples) -> dict[tuple[str, str], float]:
    """Return the counters of records, by stream and outcome."""
    name = "fleetgen_pipeline_records_total"
    found = {labels: value for (told, labels), value in samples.items() if told == name}
    return {(dict(labels)["table"], dict(labels)["outcome"]): value for labels, value in found.items()}


def records_in_tables(layout: Layout) -> dict[tuple[str, str], int]:
    """Return the lines in gold.batches, by stream and outcome."""
    found: Counter[tuple[str, str]] = Counter()
    for row in rows_of(layout, "batches"):
        for column, outcome in OUTCOMES.items():
            found[row["stream"], outcome] += row[column]
    return dict(found)


def rows_of(layout: Layout, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    form = next(form for form in FORMS if form.name == name)
    delta = load(form.folder(layout))
    assert delta is not None, name
    rows: list[dict[str, Any]] = delta.to_pyarrow_table().to_pylist()
    return rows


def undisturbed(layout: Layout, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the contents of the tables that one engine makes, without a break, of the same bronze."""
    shutil.copytree(layout.raw, folder / "raw")
    shutil.copytree(layout.manifests, folder / "manifests")
    copy = Layout(folder)
    carrier = engine(copy)
    follow(copy, carrier, most=250)
    carrier.close()
    return contents(copy)


def assert_nothing_disappears(layout: Layout) -> int:
    """Each published batch is in gold, and its lines in bronze are those of silver and quarantine; return their number."""
    told = {(row["stream"], row["batch_number"]): row for row in rows_of(layout, "batches")}
    silver = Counter((stream.value, row["batch_number"]) for stream in Stream for row in rows_of(layout, stream))
    rejected = Counter((row["stream"], row["batch_number"]) for row in rows_of(layout, "quarantine"))
    checked = 0
    for stream in Stream:
        for entry in batches(layout, stream):
            path = layout.batch(stream, entry.batch_id) / f"{stream}.jsonl"
            lines = path.read_bytes().count(b"\n")
            place = (stream.value, entry.batch_number)
            row = told.pop(place)
            assert row["lines"] == lines == silver[place] + rejected[place], place
            assert row["accepted"] == silver[place], place
            assert row["quarantined"] + row["duplicates"] == rejected[place], place
            checked += 1
    assert told == {}
    return checked

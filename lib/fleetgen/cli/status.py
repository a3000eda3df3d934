"""Owns `fleetgen status`: how the set is, its processes, and where each stream stands. Apart, to import little."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from fleetgen.cadence.clock import system_now
from fleetgen.cli.calling import pasteable
from fleetgen.cli.console import wide_console
from fleetgen.cli.output import load_and_fault, with_config
from fleetgen.cli.wellbeing import MEANING, wellbeing
from fleetgen.cli.wording import clock_time, since, span
from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import Stream, instant, iso
from fleetgen.errors import NotRunning
from fleetgen.generation import lifecycle
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.manifest import Manifest
from fleetgen.supervision.client import ProcessState
from fleetgen.supervision.finding import set_of

_COLOURS = {"running": "green", "paused": "yellow", "degraded": "red", "stopped": "red"}
_RUNS = ("RUNNING", "STARTING")


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_config
def status(as_json: bool, config_file: Path) -> None:
    """Show how the set is, its processes and where each stream stands.

    The status is that of /api/health: running, paused or degraded, with every reason and what helps; or stopped, with
    exit status 69. What is on disk is shown all the same.
    """
    loaded, fault = load_and_fault(config_file)
    supervisor = set_of(loaded)
    running = supervisor.is_up()
    facts = _facts(loaded, fault, running, supervisor.processes() if running else [])
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print_facts(facts)
    if not running:
        raise NotRunning


def _facts(loaded: LoadedConfig, fault: str | None, running: bool, processes: list[ProcessState]) -> dict[str, Any]:
    dataset = Dataset(loaded.layout)
    manifest = dataset.read()
    desired = manifest.desired if manifest else None
    paused = bool(desired and desired.paused)
    told = wellbeing(loaded, fault) if running else None
    facts: dict[str, Any] = {
        "status": told.status if told else "stopped",
        "reasons": told.reasons if told else [],
        "running": running,
        "mode": loaded.config.mode,
        "paused": paused,
        "paused_at": iso(desired.paused_at) if desired and paused and desired.paused_at is not None else None,
        "pause_reason": desired.pause_reason if desired and paused else None,
        "data": str(loaded.layout.data),
        "processes": [_process(each) for each in processes],
        "streams": [],
    }
    if manifest is not None and manifest.origin is not None:
        facts["mode"] = dataset.segments(manifest)[-1].settings.mode
        facts["streams"] = [_stream(dataset, manifest, stream) for stream in Stream]
    return facts


def _process(each: ProcessState) -> dict[str, Any]:
    return {
        "name": each.name,
        "state": each.state,
        "pid": each.pid or None,
        "uptime_seconds": each.uptime_seconds,
        "meaning": None if each.state in _RUNS else MEANING.get(each.name),
    }


def _stream(dataset: Dataset, manifest: Manifest, stream: Stream) -> dict[str, Any]:
    head = manifest.head(stream)
    stalled = dataset.stalled_until(manifest, stream, system_now())
    return {
        "stream": stream.value,
        "batches": sum(head.totals.batches.values()),
        "records": head.totals.records,
        "last_batch_id": head.last_batch_id,
        "stalled_until": None if stalled is None else iso(stalled),
        "next_due": iso(dataset.next_interval(manifest, stream).end),
        "backlog": {name: manifest.backlog(name, stream) for name in sorted(manifest.consumers)},
    }


def _print_facts(facts: dict[str, Any]) -> None:
    console, now = wide_console(), system_now()
    console.print(facts["status"], style=f"bold {_COLOURS[facts['status']]}", end="")
    console.print(f", {facts['mode']} mode; data in {facts['data']}", markup=False, soft_wrap=True)
    for reason in facts["reasons"]:
        console.print(f"  {pasteable(reason['detail'])}", markup=False, soft_wrap=True)
    if facts["paused"]:
        at = f" {since(instant(facts['paused_at']), now)}" if facts["paused_at"] else ""
        why = f": {facts['pause_reason']}" if facts["pause_reason"] else ""
        told = pasteable(f"Paused{at}{why}. Nothing is published until `fleetgen resume`.")
        console.print(told, markup=False, soft_wrap=True)
    if facts["processes"]:
        _print_processes(console, facts["processes"])
    if facts["streams"]:
        _print_streams(console, facts["streams"], now)
    else:
        console.print(f"There is no dataset in {facts['data']} yet.", markup=False, soft_wrap=True)
    for each in facts["streams"]:
        if until := each["stalled_until"]:
            console.print(pasteable(f"{each['stream']} wait: {lifecycle.stall(until)}."), style="yellow", markup=False)


def _print_processes(console: Console, processes: list[dict[str, Any]]) -> None:
    table = Table("process", "state", box=None, header_style="dim")
    for name in ("pid", "uptime"):
        table.add_column(name, justify="right")
    table.add_column("")
    for each in processes:
        uptime = span(each["uptime_seconds"]) if each["pid"] else "-"
        table.add_row(each["name"], each["state"], str(each["pid"] or "-"), uptime, each["meaning"] or "")
    console.print(table)


def _print_streams(console: Console, streams: list[dict[str, Any]], now: int) -> None:
    table = Table("stream", box=None, header_style="dim")
    for name in ("batches", "records"):
        table.add_column(name, justify="right")
    for name in ("last batch", "next due"):
        table.add_column(name)
    for name in streams[0]["backlog"]:
        table.add_column(f"{name} behind", justify="right")
    for each in streams:
        counts = (f"{each['batches']:,}", f"{each['records']:,}")
        backlog = (f"{count:,}" for count in each["backlog"].values())
        table.add_row(
            each["stream"], *counts, each["last_batch_id"] or "-", clock_time(each["next_due"], now), *backlog
        )
    console.print(table)

"""Owns `fleetgen status`: the processes and where each stream stands. Apart from `process_set`, to import little."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fleetgen.cadence.clock import system_now
from fleetgen.cli.console import wide_console
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import Stream, iso
from fleetgen.errors import Unreachable
from fleetgen.generation import lifecycle
from fleetgen.generation.dataset import Dataset
from fleetgen.supervision.client import ProcessState
from fleetgen.supervision.finding import set_of


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_config
def status(as_json: bool, config_file: Path) -> None:
    """Show the processes and where each stream stands. Exit status 69 if the set is not running."""
    loaded = load_in_use(config_file)
    supervisor = set_of(loaded)
    running = supervisor.is_up()
    facts = _facts(loaded, running, supervisor.processes() if running else [])
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print_facts(facts)
    if not running:
        raise Unreachable("The set is not running: start it with `fleetgen up`.")


def _facts(loaded: LoadedConfig, running: bool, processes: list[ProcessState]) -> dict[str, Any]:
    dataset = Dataset(loaded.layout)
    manifest = dataset.read()
    facts: dict[str, Any] = {
        "running": running,
        "mode": loaded.config.mode,
        "paused": bool(manifest and manifest.desired.paused),
        "data": str(loaded.layout.data),
        "processes": [
            {"name": each.name, "state": each.state, "pid": each.pid or None, "uptime_seconds": each.uptime_seconds}
            for each in processes
        ],
        "streams": [],
    }
    if manifest is not None and manifest.origin is not None:
        facts["mode"] = dataset.segments(manifest)[-1].settings.mode
        for stream in Stream:
            head = manifest.head(stream)
            stalled = dataset.stalled_until(manifest, stream, system_now())
            facts["streams"].append(
                {
                    "stream": stream.value,
                    "batches": sum(head.totals.batches.values()),
                    "records": head.totals.records,
                    "last_batch_id": head.last_batch_id,
                    "stalled_until": None if stalled is None else iso(stalled),
                    "next_due": iso(dataset.next_interval(manifest, stream).end),
                    "backlog": {name: manifest.backlog(name, stream) for name in sorted(manifest.consumers)},
                }
            )
    return facts


def _print_facts(facts: dict[str, Any]) -> None:
    console = wide_console()
    paused = ", paused" if facts["paused"] else ""
    console.print(f"[bold]{facts['mode']}[/bold] mode{paused}; data in {escape(facts['data'])}", soft_wrap=True)
    if facts["processes"]:
        table = Table("process", "state", "pid", "uptime", box=None, header_style="dim")
        for each in facts["processes"]:
            table.add_row(each["name"], each["state"], str(each["pid"] or "-"), f"{each['uptime_seconds']} s")
        console.print(table)
    if facts["streams"]:
        _print_streams(console, facts["streams"])
    for each in facts["streams"]:
        if until := each["stalled_until"]:
            console.print(f"{each['stream']} wait: {lifecycle.stall(until)}.", style="yellow", markup=False)


def _print_streams(console: Console, streams: list[dict[str, Any]]) -> None:
    behind = [f"{name} behind" for name in streams[0]["backlog"]]
    table = Table("stream", "batches", "records", "last batch", "next due", *behind, box=None, header_style="dim")
    for each in streams:
        counts = (f"{each['batches']:,}", f"{each['records']:,}")
        backlog = (f"{count:,}" for count in each["backlog"].values())
        table.add_row(each["stream"], *counts, each["last_batch_id"] or "-", each["next_due"][11:19], *backlog)
    console.print(table)

"""Owns `fleetgen metrics`: what the set's processes export now, and how many series that is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import click
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from rich.markup import escape
from rich.table import Table

from fleetgen.cli.console import wide_console
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.errors import NotRunning, Unreachable
from fleetgen.supervision.programs import Program, recorded_programs

_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class _Exported:
    """One metric as a process exports it."""

    process: str
    metric: str
    kind: str
    series: int
    text: str


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_config
def metrics(as_json: bool, config_file: Path) -> None:
    """List what the running processes export to Prometheus, and how many series that is."""
    from fleetgen.supervision.finding import set_of  # help needs no supervisord

    loaded = load_in_use(config_file)
    if not set_of(loaded).is_up():
        raise NotRunning
    programs = recorded_programs(loaded)
    found = [exported for program in programs for exported in _exported_by(program)]
    if as_json:
        click.echo(json.dumps(_facts(programs, found), indent=2))
    else:
        _print(programs, found)


def _exported_by(program: Program) -> Iterator[_Exported]:
    for family in text_string_to_metric_families(_scraped(program)):
        yield _Exported(program.name, _shown(family), family.type, len(family.samples), family.documentation)


def _scraped(program: Program) -> str:
    """Return what a process serves; raise Unreachable if it does not answer. No proxy is asked for this machine's own."""
    url = f"{program.url}/metrics"
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=_TIMEOUT_SECONDS) as answer:
            return str(answer.read().decode())
    except (OSError, HTTPException, ValueError) as fault:
        raise Unreachable(
            f"Process {program.name} does not answer at {url}: {fault}. See `fleetgen status`."
        ) from fault


def _shown(family: Metric) -> str:
    """Return a metric's name as queries use it."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def _facts(programs: list[Program], found: list[_Exported]) -> dict[str, Any]:
    listed = {
        program.name: {
            each.metric: {"type": each.kind, "series": each.series, "help": each.text}
            for each in found
            if each.process == program.name
        }
        for program in programs
    }
    return {"series": sum(each.series for each in found), "processes": listed}


def _print(programs: list[Program], found: list[_Exported]) -> None:
    table = Table("process", "metric", "type", box=None, header_style="dim")
    table.add_column("series", justify="right")
    table.add_column("meaning")
    for each in found:
        table.add_row(each.process, each.metric, each.kind, f"{each.series:,}", escape(each.text))
    wide_console().print(table)
    sums = [f"{program.name} {_series_of(program, found):,}" for program in programs]
    click.echo(f"\nSeries: {sum(each.series for each in found):,} ({', '.join(sums)}). Batches do not add any.")


def _series_of(program: Program, found: list[_Exported]) -> int:
    return sum(each.series for each in found if each.process == program.name)

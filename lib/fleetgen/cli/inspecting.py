"""Owns `fleetgen inspect`: one batch, readably: its meta, some of its lines, and what was injected."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleetgen.cli.completing import offer_batches
from fleetgen.cli.console import wide_console
from fleetgen.cli.data import STREAM
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.domain.records import Stream
from fleetgen.generation import checking
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.inspecting import batch_facts

_SHOWN = ("batch_number", "segment", "generation_mode", "interval_start", "interval_end", "seed", "sha256")

_MOST_ISSUES = 50
"""Issues that are shown to people; a script gets all."""


@click.command
@click.argument("stream", type=STREAM)
@click.argument("batch_id", shell_complete=offer_batches)
@click.option("--lines", type=click.IntRange(0), default=5, show_default=True, help="Lines of data to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every issue.")
@with_config
def inspect(stream: str, batch_id: str, lines: int, as_json: bool, config_file: Path) -> None:
    """Show a published batch: its meta, its first lines, and each issue with its original."""
    dataset = Dataset(load_in_use(config_file).layout)
    checking.require_dataset(dataset)
    entry = checking.require_entry(dataset, Stream(stream), batch_id)
    facts = batch_facts(dataset.layout, Stream(stream), entry.batch_id, lines, None if as_json else _MOST_ISSUES)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print_facts(facts)


def _print_facts(facts: dict[str, Any]) -> None:
    console = wide_console()
    meta = facts["meta"]
    console.print(f"{meta['stream']} {meta['batch_id']}", style="bold", markup=False)
    for key in _SHOWN:
        console.print(f"  {key:<16} {meta[key]}", soft_wrap=True, markup=False)
    console.print(
        f"  {'records':<16} {meta['record_count']:,} ({meta['valid_count']:,} valid, {meta['corrupted_count']:,} corrupted)"
    )
    for kind, count in meta["issue_counts"].items():
        console.print(f"    {kind:<22} {count:,}", markup=False)
    for line in facts["lines"]:
        console.print(Text(line), soft_wrap=True)
    if facts["issues"]:
        _print_issues(console, facts["issues"])
    if (more := meta["corrupted_count"] - len(facts["issues"])) > 0:
        console.print(f"  … and {more:,} more issues: --json prints all of them")


def _print_issues(console: Console, issues: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="dim")
    table.add_column("line", justify="right")
    for name in ("issue", "field"):
        table.add_column(name)
    for name in ("original", "injected"):
        table.add_column(name, overflow="fold")  # shown in full, whatever the width
    for issue in issues:
        original, injected = (Text(json.dumps(issue[key])) for key in ("original", "injected"))
        table.add_row(str(issue["line"]), Text(issue["issue_type"]), Text(issue["field"] or "-"), original, injected)
    console.print(table)

"""Owns `fleetgen score`: what a pipeline quarantined, against what was injected."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from fleetgen import scoring
from fleetgen.cli.console import wide_console
from fleetgen.cli.data import STREAM
from fleetgen.cli.interrupting import interruptible
from fleetgen.cli.output import load_in_use, moment, with_config
from fleetgen.cli.progress import progress
from fleetgen.domain.records import Stream
from fleetgen.scoring import MOST_LISTED, Choice, Finding, Score

_MOST_SHOWN = 10
"""Misses, and false alarms, that are shown to people."""

_COUNTS = {
    "injected": "injected",
    "found": "hits",
    "missed": "misses",
    "false alarms": "false_alarms",
    "not judged": "not_judged",
}
_RATIOS = ("recall", "precision")
_SHARE = click.FloatRange(0, 1)


@click.command
@click.option(
    "--quarantine",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="What a pipeline rejected; repeatable.",
)
@click.option(
    "--accepted",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="What it accepted instead; repeatable.",
)
@click.option("--stream", type=STREAM, help="Only this stream; also that of rows which name none.")
@click.option("--from", "start", help="Batches that start at this time or later, such as 2026-01-01T00:00Z.")
@click.option("--until", help="Batches that end by this time.")
@click.option("--batches", type=click.IntRange(1), help="Only so many of the newest batches of each stream.")
@click.option("--min-recall", type=_SHARE, help="Exit with status 1 if the recall is less.")
@click.option("--min-precision", type=_SHARE, help="Exit with status 1 if the precision is less.")
@click.option(
    "--list",
    "most",
    type=click.IntRange(0),
    help=f"List so many misses and false alarms; default: {_MOST_SHOWN}, with --json {MOST_LISTED}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_config
def score(
    quarantine: tuple[Path, ...],
    accepted: tuple[Path, ...],
    stream: str | None,
    start: str | None,
    until: str | None,
    batches: int | None,
    min_recall: float | None,
    min_precision: float | None,
    most: int | None,
    as_json: bool,
    config_file: Path,
) -> None:
    """Score a pipeline: precision and recall of what it quarantined, by issue type, by stream and over all.

    Without options, the set's own pipeline over the batches that it has carried. FILES are JSON Lines, CSV, Parquet, or
    a folder with a Delta table or parts of those kinds; their rows name records by the columns stream, batch_id and
    line, or by record_id, company_id or event_id.
    """
    streams = tuple(Stream) if stream is None else (Stream(stream),)
    choice = Choice(streams, moment("--from", start), moment("--until", until), batches)
    listed = most if most is not None else MOST_LISTED if as_json else _MOST_SHOWN
    data = load_in_use(config_file).layout.data
    nothing_changed = "nothing was changed, and the same command scores from the beginning."
    with interruptible(lambda: nothing_changed), progress("Scoring") as tell:
        found = scoring.score(
            data,
            quarantine or None,
            accepted or None,
            choice,
            listed,
            tell,
        )
    if as_json:
        click.echo(json.dumps(found.facts(), indent=2))
    else:
        _print(found)
    found.require(min_recall, min_precision)


def _print(found: Score) -> None:
    console = wide_console()
    facts = found.facts()
    sums = [("all", facts)] if len(found.tallies) > 1 else []
    _print_table(console, "stream", [*facts["streams"].items(), *sums], ("batches", "records"), ("collateral",))
    _print_table(console, "issue", [(kind, each) for kind, each in facts["issue_types"].items() if _has_any(each)])
    _print_findings(console, "Missed", found.misses, facts["misses"])
    _print_findings(console, "False alarms", found.false_alarms, facts["false_alarms"])
    for note in _notes(facts):
        console.print(note, markup=False)


def _has_any(counts: dict[str, Any]) -> bool:
    return bool(counts["injected"] or counts["false_alarms"])


def _print_table(
    console: Console,
    title: str,
    rows: Sequence[tuple[str, dict[str, Any]]],
    before: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
) -> None:
    names = (*before, *_COUNTS.values(), *after)
    table = Table(title, box=None, header_style="dim")
    for name in (*before, *_COUNTS, *after, *_RATIOS):
        table.add_column(name, justify="right")
    for label, counts in rows:
        shares = ("-" if counts[name] is None else f"{counts[name]:.4f}" for name in _RATIOS)
        table.add_row(label, *(f"{counts[name]:,}" for name in names), *shares)
    console.print(table)


def _print_findings(console: Console, title: str, findings: list[Finding], count: int) -> None:
    if not count:
        return
    console.print(f"{title}:")
    for each in findings:
        what = " ".join(filter(None, (each.issue_type, each.field)))
        console.print(f"  {each.stream} {each.batch_id} line {each.line}  {what}  {each.record_id}", markup=False)
    if count > len(findings):
        console.print(f"  … and {count - len(findings):,} more: --list N shows N of them, --json more")


def _notes(facts: dict[str, Any]) -> list[str]:
    """Return what a reader of the numbers has to know."""
    notes = [
        f"Nothing of {stream} was rejected: --stream leaves a stream out that the pipeline does not carry."
        for stream, each in facts["streams"].items()
        if each["misses"] and not each["hits"] + each["false_alarms"] + each["collateral"]
    ]
    if not facts["injected"]:
        notes.append("Nothing was injected into these batches: see [quality] in the configuration.")
    if facts["not_judged"] or facts["rows_without_id"]:
        notes.append(
            f"{facts['not_judged']:,} records with an issue lack their id, so that by id nobody can judge them; "
            f"{facts['rows_without_id']:,} rows of the pipeline have no id."
        )
    if facts["ids_not_found"]:
        notes.append(f"{facts['ids_not_found']:,} ids are of no record in these batches.")
    return notes

"""Owns `fleetgen doctor`: what was found, a line for each, with its remedy."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from fleetgen.cli.output import with_config
from fleetgen.errors import DifferenceFound
from fleetgen.supervision.examining.finding import Finding, Verdict
from fleetgen.supervision.examining.whole import examine

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAULT: "red"}
_INDENT = " " * 29


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_config
def doctor(as_json: bool, config_file: Path) -> None:
    """Look whether this machine has what the set needs. Exit status 1 if a fault was found.

    Every line says ok, warning or fault, and what to do. It changes nothing, and the set may run meanwhile.
    """
    found: list[Finding] = []
    for finding in examine(config_file):
        found.append(finding)
        if not as_json:
            click.echo(_shown(finding))
    counts = Counter(finding.verdict for finding in found)
    if as_json:
        worst = next((verdict for verdict in reversed(Verdict) if counts[verdict]), Verdict.OK)
        click.echo(json.dumps({"verdict": worst, "checks": [asdict(finding) for finding in found]}, indent=2))
    else:
        click.echo(f"{len(found)} checks: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict))
    if counts[Verdict.FAULT]:
        faulty = ", ".join(finding.check for finding in found if finding.verdict == Verdict.FAULT)
        raise DifferenceFound(f"Faults were found in: {faulty}. Each has its remedy beside it.")


def _shown(finding: Finding) -> str:
    verdict = click.style(f"{finding.verdict:<7}", fg=_COLOURS[finding.verdict])
    says = finding.says.replace("\n", f"\n{_INDENT}")
    remedy = f"\n{_INDENT}→ {finding.remedy}" if finding.remedy else ""
    return f"{verdict}  {finding.check:<18}  {says}{remedy}"

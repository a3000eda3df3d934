"""The runbooks: a page for each alert, with commands that there are and metrics that there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from fleetgen.cli.main import fleetgen

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
RULES = ROOT / "etc/prometheus/rules"
SCRAPING = ROOT / "docs/howto/scrape-with-prometheus.md"

PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_METRIC = re.compile(r"\b(?:\w+:)?fleetgen_\w+(?::\w+)?")
_PARTS_OF_HISTOGRAMS = re.compile(r"_(?:bucket|sum|count)$")


def rules(kind: str) -> list[dict[str, object]]:
    """Return the rules of this kind: `alert` or `record`."""
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"] if kind in rule]


def alerts() -> dict[str, dict[str, object]]:
    return {str(rule["alert"]): rule for rule in rules("alert")}


def named_metrics(text: str) -> set[str]:
    """Return the metrics that a text names in code, histograms by their own name."""
    code = " ".join([*(body for _, body in _BLOCK.findall(text)), *re.findall(r"`([^`\n]+)`", text)])
    return {_PARTS_OF_HISTOGRAMS.sub("", name) for name in _METRIC.findall(code)}


def known_metrics() -> set[str]:
    """Return the metrics that the reference names, and those that are recorded."""
    declared = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE)
    return {*declared, *(str(rule["record"]) for rule in rules("record"))}


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each `fleetgen` command in a text's shell blocks and in its inline code."""
    shell = [
        line for language, body in _BLOCK.findall(text) if language in ("sh", "console") for line in body.splitlines()
    ]
    for line in (*shell, *re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text))):
        for called in re.findall(r"(?:^|[ $(/])fleetgen ([a-z][^|&;]*)", line):
            yield shlex.split(called)


def fault_of(words: list[str]) -> str | None:
    """Return what is wrong with a command, by the command line's own reading of it."""
    context = click.Context(fleetgen, info_name="fleetgen")
    command: click.Command | None = fleetgen
    while isinstance(command, click.Group):
        command = command.get_command(context, words[0]) if words else None
        words = words[1:]
    if command is None:
        return "there is no such command"
    try:
        command.make_context(str(command.name), list(words), parent=context)
    except click.ClickException as fault:
        return fault.format_message()
    return None


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    assert [path.stem for path in PAGES] == sorted(alerts())
    assert PAGES


def test_every_alert_leads_to_its_page() -> None:
    for name, alert in alerts().items():
        annotations = alert["annotations"]
        assert isinstance(annotations, dict)
        assert annotations["runbook_url"] == f"docs/runbooks/{name}.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_bears_its_alert_and_says_all_that_a_person_asks(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Look", "Do", "Over", "False alarm, threshold"]
    for begun in ("**It says**", "**It does not say**", "**The data:**"):
        assert begun in text.replace("\n", " "), begun


def test_the_table_names_every_alert_with_its_severity() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    severities = {name: alert["labels"] for name, alert in alerts().items()}
    assert len(rows) == len(severities)
    for name, target, severity in rows:
        assert target == name
        labels = severities[name]
        assert isinstance(labels, dict)
        assert severity == labels["severity"]


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md", SCRAPING], ids=lambda page: page.stem)
def test_every_command_is_one_that_there_is(page: Path) -> None:
    called = list(commands(page.read_text()))
    assert called
    assert [(words, fault) for words in called if (fault := fault_of(words))] == []


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md", SCRAPING], ids=lambda page: page.stem)
def test_every_metric_is_one_that_there_is(page: Path) -> None:
    assert named_metrics(page.read_text()) - known_metrics() == set()


@pytest.mark.parametrize("kind", ["alert", "record"])
def test_the_rules_ask_for_metrics_that_there_are(kind: str) -> None:
    expressions = [str(rule["expr"]) for rule in rules(kind)]
    asked = {_PARTS_OF_HISTOGRAMS.sub("", name) for text in expressions for name in _METRIC.findall(text)}
    assert asked
    assert asked - known_metrics() == set()


def test_links_lead_to_files_that_are_there() -> None:
    for page in (*PAGES, RUNBOOKS / "README.md", SCRAPING):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

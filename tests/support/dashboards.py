"""Owns the committed dashboards as tests read them: their parts, and every query in a form that Prometheus understands."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "etc" / "grafana" / "dashboards"

_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a dashboard; `part` is a panel's title, or `annotation …` or `variable …`."""

    dashboard: str
    part: str
    expression: str

    def asked(self, interval: str = "1m", span: str = "15m") -> "Query":
        """Return the query with Grafana's variables replaced; everything is chosen."""
        values = {
            "$__rate_interval": interval,
            "$__interval": interval,
            "$__range": span,
            "${datasource}": "fleetgen-prometheus",
            "$process": ".*",
            "$job": "fleetgen.*",
        }
        expression = self.expression
        for name, value in values.items():
            expression = expression.replace(name, value)
        return Query(self.dashboard, self.part, _LABEL_VALUES.sub(r"group by (\2) (\1)", expression))


def dashboards() -> dict[str, dict[str, Any]]:
    """Return each committed dashboard by the name of its file."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show data: all but the headlines."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def raw_queries() -> list[Query]:
    """Return every query as it stands in the files."""
    return [query for dashboard in dashboards().values() for query in _queries_of(dashboard)]


def queries(interval: str = "1m", span: str = "15m") -> list[Query]:
    """Return every query as a plain Prometheus understands it: over all processes of all sets."""
    return [query.asked(interval, span) for query in raw_queries()]


def _queries_of(dashboard: dict[str, Any]) -> Iterator[Query]:
    uid = dashboard["uid"]
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Query(uid, panel["title"], target["expr"])
    for annotation in dashboard["annotations"]["list"]:
        yield Query(uid, f"annotation {annotation['name']}", annotation["expr"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield Query(uid, f"variable {variable['name']}", variable["query"])

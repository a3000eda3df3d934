"""Owns what the dashboards know of the alerts: the number and the severity of each; leaves the rules to etc/prometheus."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

RULES = Path(__file__).resolve().parents[2] / "etc" / "prometheus" / "rules" / "alerts.yml"
COLORS = {"critical": "red", "warning": "orange"}

_COMPARISON = re.compile(r"([<>])\s*(-?[0-9.]+)$")


@dataclass(frozen=True, slots=True)
class Limit:
    """What an alert compares with: it fires above the number, or below it."""

    above: bool
    number: float
    severity: str

    @property
    def color(self) -> str:
        """The color of what is beyond the limit."""
        return COLORS[self.severity]

    @property
    def step(self) -> float:
        """Where the color begins. A color holds from its value on: what is wrong above 0 is counted, so it begins at 1."""
        return 1 if self.above and self.number == 0 else self.number


@cache
def limits() -> dict[str, Limit]:
    """Return the limit of each alert by the alert's name."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: _limit(rule) for group in groups for rule in group["rules"]}


def _limit(rule: dict[str, object]) -> Limit:
    found = _COMPARISON.search(str(rule["expr"]))
    labels = rule["labels"]
    if found is None or not isinstance(labels, dict):
        raise ValueError(f"{rule['alert']} does not end in the number that it compares with.")
    return Limit(found[1] == ">", float(found[2]), labels["severity"])

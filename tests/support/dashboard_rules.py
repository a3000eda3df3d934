"""Owns what every dashboard keeps to: each rule takes a dashboard and returns its faults; leaves damaging one to tests."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from support.dashboards import panels

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "etc" / "prometheus" / "rules" / "alerts.yml"
RECORDING = ROOT / "etc" / "prometheus" / "rules" / "recording.yml"
REFERENCE = ROOT / "docs" / "reference" / "metrics.md"

Dashboard = dict[str, Any]
Rule = Callable[[Dashboard], list[str]]

JOB, PROCESS = 'job=~"$job"', 'process=~"$process"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WINDOWS = {"$__rate_interval", "$__range"}
WORDS = {"and", "or", "unless", "bool"}


def alert_numbers() -> dict[str, tuple[str, float]]:
    """Return of each alert how it compares, and with what: its expression ends in both."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    ends = {rule["alert"]: rule["expr"].split()[-2:] for rule in rules if not rule["expr"].startswith("absent(")}
    return {alert: (sign, float(number)) for alert, (sign, number) in ends.items()}


def known_metrics() -> set[str]:
    """Return every name that a query may contain."""
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \|", REFERENCE.read_text(), re.MULTILINE)
    buckets = {
        name + part for name, kind in documented if kind == "histogram" for part in ("_bucket", "_sum", "_count")
    }
    rules = [rule for group in yaml.safe_load(RECORDING.read_text())["groups"] for rule in group["rules"]]
    plain = {name for name, kind in documented if kind != "histogram"}
    return plain | buckets | {rule["record"] for rule in rules} | {"up"}


def metrics_of(expression: str) -> list[tuple[str, str]]:
    """Return each metric of an expression with its matchers; these are empty where there are none."""
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", expression)
    bare = re.sub(r"\[[^]]*\]", "", bare)
    found = re.findall(r'"[^"]*"|([a-zA-Z_:][\w:]*)\s*(\(|\{[^}]*\})?', bare)
    return [(name, matchers) for name, matchers in found if name and matchers != "(" and name not in WORDS]


def variables_wanted(metric: str) -> list[str]:
    """Return the matchers that a metric must have. The level of a recorded rule says which labels it has."""
    level, colon, _ = metric.partition(":")
    return [JOB] if colon and "process" not in level.split("_") else [JOB, PROCESS]


def targets(dashboard: Dashboard) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Return every target with its panel."""
    return ((panel, target) for panel in panels(dashboard) for target in panel["targets"])


def expressions(dashboard: Dashboard) -> list[str]:
    """Return the expressions of all panels and annotations."""
    shown = [target["expr"] for _, target in targets(dashboard)]
    return shown + [annotation["expr"] for annotation in dashboard["annotations"]["list"]]


def every_panel_says_what_it_shows(dashboard: Dashboard) -> list[str]:
    return [
        f"{panel['title']}: {what}"
        for panel in panels(dashboard)
        for what, there in {
            "title": panel["title"].strip(),
            "description": panel.get("description", "").endswith("."),
            "unit": panel["fieldConfig"]["defaults"].get("unit"),
            "unit of the axis": panel["type"] != "heatmap" or panel["options"]["yAxis"].get("unit"),
            "queries": panel["targets"],
        }.items()
        if not there
    ]


def every_query_asks_the_chosen_source(dashboard: Dashboard) -> list[str]:
    asked = {panel["title"]: panel["datasource"] for panel in panels(dashboard)}
    asked |= {f"{panel['title']}, {target['refId']}": target["datasource"] for panel, target in targets(dashboard)}
    asked |= {each["name"]: each["datasource"] for each in dashboard["annotations"]["list"]}
    variables = [each for each in dashboard["templating"]["list"] if each["type"] == "query"]
    asked |= {each["name"]: each["datasource"] for each in variables}
    return [name for name, source in asked.items() if source != SOURCE]


def every_selector_has_the_variables(dashboard: Dashboard) -> list[str]:
    return [
        f"{metric}{matchers} lacks {wanted}"
        for expression in expressions(dashboard)
        for metric, matchers in metrics_of(expression)
        for wanted in variables_wanted(metric)
        if wanted not in matchers
    ]


def every_metric_is_known(dashboard: Dashboard) -> list[str]:
    return [name for each in expressions(dashboard) for name, _ in metrics_of(each) if name not in known_metrics()]


def no_window_is_literal(dashboard: Dashboard) -> list[str]:
    return [
        expression
        for expression in expressions(dashboard)
        for window in re.findall(r"\[([^]]*)\]", expression)
        if window not in WINDOWS
    ]


def numbers_are_unique(dashboard: Dashboard) -> list[str]:
    counted = Counter(panel.get("id") for panel in dashboard["panels"])
    return [f"{number}, {times} times" for number, times in counted.items() if times > 1 or not number]


def panels_stay_in_the_number_of_their_row(dashboard: Dashboard) -> list[str]:
    """A number is not a place in a list, so that a panel that comes or goes changes no other's."""
    faults, row = [], 0
    for panel in dashboard["panels"]:
        row = panel["id"] if panel["type"] == "row" else row
        if panel["id"] // 100 * 100 != row:
            faults.append(f"{panel['id']} below {row}")
    return faults


def panels_are_on_the_grid(dashboard: Dashboard) -> list[str]:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    outside = [place for place in places if place["x"] < 0 or place["w"] < 1 or place["x"] + place["w"] > 24]
    overlapping = [(one, other) for one, other in combinations(places, 2) if _overlap(one, other)]
    return [str(each) for each in (*outside, *overlapping)]


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    return not (beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])


def legends_read_well(dashboard: Dashboard) -> list[str]:
    faults = []
    for panel, target in targets(dashboard):
        legend = target.get("legendFormat", "")
        labels = re.findall(r"\{\{(\w+)\}\}", legend)
        absent = [label for label in labels if not re.search(rf"\b{label}\b|(^|_){label}_?.*:", target["expr"])]
        if not legend or legend == "__auto" or absent or target.get("hide"):
            faults.append(f"{panel['title']}, {target['refId']}: {legend}")
    return faults


def no_legend_is_hidden(dashboard: Dashboard) -> list[str]:
    faults = []
    for panel in panels(dashboard):
        legend = panel["options"].get("legend", {})
        hides = "hideFrom" in str(panel["fieldConfig"])
        if legend.get("showLegend") is False or legend.get("show") is False or hides:
            faults.append(panel["title"])
    return faults


def thresholds_are_the_alerts(dashboard: Dashboard) -> list[str]:
    """A panel with a threshold names the alert in its description. What fires above 0 has its color from 1 on."""
    faults = []
    for panel in panels(dashboard):
        steps = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        named = re.findall(r"the alert (\w+)\.", panel["description"])
        limits = [alert_numbers().get(alert, ("", None)) for alert in named]
        wanted = [1 if limit == (">", 0) else limit[1] for limit in limits]
        if steps != [None, *wanted]:
            faults.append(f"{panel['title']}: {steps}, not {wanted}")
    return faults


def well_is_green_and_the_rest_has_the_color_of_the_alert(dashboard: Dashboard) -> list[str]:
    faults = []
    for panel in panels(dashboard):
        colors = [step["color"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        for alert in re.findall(r"the alert (\w+)\.", panel["description"]):
            good = 0 if alert_numbers()[alert][0] == ">" else 1
            if colors[good] != "green" or colors[1 - good] not in {"red", "orange"}:
                faults.append(f"{panel['title']}: {colors}")
    return faults


def exemplars_are_asked_of_histograms_alone(dashboard: Dashboard) -> list[str]:
    return [
        f"{panel['title']}, {target['refId']}"
        for panel, target in targets(dashboard)
        if target.get("exemplar", False) != ("_bucket{" in target["expr"] and not target.get("instant"))
    ]


def heatmaps_get_buckets(dashboard: Dashboard) -> list[str]:
    form = re.compile(r"sum by \(le\) \(increase\(fleetgen_\w+_bucket\{.*\}\[\$__rate_interval\]\)\)")
    return [
        panel["title"]
        for panel, target in targets(dashboard)
        if panel["type"] == "heatmap"
        and not (
            target["format"] == "heatmap" and target["legendFormat"] == "{{le}}" and form.fullmatch(target["expr"])
        )
    ]


def links_lead_to_the_others_and_to_the_page(dashboard: Dashboard) -> list[str]:
    found = {link["type"]: link for link in dashboard["links"]}
    others, page = found.get("dashboards", {}), found.get("link", {})
    well = {
        "others": others.get("tags") == ["fleetgen"] and others.get("keepTime") and others.get("includeVars"),
        "page": page.get("url") == "${page}",
        "tag": "fleetgen" in dashboard["tags"],
    }
    return [name for name, right in well.items() if not right]


def annotations_mark_what_was_done(dashboard: Dashboard) -> list[str]:
    marks = {mark["name"]: mark for mark in dashboard["annotations"]["list"]}
    wanted = {
        "Mode switches": ("fleetgen_mode_active", False),
        "Pauses": ("fleetgen_paused", False),
        "Configuration reads": ("fleetgen_config_last_reload_success_timestamp_seconds", True),
    }
    return [
        name
        for name, (metric, value_is_time) in wanted.items()
        if name not in marks
        or f"{metric}{{" not in marks[name]["expr"]
        or marks[name]["useValueForTime"] is not value_is_time
        or marks[name]["expr"].endswith("* 1000") is not value_is_time
        or not (marks[name]["titleFormat"] and marks[name]["enable"])
    ]


def variables_are_those_that_queries_use(dashboard: Dashboard) -> list[str]:
    found = {each["name"]: each for each in dashboard["templating"]["list"]}
    wanted = {
        "datasource": "prometheus",
        "job": "label_values(fleetgen_build_info, job)",
        "process": f"label_values(fleetgen_build_info{{{JOB}}}, process)",
        "page": "http://127.0.0.1:18000",
    }
    return [name for name, query in wanted.items() if found.get(name, {}).get("query") != query]


RULES: tuple[Rule, ...] = (
    every_panel_says_what_it_shows,
    every_query_asks_the_chosen_source,
    every_selector_has_the_variables,
    every_metric_is_known,
    no_window_is_literal,
    numbers_are_unique,
    panels_stay_in_the_number_of_their_row,
    panels_are_on_the_grid,
    legends_read_well,
    no_legend_is_hidden,
    thresholds_are_the_alerts,
    well_is_green_and_the_rest_has_the_color_of_the_alert,
    exemplars_are_asked_of_histograms_alone,
    heatmaps_get_buckets,
    links_lead_to_the_others_and_to_the_page,
    annotations_mark_what_was_done,
    variables_are_those_that_queries_use,
)

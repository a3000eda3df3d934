"""What the committed dashboards promise: they are what the program makes, Grafana's models hold them, and each keeps to rules."""

import copy
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.__main__ import rendered
from fleetgen.domain.records import Stream
from support import dashboard_rules as rules
from support.dashboards import FOLDER, Query, dashboards, queries, raw_queries

ROOT = rules.ROOT
NAMES = [f"fleetgen-{name}.json" for name in ("cadence", "overview", "pipeline", "processes", "quality")]
BEYOND_THE_MODELS = {"step", "titleFormat", "useValueForTime"}
"""What the data source Prometheus reads of an annotation, and the SDK's model does not know."""


def test_there_are_five_dashboards() -> None:
    assert list(dashboards()) == NAMES


def test_making_the_dashboards_again_changes_nothing() -> None:
    assert rendered() == {path.name: path.read_bytes().decode() for path in FOLDER.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_uid_is_the_name_of_the_file(name: str) -> None:
    assert f"{dashboards()[name]['uid']}.json" == name


@pytest.mark.parametrize("name", NAMES)
def test_models_of_grafana_decode_and_encode_a_dashboard_without_a_change(name: str) -> None:
    register_default_plugins()
    committed = dashboards()[name]
    encoded = json.loads(json.dumps(Dashboard.from_json(committed), cls=JSONEncoder))
    for annotation in committed["annotations"]["list"]:
        for key in BEYOND_THE_MODELS:
            del annotation[key]
    assert encoded == committed


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_every_dashboard_keeps_to_the_rules(name: str, rule: rules.Rule) -> None:
    assert rule(dashboards()[name]) == []


def test_every_alert_is_the_threshold_of_a_panel() -> None:
    named = set(re.findall(r"the alert (\w+)\.", "".join(path.read_text() for path in FOLDER.iterdir())))
    assert named == set(rules.alert_numbers())


def test_promtool_understands_every_query(tmp_path: Path) -> None:
    recorded = [{"record": f"query:{number}", "expr": query.expression} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
    checked = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, timeout=30)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_queries_come_without_variables_of_grafana() -> None:
    asked = queries()
    assert len(asked) == len(raw_queries())
    assert {f"{query.dashboard}.json" for query in asked} == set(NAMES)
    assert not [query for query in asked if re.search(r"\$[a-z_{]|label_values", query.expression)]


def test_a_variable_is_asked_as_its_values() -> None:
    asked = Query(
        "fleetgen-overview", "variable process", 'label_values(fleetgen_build_info{job=~"$job"}, process)'
    ).asked()
    assert asked.expression == 'group by (process) (fleetgen_build_info{job=~"fleetgen.*"})'


def test_source_that_is_provisioned_is_the_one_that_is_chosen_and_scrapes_as_often_as_prometheus() -> None:
    (source,) = _provisioned("datasources")["datasources"]
    chosen = {each["templating"]["list"][0]["current"]["value"] for each in dashboards().values()}
    scraping = yaml.safe_load((ROOT / "etc" / "prometheus" / "prometheus.yml").read_text())["global"]
    assert chosen == {source["uid"]} == {"fleetgen-prometheus"}
    assert source["jsonData"]["timeInterval"] == scraping["scrape_interval"]


def test_exemplar_has_a_link_to_its_batch_for_each_stream() -> None:
    (source,) = _provisioned("datasources")["datasources"]
    links = source["jsonData"]["exemplarTraceIdDestinations"]
    page = "http://127.0.0.1:18000/api/batches"
    assert {link["name"] for link in links} == {"batch_id"}
    assert {link["url"] for link in links} == {f"{page}/{stream}/$${{__value.raw}}" for stream in Stream}


def test_provider_reads_the_folder_of_the_dashboards() -> None:
    (provider,) = _provisioned("dashboards")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].endswith(FOLDER.relative_to(ROOT).as_posix())


def _provisioned(what: str) -> Any:
    return yaml.safe_load((ROOT / "etc" / "grafana" / "provisioning" / what / "fleetgen.yml").read_text())


# A rule that finds nothing in a damaged dashboard would be none.

Damage = Callable[[dict[str, Any]], object]


def _defaults(dashboard: dict[str, Any]) -> Any:
    return _lines(dashboard)["fieldConfig"]["defaults"]


def _of_kind(dashboard: dict[str, Any], kind: str) -> Any:
    return next(panel for panel in dashboard["panels"] if panel["type"] == kind)


def _lines(dashboard: dict[str, Any]) -> Any:
    return _of_kind(dashboard, "timeseries")


def _target(dashboard: dict[str, Any]) -> Any:
    return _lines(dashboard)["targets"][0]


def _warned(dashboard: dict[str, Any]) -> Any:
    return next(panel for panel in dashboard["panels"] if "the alert" in panel.get("description", ""))


def _replaced(target: dict[str, Any], old: str, new: str) -> None:
    assert old in target["expr"]
    target["expr"] = target["expr"].replace(old, new)


DAMAGES: list[tuple[rules.Rule, str, Damage]] = [
    (rules.every_panel_says_what_it_shows, "no title", lambda it: _lines(it).update(title=" ")),
    (rules.every_panel_says_what_it_shows, "no description", lambda it: _lines(it).pop("description")),
    (rules.every_panel_says_what_it_shows, "no unit", lambda it: _defaults(it).pop("unit")),
    (rules.every_panel_says_what_it_shows, "no axis", lambda it: _of_kind(it, "heatmap")["options"]["yAxis"].clear()),
    (rules.every_panel_says_what_it_shows, "no query", lambda it: _lines(it)["targets"].clear()),
    (rules.every_query_asks_the_chosen_source, "panel", lambda it: _lines(it)["datasource"].update(uid="prom")),
    (rules.every_query_asks_the_chosen_source, "target", lambda it: _target(it)["datasource"].update(uid="prom")),
    (
        rules.every_query_asks_the_chosen_source,
        "annotation",
        lambda it: it["annotations"]["list"][1]["datasource"].update(uid="prom"),
    ),
    (
        rules.every_query_asks_the_chosen_source,
        "variable",
        lambda it: it["templating"]["list"][1]["datasource"].update(uid="prom"),
    ),
    (rules.every_selector_has_the_variables, "no set", lambda it: _replaced(_target(it), f"{rules.JOB}, ", "")),
    (rules.every_selector_has_the_variables, "no process", lambda it: _replaced(_target(it), f", {rules.PROCESS}", "")),
    (
        rules.every_selector_has_the_variables,
        "bare",
        lambda it: _target(it).update(expr="max by (job) (up) or on () up"),
    ),
    (
        rules.every_selector_has_the_variables,
        "bare annotation",
        lambda it: it["annotations"]["list"][1].update(expr="fleetgen_paused"),
    ),
    (
        rules.every_selector_has_the_variables,
        "rule of a process",
        lambda it: _target(it).update(expr=f"process:fleetgen_batch_overdue:intervals{{{rules.JOB}}}"),
    ),
    (rules.every_metric_is_known, "misspelt", lambda it: _replaced(_target(it), "fleetgen_batch", "fleetgen_bach")),
    (rules.every_metric_is_known, "histogram", lambda it: _replaced(_target(it), "_bucket{", "{")),
    (
        rules.every_metric_is_known,
        "unknown rule",
        lambda it: it["annotations"]["list"][1].update(expr=f"stream:fleetgen_batches:rate7m{{{rules.JOB}}}"),
    ),
    (rules.no_window_is_literal, "5m", lambda it: _replaced(_target(it), "$__rate_interval", "5m")),
    (rules.numbers_are_unique, "twice", lambda it: it["panels"][1].update(id=it["panels"][2]["id"])),
    (rules.numbers_are_unique, "none", lambda it: it["panels"][1].pop("id")),
    (rules.panels_stay_in_the_number_of_their_row, "other row", lambda it: it["panels"][1].update(id=999)),
    (rules.panels_are_on_the_grid, "too wide", lambda it: it["panels"][2]["gridPos"].update(w=13)),
    (rules.panels_are_on_the_grid, "overlap", lambda it: it["panels"][2]["gridPos"].update(x=11)),
    (rules.panels_are_on_the_grid, "below", lambda it: it["panels"][1]["gridPos"].update(h=9)),
    (rules.legends_read_well, "none", lambda it: _target(it).pop("legendFormat")),
    (rules.legends_read_well, "auto", lambda it: _target(it).update(legendFormat="__auto")),
    (rules.legends_read_well, "label that is summed up", lambda it: _target(it).update(legendFormat="{{instance}}")),
    (rules.legends_read_well, "hidden", lambda it: _target(it).update(hide=True)),
    (rules.no_legend_is_hidden, "legend", lambda it: _lines(it)["options"]["legend"].update(showLegend=False)),
    (
        rules.no_legend_is_hidden,
        "of a heatmap",
        lambda it: _of_kind(it, "heatmap")["options"]["legend"].update(show=False),
    ),
    (
        rules.no_legend_is_hidden,
        "series",
        lambda it: _lines(it)["fieldConfig"]["overrides"].append({"id": "custom.hideFrom"}),
    ),
    (
        rules.thresholds_are_the_alerts,
        "other number",
        lambda it: _warned(it)["fieldConfig"]["defaults"]["thresholds"]["steps"][1].update(value=1.5),
    ),
    (
        rules.thresholds_are_the_alerts,
        "no such alert",
        lambda it: _lines(it).update(description="See the alert FleetgenX."),
    ),
    (
        rules.thresholds_are_the_alerts,
        "of nobody",
        lambda it: _defaults(it)["thresholds"]["steps"].append({"color": "red", "value": 80}),
    ),
    (
        rules.well_is_green_and_the_rest_has_the_color_of_the_alert,
        "reversed",
        lambda it: _warned(it)["fieldConfig"]["defaults"]["thresholds"]["steps"].reverse(),
    ),
    (rules.exemplars_are_asked_of_histograms_alone, "off", lambda it: _target(it).update(exemplar=False)),
    (
        rules.exemplars_are_asked_of_histograms_alone,
        "once",
        lambda it: _of_kind(it, "stat")["targets"][0].update(exemplar=True),
    ),
    (
        rules.heatmaps_get_buckets,
        "format",
        lambda it: _of_kind(it, "heatmap")["targets"][0].update(format="time_series"),
    ),
    (rules.heatmaps_get_buckets, "legend", lambda it: _of_kind(it, "heatmap")["targets"][0].update(legendFormat="x")),
    (
        rules.heatmaps_get_buckets,
        "rate",
        lambda it: _replaced(_of_kind(it, "heatmap")["targets"][0], "increase", "rate"),
    ),
    (rules.links_lead_to_the_others_and_to_the_page, "others", lambda it: it["links"][0].update(keepTime=False)),
    (rules.links_lead_to_the_others_and_to_the_page, "page", lambda it: it["links"].pop()),
    (rules.links_lead_to_the_others_and_to_the_page, "tag", lambda it: it["tags"].clear()),
    (rules.annotations_mark_what_was_done, "none", lambda it: it["annotations"]["list"].pop(0)),
    (
        rules.annotations_mark_what_was_done,
        "seconds",
        lambda it: _replaced(it["annotations"]["list"][2], " * 1000", ""),
    ),
    (
        rules.annotations_mark_what_was_done,
        "time of the sample",
        lambda it: it["annotations"]["list"][2].update(useValueForTime=False),
    ),
    (rules.variables_are_those_that_queries_use, "none", lambda it: it["templating"]["list"].pop()),
    (rules.variables_are_those_that_queries_use, "other", lambda it: it["templating"]["list"][1].update(query="x")),
]


@pytest.mark.parametrize(("rule", "what", "damage"), DAMAGES, ids=lambda part: getattr(part, "__name__", part))
def test_rule_finds_what_is_wrong_in_a_damaged_dashboard(rule: rules.Rule, what: str, damage: Damage) -> None:
    whole = dashboards()["fleetgen-cadence.json"]
    damaged = copy.deepcopy(whole)
    damage(damaged)
    assert rule(whole) == []
    assert rule(damaged) != []


def test_every_rule_has_a_damage_that_it_finds() -> None:
    assert {rule for rule, _, _ in DAMAGES} == set(rules.RULES)

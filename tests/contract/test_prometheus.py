"""What an operator's Prometheus makes of a set: targets, rules, alerts through Alertmanager, exemplars, series."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from fleetgen.config.loading import load
from fleetgen.supervision.programs import programs
from support.dashboards import queries
from support.patience import wait_for
from support.prometheus import FILES, Prometheus, prometheus_over, rules, selectors
from support.sets import RunningSet
from support.tables import dirty_set

UNIT_TESTS = Path(__file__).parent / "prometheus" / "alerts.test.yml"
PROCESSES = ("company", "driver", "pipeline", "control")


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with dirty_set(company_interval='"PT2S"', driver_interval='"PT2S"') as each:
        each.start()
        yield each


@pytest.fixture(scope="module")
def prometheus(running: RunningSet) -> Iterator[Prometheus]:
    with prometheus_over(running) as each:
        wait_for(lambda: each.targets() == dict.fromkeys(PROCESSES, "up"), 60, "Every target")
        yield each


def test_every_process_of_the_set_is_a_target_that_is_up(prometheus: Prometheus) -> None:
    assert prometheus.values('up{job="fleetgen"}') == [1.0] * len(PROCESSES)
    told = prometheus.get("query", query="fleetgen_process_up")["result"]
    assert {each["metric"]["process"] for each in told} == set(PROCESSES)


@pytest.mark.parametrize("rule", rules("record"), ids=lambda rule: rule["record"])
def test_every_recording_rule_gives_numbers(prometheus: Prometheus, rule: dict[str, Any]) -> None:
    wait_for(lambda: prometheus.values(rule["record"]), 90, "A number")
    for selector in selectors(rule["expr"]):
        assert prometheus.values(selector), selector


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: rule["alert"])
def test_every_selector_of_an_alert_finds_numbers(prometheus: Prometheus, rule: dict[str, Any]) -> None:
    found = selectors(rule["expr"])
    assert found
    for selector in found:
        wait_for(lambda chosen=selector: prometheus.values(chosen), 90, selector)  # type: ignore[misc]


def test_every_query_of_every_dashboard_gives_numbers(prometheus: Prometheus) -> None:
    wanted = {each.expression: each for each in queries(interval="30s", span="5m")}
    assert len(wanted) > 50

    def empty() -> list[str]:
        return [
            f"{each.dashboard}: {each.part}: {text}" for text, each in wanted.items() if not prometheus.values(text)
        ]

    try:
        wait_for(lambda: not empty(), 90, "Numbers from every query")
    except AssertionError:
        assert empty() == []


def test_no_alert_fires_and_no_rule_fails_while_all_is_well(prometheus: Prometheus) -> None:
    wait_for(lambda: {rule["health"] for rule in _rules_of(prometheus)} == {"ok"}, 60, "The evaluation of every rule")
    assert [rule["name"] for rule in _rules_of(prometheus) if rule.get("state") == "firing"] == []


def _rules_of(prometheus: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(
    "metric",
    [
        "fleetgen_batch_start_lag_seconds_bucket",
        "fleetgen_batch_interval_deviation_seconds_bucket",
        "fleetgen_batch_duration_seconds_bucket",
        "fleetgen_pipeline_latency_seconds_bucket",
    ],
)
def test_exemplars_name_batches_that_were_published(running: RunningSet, prometheus: Prometheus, metric: str) -> None:
    def batch_ids() -> set[str]:
        span = {"start": str(time.time() - 600), "end": str(time.time())}
        found = prometheus.get("query_exemplars", query=metric, **span)
        return {each["labels"]["batch_id"] for series in found for each in series["exemplars"]}

    named = wait_for(batch_ids, 30, "An exemplar")
    folders = {path.name for path in running.data.glob("raw/*/*/")}
    assert named <= folders


def test_a_process_that_is_stopped_is_told_through_alertmanager_and_told_when_it_is_back(
    running: RunningSet, prometheus: Prometheus
) -> None:
    if "receivers" not in prometheus.output.read_text():
        pytest.skip("Alertmanager is not installed")
    webhook = prometheus.webhook
    running.ctl("stop", "driver")
    try:
        wait_for(lambda: webhook.has("FleetgenProcessDown", "firing", process="driver"), 120, "The alert")
    finally:
        running.ctl("start", "driver")
    wait_for(lambda: webhook.has("FleetgenProcessDown", "resolved", process="driver"), 120, "Its end")
    told = [alert for alert in webhook.alerts if alert["labels"]["alertname"] == "FleetgenProcessDown"]
    assert {alert["labels"]["process"] for alert in told} == {"driver"}
    assert told[0]["annotations"]["runbook_url"] == "docs/runbooks/FleetgenProcessDown.md"


def test_ten_batches_add_no_series(running: RunningSet) -> None:
    wait_for(lambda: min(running.batch_count(stream) for stream in ("companies", "events")) > 2, 30, "Batches")
    before, batches = _series(running), running.batch_count("events")
    wait_for(lambda: running.batch_count("events") >= batches + 10, 60, "Ten batches")
    assert _series(running) == before
    printed = running.call("metrics").stdout.splitlines()[-1]
    assert f"Series: {sum(before.values()):,} (" in printed


def test_the_reference_tells_how_many_series_each_process_has(running: RunningSet) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
    table = text.partition("## How many series")[2].partition("\n## ")[0]
    told = {name: int(count) for name, count in re.findall(r"^\| `(\w+)` \| (\d+) \|$", table, re.MULTILINE)}
    assert told == _series(running)


def _series(running: RunningSet) -> dict[str, int]:
    """Return how many series each process exports."""
    facts = json.loads(running.call("metrics", "--json").stdout)
    counted = {
        process: sum(metric["series"] for metric in metrics.values()) for process, metrics in facts["processes"].items()
    }
    assert facts["series"] == sum(counted.values())
    return counted


def test_metrics_of_a_set_that_is_down_say_how_to_start_it() -> None:
    with RunningSet() as stopped:
        refused = stopped.call("metrics", check=False)
        assert refused.returncode == 69
        assert "The set is not running" in refused.stderr
        assert "fleetgen up" in refused.stderr


def test_observing_a_set_that_is_down_says_how_to_start_it() -> None:
    with RunningSet() as stopped:
        program = FILES.parents[1] / "packaging" / "observe"
        command = [str(program), "--config", str(stopped.config)]
        refused = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60)
        assert (refused.returncode, refused.stdout) == (69, "")
        assert "make run" in refused.stderr


def test_the_static_list_has_every_process_where_the_shipped_configuration_has_it() -> None:
    static = yaml.safe_load((FILES / "prometheus-static.yml").read_text())
    (job,) = static["scrape_configs"]
    listed = {each["labels"]["process"]: each["targets"] for each in job["static_configs"]}
    shipped = programs(load(FILES.parent / "generator.toml"))
    assert listed == {program.name: [program.reached_at("127.0.0.1")] for program in shipped}


def test_the_two_configurations_differ_only_in_how_they_find_the_processes() -> None:
    found, static = (
        yaml.safe_load((FILES / f"{name}.yml").read_text()) for name in ("prometheus", "prometheus-static")
    )
    for each in (found, static):
        (job,) = each["scrape_configs"]
        job.pop("http_sd_configs", None)
        job.pop("static_configs", None)
    assert found == static


@pytest.mark.parametrize("process", PROCESSES)
def test_promtool_finds_nothing_to_say_about_the_metrics(running: RunningSet, process: str) -> None:
    port = {**running.ports, "pipeline": running.pipeline_port, "control": running.control_port}[process]
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-static.yml"])
def test_promtool_takes_the_configuration(name: str) -> None:
    checked = _run("promtool", "check", "config", "--lint=all", "--lint-fatal", str(FILES / name))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_promtool_takes_the_rules_and_its_linter_finds_nothing() -> None:
    checked = _run(
        "promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(str, (FILES / "rules").glob("*.yml"))
    )
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout + checked.stderr


def test_amtool_takes_the_configuration() -> None:
    if not shutil.which("amtool"):
        pytest.skip("Alertmanager is not installed")
    checked = _run("amtool", "check-config", str(FILES / "alertmanager.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_fire_on_the_series_that_they_should_and_on_no_other() -> None:
    checked = _run("promtool", "test", "rules", str(UNIT_TESTS))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_has_a_series_that_fires_it_and_one_that_does_not() -> None:
    tests = yaml.safe_load(UNIT_TESTS.read_text())["tests"]
    for name in (alert["alert"] for alert in rules("alert")):
        about = [test for test in tests if any(f'"{name}"' in case["expr"] for case in test["promql_expr_test"])]
        assert any(_fired(test, name) for test in about), name
        assert any(not all(_is_fired(each, _fired(test, name)) for each in _given(test)) for test in about), name


def _given(test: dict[str, Any]) -> list[dict[str, str]]:
    """Return the labels of the series that a test gives."""
    return [_labels(series["series"]) for series in test["input_series"]]


def _fired(test: dict[str, Any], name: str) -> list[dict[str, str]]:
    """Return the labels of the alerts of this name that a test expects."""
    samples = [sample["labels"] for case in test["promql_expr_test"] for sample in case.get("exp_samples", [])]
    return [_labels(sample) for sample in samples if f'"{name}"' in sample]


def _labels(series: str) -> dict[str, str]:
    return dict(re.findall(r'(job|process|stream|consumer)="([^"]*)"', series))


def _is_fired(given: dict[str, str], fired: list[dict[str, str]]) -> bool:
    return any(all(given[key] == value for key, value in alert.items() if key in given) for alert in fired)


def test_alerts_have_the_form_of_a_mixin() -> None:
    for alert in rules("alert"):
        assert re.fullmatch(r"Fleetgen([A-Z][a-z]+)+", alert["alert"])
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"
    for rule in rules("record"):
        assert re.fullmatch(r"[a-z_]+:fleetgen_[a-z_]+:[a-z0-9_]+", rule["record"])


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60)

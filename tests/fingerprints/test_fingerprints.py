"""The output of every shipped configuration changes on purpose only."""

import json
from pathlib import Path
from typing import Any

import pytest

from fleetgen.domain.records import ALGORITHM, iso
from support.fingerprinting import BATCHES, company_intervals, event_intervals, fingerprint
from support.shipped_settings import shipped_settings

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("fingerprints.json").read_text())
SHIPPED = shipped_settings()

REMEDY = (
    "if this is on purpose, raise ALGORITHM in lib/fleetgen/domain/records.py and run "
    "`.venv/bin/python tests/fingerprints/make.py` in the same commit"
)


def test_the_fingerprints_belong_to_the_algorithm_in_force() -> None:
    assert RECORDED["algorithm"] == ALGORITHM, "run `.venv/bin/python tests/fingerprints/make.py` and commit its file"


def test_every_shipped_configuration_has_a_fingerprint() -> None:
    assert sorted(RECORDED["presets"]) == sorted(SHIPPED), (
        "a preset came or went: run `.venv/bin/python tests/fingerprints/make.py` and commit its file"
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_the_output_has_not_changed(name: str) -> None:
    found = fingerprint(SHIPPED[name])

    assert found == RECORDED["presets"].get(name), f"the output of {name} has changed: {REMEDY}"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_fingerprint_tells_its_batches_apart(name: str) -> None:
    recorded = RECORDED["presets"][name]
    hashes = [value for values in recorded.values() for value in values]

    assert len(hashes) == len(set(hashes)) == len(recorded) * BATCHES


def test_the_truth_has_a_fingerprint_where_issues_are_injected() -> None:
    with_truth = [name for name, hashes in RECORDED["presets"].items() if "truth of events" in hashes]

    assert (
        with_truth == [name for name, settings in SHIPPED.items() if settings.quality is not None] == ["quality-demo"]
    )


def test_the_first_intervals_follow_the_rule_of_the_first_start() -> None:
    emulated = SHIPPED["emulated"]
    production = SHIPPED["base"]

    assert [iso(each.start)[11:19] for each in event_intervals(emulated)] == ["11:59:50", "12:00:00", "12:00:10"]
    assert [iso(each.start)[11:19] for each in company_intervals(emulated)] == ["11:59:40", "11:59:50", "12:00:10"]
    assert [iso(each.start)[11:19] for each in event_intervals(production)] == ["11:45:00", "12:00:00", "12:15:00"]
    assert [iso(each.start)[11:19] for each in company_intervals(production)] == ["10:45:00", "11:45:00", "13:00:00"]

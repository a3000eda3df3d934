"""What ships beside the code is valid and has the values that the contract names."""

import json
import tomllib
from typing import Any

import jsonschema
import pytest

from fleetgen.config.presets import json_schema, preset_names, preset_text, shipped
from fleetgen.errors import UsageError
from support.configs import ETC, PRESETS, SHIPPED, parsed, written

SHIPPED_FILES = {"generator": SHIPPED} | {name: ETC / "presets" / f"{name}.toml" for name in PRESETS}


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads((ETC / "generator.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_presets_are_those_of_the_contract() -> None:
    assert preset_names() == sorted(PRESETS)


def test_the_shipped_folder_is_that_of_the_checkout() -> None:
    assert shipped() == ETC


@pytest.mark.parametrize(
    ("name", "seconds", "companies", "events"),
    [("emulated-5s", 5, 5, (3, 10)), ("emulated", 10, 10, (5, 20)), ("emulated-30s", 30, 20, (10, 50))],
)
def test_an_emulated_preset_has_its_cadence_and_size(
    name: str, seconds: int, companies: int, events: tuple[int, int]
) -> None:
    config = parsed(preset_text(name))

    bounds = config.modes.emulated.events_per_batch
    assert config.mode == "emulated"
    assert config.modes.emulated.company_interval == seconds
    assert config.modes.emulated.driver_interval == seconds
    assert config.modes.emulated.companies_per_batch == companies
    assert (bounds.min, bounds.max) == events


@pytest.mark.parametrize(
    ("name", "companies", "drivers", "rate"), [("small", 5, 5, 2.0), ("base", 100, 10, 3.5), ("scaling", 1000, 20, 5.0)]
)
def test_a_production_preset_has_its_fleet(name: str, companies: int, drivers: int, rate: float) -> None:
    config = parsed(preset_text(name))

    assert config.mode == "production"
    assert config.modes.production.company_interval == 3_600
    assert config.modes.production.driver_interval == 900
    assert config.modes.production.companies_per_batch == companies
    assert config.fleet.drivers_per_company == drivers
    assert config.fleet.event_rate_per_driver == rate


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_points_editors_at_the_schema_above_it(name: str) -> None:
    assert preset_text(name).startswith("#:schema ../generator.schema.json\n")


def test_the_shipped_file_points_editors_at_the_schema_beside_it() -> None:
    assert SHIPPED.read_text().startswith("#:schema ./generator.schema.json\n")


def test_an_unknown_preset_lists_those_that_exist() -> None:
    with pytest.raises(UsageError) as caught:
        preset_text("enormous")

    assert all(name in str(caught.value) for name in ("enormous", *PRESETS))


@pytest.mark.parametrize("name", ["../generator", "presets/small", "small.toml", ""])
def test_a_preset_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(UsageError, match="There is no preset"):
        preset_text(name)


def test_the_committed_schema_is_that_of_the_model() -> None:
    assert (ETC / "generator.schema.json").read_text() == json_schema()


@pytest.mark.parametrize("name", SHIPPED_FILES)
def test_the_schema_admits_what_ships(name: str, validator: Any) -> None:
    assert list(validator.iter_errors(tomllib.loads(SHIPPED_FILES[name].read_text()))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mode", '"live"'),
        ("mode", None),
        ("seed", "-1"),
        ("seed", '"42"'),
        ("fleet.drivers_per_company", "0"),
        ("fleet.drivers_per_company", "true"),
        ("fleet.event_rate_per_driver", "0"),
        ("fleet.event_rate_per_driver", "1001"),
        ("fleet.geography_weights", "{ MARS = 1 }"),
        ("fleet.geography_weights", "{ US = -1 }"),
        ("fleet.active_probability", "1.5"),
        ("fleet.event_type_weights", '{ "parked" = 1 }'),
        ("modes.production.company_interval", '"1h"'),
        ("modes.emulated.driver_interval", "10"),
        ("modes.emulated.companies_per_batch", "101"),
        ("modes.emulated.events_per_batch", "{ min = 1 }"),
        ("modes.emulated.events_per_batch", "{ min = 1, max = 2, mean = 1 }"),
        ("schedule.catch_up_limit", "100001"),
        ("backpressure.consumers", '"pipeline"'),
        ("backpressure.consumers", '["Mine"]'),
        ("backpressure.max_backlog_batches", "0"),
        ("backpressure.action", '"stop"'),
        ("retention.keep_batches", "-1"),
        ("retention.min_free_bytes", '"256MB"'),
        ("paths.data", "1"),
        ("metrics.company_port", "65536"),
        ("supervisor.start_retries", "-1"),
    ],
)
def test_the_schema_refuses_what_the_model_refuses(key: str, value: str | None, validator: Any) -> None:
    assert not validator.is_valid(tomllib.loads(written({key: value}).text))


@pytest.mark.parametrize(
    "table",
    ["fleet", "modes", "modes.production", "modes.emulated", "schedule", "backpressure", "retention", "metrics"],
)
def test_the_schema_refuses_unknown_keys_in_every_table(table: str, validator: Any) -> None:
    # Given valid values, and an unknown key in one table
    values = tomllib.loads(written().text)
    assert validator.is_valid(values)
    inner = values
    for step in table.split("."):
        inner = inner[step]
    inner["unknown"] = 1

    # Then the schema refuses it
    assert not validator.is_valid(values)


def test_the_schema_tells_what_each_key_allows() -> None:
    # Given every key of every table in the schema
    schema = json.loads(json_schema())
    keys = [
        (name, key, entry)
        for name, shape in [("", schema), *schema["$defs"].items()]
        for key, entry in shape["properties"].items()
        if name != "Bounds"
    ]

    # Then each has a description for the editor
    assert [(table, key) for table, key, entry in keys if not entry.get("description")] == []
    assert (
        "a whole number from 1 to 10000" in schema["$defs"]["Fleet"]["properties"]["drivers_per_company"]["description"]
    )

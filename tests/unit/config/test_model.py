"""The model has the keys, bounds and defaults of the contract, and is frozen and strict."""

import tomllib
from typing import Any

import pytest
import tomli_w
from pydantic import ValidationError

from fleetgen.config.faults import plain_schema
from fleetgen.config.model import Config
from fleetgen.domain.records import ISSUE_TYPES
from support.configs import EVERY_KEY, SHIPPED, parsed, written

REQUIRED_ALONE = 'mode = "emulated"\n[fleet]\n[modes.production]\n[modes.emulated]\n'

DEFAULTS: dict[str, Any] = {
    "mode": "emulated",
    "fleet": {
        "drivers_per_company": 10,
        "max_active_companies": 1000,
        "event_rate_per_driver": 3.5,
        "geography_weights": {"US": 1.0},
        "active_probability": 1.0,
        "event_type_weights": {"start driving": 0.40, "stopped driving": 0.35, "delivered": 0.25},
    },
    "modes": {
        "production": {"company_interval": "PT1H", "driver_interval": "PT15M", "companies_per_batch": 100},
        "emulated": {
            "company_interval": "PT10S",
            "driver_interval": "PT10S",
            "companies_per_batch": 10,
            "events_per_batch": {"min": 5, "max": 20},
        },
    },
    "schedule": {"catch_up_limit": 10},
    "backpressure": {"consumers": ["pipeline"], "max_backlog_batches": 60, "action": "pause"},
    "retention": {"keep_batches": 0, "min_free_bytes": 268_435_456},
    "control": {
        "enabled": True,
        "address": "127.0.0.1",
        "port": 18000,
        "dashboard": True,
        "host_names": [],
        "trust_network": False,
    },
    "pipeline": {"enabled": True, "engine": "embedded"},
    "quality": {
        "enabled": False,
        "event_error_rate": 0.15,
        "company_error_rate": 0.15,
        "weights": {
            "missing_field": 0.30,
            "null_value": 0.30,
            "malformed_timestamp": 0.20,
            "invalid_enum": 0.10,
            "duplicate": 0.05,
            "boundary_violation": 0.05,
        },
    },
    "paths": {"data": "../data", "run": "../run"},
    "metrics": {"address": "127.0.0.1", "company_port": 9101, "driver_port": 9102, "pipeline_port": 9103},
    "supervisor": {"start_retries": 5, "stop_wait_seconds": 10},
}


def dumped(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_none=True)


def test_the_required_keys_alone_give_every_default() -> None:
    assert dumped(parsed(REQUIRED_ALONE)) == DEFAULTS


def test_without_a_seed_there_is_none() -> None:
    assert parsed(REQUIRED_ALONE).seed is None


def test_the_shipped_file_writes_out_every_default_and_a_seed() -> None:
    assert dumped(parsed(SHIPPED.read_text())) == {**DEFAULTS, "seed": 42}


def test_the_shipped_file_hides_no_key() -> None:
    assert tomllib.loads(SHIPPED.read_text()) == {**DEFAULTS, "seed": 42}


def test_the_model_has_no_key_beyond_the_tested_ones() -> None:
    # Given the keys of every table of the model
    shapes = plain_schema()["$defs"]
    tables = {
        "": plain_schema(),
        "fleet": shapes["Fleet"],
        "modes.production": shapes["Production"],
        "modes.emulated": shapes["Emulated"],
        "schedule": shapes["Schedule"],
        "backpressure": shapes["Backpressure"],
        "retention": shapes["Retention"],
        "quality": shapes["QualityTable"],
        "paths": shapes["Paths"],
        "metrics": shapes["Metrics"],
        "control": shapes["Control"],
        "pipeline": shapes["Pipeline"],
        "supervisor": shapes["Supervisor"],
    }
    names = {table: set(shape["properties"]) for table, shape in tables.items()}
    names[""] -= set(tables) | {"modes"}
    names["control"] -= {"token_file"}  # has no default, and is tested with the control process
    names["pipeline"] -= {"memory", "spark"}  # likewise, in test_sizes and test_spark
    names["quality"] -= {"weights"}
    names["quality.weights"] = set(ISSUE_TYPES)

    # Then they are the keys that these tests vary
    assert names == {table: set(entries) for table, entries in EVERY_KEY.items()}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mode", '"production"'),
        ("seed", "0"),
        ("seed", str(2**63 - 1)),
        ("fleet.drivers_per_company", "1"),
        ("fleet.drivers_per_company", "10_000"),
        ("fleet.max_active_companies", "0"),
        ("fleet.event_rate_per_driver", "1e-9"),
        ("fleet.event_rate_per_driver", "1000"),
        ("fleet.geography_weights", "{ US = 0, EU = 0.1, SA = 0, AUS = 1e9 }"),
        ("fleet.active_probability", "0"),
        ("fleet.event_type_weights", '{ "delivered" = 1 }'),
        ("modes.production.company_interval", '"PT1S"'),
        ("modes.production.company_interval", '"P1D"'),
        ("modes.production.driver_interval", '"PT1S"'),
        ("modes.production.driver_interval", '"PT24H"'),
        ("modes.production.companies_per_batch", "1"),
        ("modes.production.companies_per_batch", "100_000"),
        ("modes.emulated.company_interval", '"PT1S"'),
        ("modes.emulated.company_interval", '"PT1H"'),
        ("modes.emulated.driver_interval", '"PT1S"'),
        ("modes.emulated.driver_interval", '"PT60M"'),
        ("modes.emulated.companies_per_batch", "1"),
        ("modes.emulated.companies_per_batch", "100"),
        ("modes.emulated.events_per_batch", "{ min = 1, max = 1 }"),
        ("modes.emulated.events_per_batch", "{ min = 100000, max = 100000 }"),
        ("schedule.catch_up_limit", "0"),
        ("schedule.catch_up_limit", "100_000"),
        ("backpressure.consumers", "[]"),
        ("backpressure.consumers", '["pipeline", "mine.too"]'),
        ("backpressure.max_backlog_batches", "1"),
        ("backpressure.action", '"warn"'),
        ("backpressure.action", '"off"'),
        ("retention.keep_batches", "1"),
        ("retention.min_free_bytes", "0"),
        ("paths.data", '"/srv/fleet data/ü"'),
        ("paths.run", '"."'),
        ("metrics.address", '"::1"'),
        ("metrics.company_port", "1"),
        ("metrics.driver_port", "65535"),
        ("supervisor.start_retries", "0"),
        ("supervisor.stop_wait_seconds", "1"),
    ],
)
def test_the_ends_of_a_range_are_in_it(key: str, value: str) -> None:
    # Given a file with one key at the end of its range
    text = written({key: value}).text

    # When it is read
    config = parsed(text)

    # Then it is valid, and another configuration than the usual one
    assert config != parsed(written().text)


def test_a_configuration_cannot_be_changed() -> None:
    config = parsed(written().text)

    with pytest.raises(ValidationError, match="frozen"):
        config.fleet.drivers_per_company = 11  # type: ignore[misc]

    assert config.fleet.drivers_per_company == 10


def test_what_is_shown_is_read_again_as_the_same_configuration() -> None:
    # Given a configuration with no value at its default
    text = written(
        {
            "mode": '"production"',
            "fleet.geography_weights": "{ EU = 1, AUS = 3 }",
            "modes.production.driver_interval": '"PT1H1M1S"',
            "modes.emulated.company_interval": '"PT90S"',
            "paths.data": '"/tmp/a \\"quoted\\" ü"',
        }
    ).text

    # When it is written with every default filled in and read again
    again = parsed(tomli_w.dumps(dumped(parsed(text))))

    # Then nothing has changed
    assert again == parsed(text)


def test_the_settings_are_those_of_the_mode_in_force() -> None:
    # Given both modes with settings of their own
    emulated = parsed(written({"modes.emulated.driver_interval": '"PT7S"'}).text)
    production = parsed(written({"mode": '"production"'}).text)

    # When the settings are asked for
    bounded, poisson = emulated.settings(7), production.settings(8)

    # Then each has its own intervals and sizes, and the seed that it was given
    assert (bounded.mode, bounded.seed, bounded.events_per_batch) == ("emulated", 7, (5, 20))
    assert (bounded.company_interval_seconds, bounded.driver_interval_seconds) == (10, 7)
    assert bounded.companies_per_batch == 10
    assert (poisson.mode, poisson.seed, poisson.events_per_batch) == ("production", 8, None)
    assert (poisson.company_interval_seconds, poisson.driver_interval_seconds) == (3_600, 900)
    assert poisson.companies_per_batch == 100

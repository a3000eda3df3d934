"""The earlier system's configuration becomes one of ours that says the same, and names what it cannot say."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleetgen.config.importing import Imported, imported
from fleetgen.config.model import Config
from fleetgen.errors import ConfigurationError
from support.configs import ETC, parsed
from support.earlier import EMULATED, OURS, PRESETS, QUALITY

BASE = PRESETS["config.base.yaml"]


def read(text: str) -> Imported:
    return imported(yaml.safe_load(text), "old.yaml")


def config_of(text: str) -> Config:
    return parsed(read(text).text)


def with_key(line: str) -> str:
    """The base preset with one line instead of that of the same key."""
    key = line.partition(":")[0]
    return "\n".join([*(each for each in BASE.splitlines() if not each.startswith(f"{key}:")), line])


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_documented_preset_becomes_ours_of_the_same_name(name: str) -> None:
    result = read(PRESETS[name])

    ours = parsed((ETC / "presets" / f"{OURS[name]}.toml").read_text())
    assert parsed(result.text) == ours
    assert result.notes == ()


def test_quality_keeps_rates_scope_and_weights() -> None:
    result = read(BASE + QUALITY)

    quality = parsed(result.text).quality
    assert (quality.enabled, quality.event_error_rate, quality.company_error_rate) == (True, 0.25, 0.0)
    assert list(quality.weights.model_dump().values()) == [0.5, 0.2, 0.1, 0.1, 0.05, 0.05]
    assert result.notes == (
        "quality_injection.log_injected_issues = true has no counterpart: what was injected is always in data/truth.",
    )


def test_the_misspelt_rate_of_the_documentation_is_taken_as_it_was_meant() -> None:
    result = read(BASE + "quality_injection:\n  enabled: true\n  corruption_rate: 0.3\n")
    beside = read(BASE + "quality_injection:\n  enabled: true\n  error_rate: 0.1\n  corruption_rate: 0.3\n")

    assert parsed(result.text).quality.event_error_rate == 0.3
    assert parsed(beside.text).quality.event_error_rate == 0.1
    assert "corruption_rate = 0.3 was ignored by the earlier system" in result.notes[0]


def test_what_has_no_counterpart_is_named_in_the_file_too() -> None:
    result = read(BASE + "colour: red\nquality_injection:\n  extra_field_probability: 0.1\n")

    assert len(result.notes) == 2
    assert "colour = red has no counterpart" in "".join(result.notes)
    assert "quality_injection.extra_field_probability = 0.1 has no counterpart: no issue adds a field." in result.notes
    comments = [line for line in result.text.splitlines() if line.startswith("#   ")]
    assert comments == [f"#   {note}" for note in result.notes]
    assert result.text.startswith("#:schema ./generator.schema.json\n# Imported from old.yaml.\n")


def test_comments_of_our_file_stay() -> None:
    shipped = [line.partition("#")[2] for line in (ETC / "generator.toml").read_text().splitlines() if "#" in line]
    made = [line.partition("#")[2] for line in read(BASE).text.splitlines() if "#" in line]

    assert [line for line in made if not line.startswith(" Imported from")] == shipped


@pytest.mark.parametrize(
    ("line", "path", "kept"),
    [
        ("event_rate_per_driver: 1e+30", "fleet.event_rate_per_driver", 1000),
        ("drivers_per_company: 20000", "fleet.drivers_per_company", 10_000),
        ("number_of_companies: 1000000", "modes.production.companies_per_batch", 100_000),
        ("company_onboarding_interval: PT0S", "modes.production.company_interval", 1),
        ("driver_event_interval: PT48H", "modes.production.driver_interval", 86_400),
        ("seed: -1", "seed", 0),
        ("drivers_per_company: true", "fleet.drivers_per_company", 1),
    ],
)
def test_a_value_that_the_earlier_system_took_and_we_do_not_is_named(line: str, path: str, kept: float) -> None:
    result = read(with_key(line))

    value: Any = parsed(result.text)
    for name in path.split("."):
        value = getattr(value, name)
    assert value == kept
    assert len(result.notes) == 1
    assert line.partition(":")[0] in result.notes[0]


def test_numbers_in_quotes_are_taken_as_they_were() -> None:
    config = config_of(with_key('drivers_per_company: "12"'))

    assert config.fleet.drivers_per_company == 12


def test_without_a_seed_one_is_drawn_and_that_is_said() -> None:
    result = read("\n".join(line for line in BASE.splitlines() if not line.startswith("seed")))

    assert parsed(result.text).seed is None
    assert "recorded" in result.notes[0]


def test_no_probability_at_all_injects_nothing() -> None:
    names = ("missing_field", "null_value", "malformed_timestamp", "invalid_enum", "duplicate", "boundary_violation")
    lines = "".join(f"  {name}_probability: 0\n" for name in names)

    assert config_of(BASE + "quality_injection:\n  enabled: true\n  error_rate: 0.5\n" + lines).quality.enabled is False


def test_bounds_in_the_wrong_order_are_put_right_and_named() -> None:
    result = read(EMULATED.format(seconds=10, companies=10, least=30, most=20))

    bounds = parsed(result.text).modes.emulated.events_per_batch
    assert (bounds.min, bounds.max) == (30, 30)
    assert "events_per_batch_max" in result.notes[0]


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read("drivers_per_company: many\nseed: 1.5\ncompany_onboarding_interval: 10S\nemulated_mode: fast\n")

    for fault in (
        "drivers_per_company = many",
        "seed = 1.5",
        "company_onboarding_interval = 10S",
        "emulated_mode is fast",
    ):
        assert str(caught.value).count(fault) == 1


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no configuration of the earlier system"):
        read(text)


def test_endless_values_are_named_by_their_kind() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{n}: &{n} [*{p}, *{p}, *{p}, *{p}]\n" for p, n in zip("abcdefghijkl", "bcdefghijklm", strict=True)
    )

    notes = read(BASE + bomb + "self: &self\n  again: *self\n").notes

    assert len(notes) == 14
    assert max(len(note) for note in notes) < 200


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("PT5S"))
KEYS = st.sampled_from(
    [
        *yaml.safe_load(BASE),
        *yaml.safe_load(QUALITY)["quality_injection"],
        "events_per_batch_min",
        "companies_per_batch",
        "x\n#",
    ]
)
TABLES = st.dictionaries(KEYS, SCALARS, max_size=6)


@given(
    st.dictionaries(
        st.one_of(KEYS, st.sampled_from(["emulated_mode", "quality_injection"])), st.one_of(SCALARS, TABLES)
    )
)
def test_whatever_is_imported_is_valid_or_refused(values: dict[str, Any]) -> None:
    try:
        result = imported(values, "old\n.yaml")
    except ConfigurationError as refused:
        assert "cannot be imported" in str(refused)
        return
    config = parsed(result.text)
    assert math.isfinite(config.fleet.event_rate_per_driver)
    assert Path("old.yaml").name not in result.text.splitlines()[0]

"""A segment's file holds everything that decides the bytes of its batches."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from fleetgen.config.segments import digest, read_segment, write_segment
from fleetgen.domain.records import SECOND, Quality, Segment, Settings
from fleetgen.errors import ManifestError
from support.configs import parsed, written

CONFIG = parsed(written({"fleet.geography_weights": "{ EU = 2, US = 1 }"}).text)
SEGMENT = Segment(
    number=3,
    instant=1_790_000_000 * SECOND + 123_456,
    algorithm=1,
    first_company_batch=17,
    first_company=170,
    first_event_batch=19,
    settings=CONFIG.settings(2**63 - 1),
)

OTHERWISE: dict[str, Any] = {
    "mode": "production",
    "seed": 1,
    "drivers_per_company": 11,
    "max_active_companies": 0,
    "event_rate_per_driver": 3.6,
    "geography_weights": {"US": 1.0, "EU": 2.1},
    "active_probability": 0.5,
    "event_type_weights": {"delivered": 1.0},
    "company_interval_seconds": 11,
    "driver_interval_seconds": 11,
    "companies_per_batch": 11,
    "events_per_batch": None,
    "quality": Quality(0.15, 0.15, {"missing_field": 1.0}),
}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A segment's file, in a folder that did not exist."""
    path = tmp_path / "segments" / "0003.toml"
    write_segment(path, SEGMENT, CONFIG, "the dataset")
    return path


def test_a_segment_is_read_as_it_was_written(recorded: Path) -> None:
    assert read_segment(recorded).value() == SEGMENT


def test_a_segment_in_production_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = parsed(written({"mode": '"production"'}).text)
    segment = replace(SEGMENT, settings=config.settings(7))

    write_segment(tmp_path / "0001.toml", segment, config, "the dataset")

    assert read_segment(tmp_path / "0001.toml").value() == segment


def test_a_segment_is_toml_with_the_dataset_and_both_modes(recorded: Path) -> None:
    values = tomllib.loads(recorded.read_text())

    assert values["segment"]["dataset_id"] == "the dataset"
    assert values["segment"]["digest"] == digest(SEGMENT.settings)
    assert values["settings"]["seed"] == 2**63 - 1
    assert values["settings"]["modes"]["production"]["driver_interval"] == "PT15M"
    assert values["settings"]["modes"]["emulated"]["driver_interval"] == "PT10S"


def test_paths_and_ports_are_no_part_of_a_segment(recorded: Path) -> None:
    values = tomllib.loads(recorded.read_text())

    assert set(values) == {"segment", "settings"}
    assert set(values["settings"]) == {"mode", "seed", "fleet", "modes", "quality"}


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_whatever_decides_the_bytes_alters_the_digest(name: str) -> None:
    assert digest(replace(SEGMENT.settings, **{name: OTHERWISE[name]})) != digest(SEGMENT.settings)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("paths.data", '"elsewhere"'),
        ("metrics.company_port", "9999"),
        ("schedule.catch_up_limit", "0"),
        ("supervisor.start_retries", "0"),
        ("modes.production.companies_per_batch", "1"),
    ],
)
def test_what_does_not_decide_the_bytes_keeps_the_digest(key: str, value: str) -> None:
    usual, other = parsed(written().text), parsed(written({key: value}).text)

    assert digest(other.settings(42)) == digest(usual.settings(42))
    assert other != usual


def test_the_same_settings_written_otherwise_keep_the_digest() -> None:
    # Given weights in another order and without decimals, and a rate and an interval in other words
    one = parsed(written({"fleet.geography_weights": "{ US = 1.0, EU = 2.0 }"}).text)
    other = parsed(
        written(
            {
                "fleet.geography_weights": "{ EU = 2, US = 1 }",
                "fleet.event_rate_per_driver": "35e-1",
                "modes.emulated.driver_interval": '"PT0M10S"',
            }
        ).text
    )

    # Then the digest is the same
    assert digest(one.settings(42)) == digest(other.settings(42))


def test_a_missing_segment_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"0001\.toml is missing.*Restore it or clean"):
        read_segment(tmp_path / "0001.toml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[segment]", "[segment"),
        ("number = 3", 'number = "three"'),
        ("number = 3", ""),
        ("algorithm = 1", "algorithm = 1\nunknown = 1"),
        ('mode = "emulated"', 'mode = "other"'),
        ("drivers_per_company = 10", "drivers_per_company = 0"),
        ("[settings]", "[setting]"),
    ],
)
def test_a_damaged_segment_is_a_fault_in_words(recorded: Path, old: str, new: str) -> None:
    # Given a segment's file that somebody edited by hand
    text = recorded.read_text()
    assert old in text
    recorded.write_text(text.replace(old, new, 1))

    # Then reading it names the file and says how to go on
    with pytest.raises(ManifestError, match=r"0003\.toml is damaged\. Restore it or clean"):
        read_segment(recorded)


def test_a_segment_of_other_bytes_than_utf8_is_a_fault_in_words(recorded: Path) -> None:
    recorded.write_bytes(recorded.read_bytes() + b"# \xff\n")

    with pytest.raises(ManifestError, match="is damaged"):
        read_segment(recorded)


def test_a_segment_without_a_readable_instant_is_a_fault_in_words(recorded: Path) -> None:
    values = tomllib.loads(recorded.read_text())
    recorded.write_text(recorded.read_text().replace(values["segment"]["instant"], "soon"))

    with pytest.raises(ManifestError, match="is damaged"):
        read_segment(recorded).value()

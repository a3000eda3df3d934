"""Owns turning the earlier system's configuration into a `generator.toml`; leaves reading YAML to `cli`.

What it says by its documented keys is kept. What has no counterpart, or lies outside what is allowed here, is named.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomlkit

from fleetgen.config.durations import format_duration, parse_duration
from fleetgen.config.presets import CONFIG_FILE, shipped
from fleetgen.config.tables.fields import DAY, GREATEST_SEED, HOUR
from fleetgen.errors import ConfigurationError

_WEIGHTS = ("missing_field", "null_value", "malformed_timestamp", "invalid_enum", "duplicate", "boundary_violation")
_WITHOUT = {
    "quality_injection.log_injected_issues": "what was injected is always in data/truth",
    "quality_injection.extra_field_probability": "no issue adds a field",
}
"""Documented keys without a counterpart, and what holds instead."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A configuration's text, and in sentences what of the earlier one is not in it, or is another."""

    text: str
    notes: tuple[str, ...]


def imported(values: object, named: str) -> Imported:
    """Return the configuration that the earlier system's, read from the file ``named``, stands for.

    Raises ConfigurationError with every value that is none.
    """
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{named} has no keys: this is no configuration of the earlier system.")
    reading = _Reading({str(key): value for key, value in values.items()})
    changes = _changes(reading)
    reading.name_the_rest()
    if reading.faults:
        listed = "\n".join(f"  {each}" for each in reading.faults)
        raise ConfigurationError(f"{named} cannot be imported:\n{listed}\n  Correct that, or leave it out.")
    return Imported(_written(changes, named, reading.notes), tuple(reading.notes))


@dataclass
class _Reading:
    """The earlier values, as they are taken one by one; what is not taken in the end has no counterpart."""

    values: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    def table(self, name: str) -> Mapping[Any, Any]:
        """Return a table; an empty one where there is none."""
        table = self.values.get(name)
        if table is None:
            table = {}
        if isinstance(table, Mapping):
            return table
        if name not in self._taken:
            self.faults.append(f"{name} is {_shown(table)}, but must be a table.")
            self._taken.add(name)
        return {}

    def get(self, key: str) -> Any:
        """Return the value of a dotted key, and remember that it was asked for; None where it is not set."""
        self._taken.add(key)
        table, _, name = key.rpartition(".")
        return (self.table(table) if table else self.values).get(name)

    def number(self, key: str, usual: float, least: float, most: float, whole: bool = False) -> Any:
        """Return a number within what is allowed here, and name it where it was another."""
        given = self.get(key)
        if given is None:
            return usual
        try:
            value = float(given) if not whole else int(given)
        except (TypeError, ValueError, OverflowError):
            value = None
        if value is None or math.isnan(value) or (whole and isinstance(given, float) and given != value):
            self.faults.append(f"{key} = {_shown(given)} is no {'whole ' if whole else ''}number.")
            return usual
        return self._within(key, given, value, least, most, str)

    def duration(self, key: str, usual: str, most: int) -> str:
        """Return a duration from a second to a greatest one, and name it where it was another."""
        given = self.get(key)
        if given is None:
            return usual
        try:
            seconds = parse_duration(given)
        except ValueError:
            self.faults.append(f"{key} = {_shown(given)} is no ISO 8601 duration of whole seconds, such as PT10S.")
            return usual
        return format_duration(int(self._within(key, given, seconds, 1, most, format_duration)))

    def truth(self, key: str, usual: bool) -> bool:
        """Return a truth."""
        given = self.get(key)
        if given is None:
            return usual
        if not isinstance(given, bool):
            self.faults.append(f"{key} = {_shown(given)} is neither true nor false.")
            return usual
        return given

    def name_the_rest(self) -> None:
        """Name every key that nobody asked for."""
        for key, value in self.values.items():
            if isinstance(value, Mapping) and key in ("emulated_mode", "quality_injection"):
                for name, inner in value.items():
                    self._name(f"{key}.{name}", inner)
            elif key not in ("emulated_mode", "quality_injection"):
                self._name(key, value)

    def _name(self, key: str, value: object) -> None:
        if key not in self._taken:
            instead = _WITHOUT.get(key, "the earlier system did not know this key, and ignored it")
            self.notes.append(f"{key} = {_shown(value)} has no counterpart: {instead}.")

    def _within(self, key: str, given: object, value: Any, least: Any, most: Any, say: Callable[[Any], str]) -> Any:
        kept = min(max(value, least), most)
        if isinstance(given, bool):
            self.notes.append(f"{key} = {_shown(given)} was taken for {say(value)}, and is here.")
        if kept != value:
            self.notes.append(f"{key} = {_shown(given)} lies outside what is allowed here: it is now {say(kept)}.")
        return kept


def _changes(old: _Reading) -> dict[str, Any]:
    """Return what stands in our file, by dotted keys."""
    batch = 100_000
    bounds = {
        "min": old.number("emulated_mode.events_per_batch_min", 5, 1, batch, whole=True),
        "max": old.number("emulated_mode.events_per_batch_max", 20, 1, batch, whole=True),
    }
    if bounds["max"] < bounds["min"]:
        old.notes.append(f"emulated_mode.events_per_batch_max lies below the min: it is now {bounds['min']}.")
        bounds["max"] = bounds["min"]
    return {
        "mode": "emulated" if old.truth("emulated_mode.enabled", False) else "production",
        "seed": _seed(old),
        "fleet.drivers_per_company": old.number("drivers_per_company", 10, 1, 10_000, whole=True),
        "fleet.event_rate_per_driver": old.number("event_rate_per_driver", 3.5, 1e-9, 1000),
        "modes.production.company_interval": old.duration("company_onboarding_interval", "PT1H", DAY),
        "modes.production.driver_interval": old.duration("driver_event_interval", "PT15M", DAY),
        "modes.production.companies_per_batch": old.number("number_of_companies", 100, 1, batch, whole=True),
        "modes.emulated.company_interval": old.duration("emulated_mode.company_batch_interval", "PT10S", HOUR),
        "modes.emulated.driver_interval": old.duration("emulated_mode.driver_batch_interval", "PT10S", HOUR),
        "modes.emulated.companies_per_batch": old.number("emulated_mode.companies_per_batch", 10, 1, 100, whole=True),
        "modes.emulated.events_per_batch": bounds,
        **_quality(old),
    }


def _seed(old: _Reading) -> int | None:
    if old.get("seed") is None:
        old.notes.append("seed is not set: one is drawn at the first start, and recorded.")
        return None
    seed: int = old.number("seed", 0, 0, GREATEST_SEED, whole=True)
    return seed


def _quality(old: _Reading) -> dict[str, Any]:
    enabled = old.truth("quality_injection.enabled", False)
    rate = old.number("quality_injection.error_rate", 0.0 if enabled else 0.15, 0, 1)  # what is off keeps our default
    meant = old.number("quality_injection.corruption_rate", 0.0, 0, 1)
    if old.get("quality_injection.corruption_rate") is not None:
        if old.get("quality_injection.error_rate") is None:
            rate = meant
            taken = "it is taken as the error rate that was meant"
        else:
            taken = "error_rate stands beside it, and is taken"
        old.notes.append(f"quality_injection.corruption_rate = {meant:g} was ignored by the earlier system: {taken}.")
    weights = {
        name: old.number(f"quality_injection.{name}_probability", usual, 0, 1)
        for name, usual in zip(_WEIGHTS, (0.3, 0.3, 0.2, 0.1, 0.05, 0.05), strict=True)
    }
    if not any(weights.values()):
        old.notes.append("quality_injection gives every type of issue the probability 0: nothing is injected.")
        return {"quality.enabled": False}
    return {
        "quality.enabled": enabled,
        "quality.event_error_rate": rate if old.truth("quality_injection.inject_in_driver_events", True) else 0.0,
        "quality.company_error_rate": rate if old.truth("quality_injection.inject_in_companies", True) else 0.0,
        **{f"quality.weights.{name}": weight for name, weight in weights.items()},
    }


def _written(changes: dict[str, Any], named: str, notes: list[str]) -> str:
    """Return the file that ships, with these values and a note on where they are from."""
    document = tomlkit.parse((shipped() / CONFIG_FILE).read_text(encoding="utf-8"))
    for key, value in changes.items():
        _put(document, key.split("."), value)
    first, _, rest = tomlkit.dumps(document).partition("\n")
    head = [f"# Imported from {_one_line(named)}."]
    head += ["# Other than there:", *(f"#   {_one_line(note)}" for note in notes)] if notes else []
    return "\n".join([first, *head, rest])


def _put(document: Any, path: list[str], value: Any) -> None:
    """Set a key; a comment on its line stays."""
    *tables, name = path
    for table in tables:
        document = document[table]
    if value is None:
        document.pop(name, None)
    elif isinstance(value, dict):
        for inner, number in value.items():
            document[name][inner] = number
    elif document.get(name) != value:
        document[name] = value


def _shown(value: object) -> str:
    """Return a value as a line of the file shows it, short; tables and lists, which may be endless, by their kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, (list, set, tuple)):
        return "a list"
    text = _one_line("null" if value is None else str(value))
    return text if len(text) <= 60 else f"{text[:60]}…"


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)

"""Every clean record is valid under the schema that the command line prints."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from fleetgen.domain.records import COMPANY_FIELDS, EVENT_FIELDS, EVENT_TYPES, GEOGRAPHIES, Settings, Stream
from fleetgen.domain.schemas import schema_text
from support.domain_cases import (
    batch_bytes,
    company_inputs,
    emulated,
    event_inputs,
    following_segment,
    only_segment,
    production,
)

SETTINGS = {
    "emulated": emulated(),
    "production": production(active_probability=0.5),
    "many drivers": production(drivers_per_company=10_000, event_rate_per_driver=0.01),
    "long seed": production(seed=2**63 - 1, geography_weights=dict.fromkeys(GEOGRAPHIES, 1.0)),
}

COMPANY: dict[str, Any] = {
    "company_id": "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0",
    "geography": "US",
    "active": True,
    "created_at": "2026-01-01T12:00:00.000001Z",
}
EVENT: dict[str, Any] = {
    "event_id": "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0",
    "driver_id": "DRV-0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0-007",
    "company_id": "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0",
    "truck_id": "TRK-42-0007",
    "event_type": "delivered",
    "timestamp": "2026-01-01T12:00:00.000001Z",
}

WRONG_COMPANIES: list[dict[str, Any]] = [
    {"geography": "MARS"},
    {"active": "true"},
    {"active": None},
    {"company_id": "0b1c2d3e-4f50-1172-8394-a5b6c7d8e9f0"},
    {"created_at": "2026-01-01T12:00:00Z"},
    {"created_at": "2026-01-01T12:00:00.000001"},
    {"extra": 1},
]
WRONG_EVENTS: list[dict[str, Any]] = [
    {"event_type": "flying"},
    {"driver_id": "DRV-0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0-07"},
    {"truck_id": "TRK-42-007"},
    {"timestamp": "2026/01/01 12:00:00"},
    {"timestamp": None},
]


def validator(stream: Stream) -> Draft202012Validator:
    schema = json.loads(schema_text(stream, "jsonschema"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def lines_of(settings: Settings, stream: Stream) -> list[dict[str, Any]]:
    first = only_segment(settings)
    segments = [first, following_segment(first, settings, company_batches=3)]
    inputs = company_inputs(segments, 3) if stream is Stream.COMPANIES else event_inputs(segments, 100, 3)
    return [json.loads(line) for line in batch_bytes(inputs).splitlines()]


@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_every_record_is_valid(settings: Settings, stream: Stream) -> None:
    records = lines_of(settings, stream)
    check = validator(stream)

    assert records
    for record in records:
        check.validate(record)


@pytest.mark.parametrize(("stream", "record"), [(Stream.COMPANIES, COMPANY), (Stream.EVENTS, EVENT)])
def test_a_record_that_lacks_a_field_is_not_valid(stream: Stream, record: dict[str, Any]) -> None:
    check = validator(stream)

    assert check.is_valid(record)
    for name in record:
        assert not check.is_valid({key: value for key, value in record.items() if key != name})


@pytest.mark.parametrize("change", WRONG_COMPANIES)
def test_a_wrong_company_is_not_valid(change: dict[str, Any]) -> None:
    assert not validator(Stream.COMPANIES).is_valid({**COMPANY, **change})


@pytest.mark.parametrize("change", WRONG_EVENTS)
def test_a_wrong_event_is_not_valid(change: dict[str, Any]) -> None:
    assert not validator(Stream.EVENTS).is_valid({**EVENT, **change})


@pytest.mark.parametrize(("stream", "fields"), [(Stream.COMPANIES, COMPANY_FIELDS), (Stream.EVENTS, EVENT_FIELDS)])
def test_all_forms_name_the_fields_in_their_order(stream: Stream, fields: tuple[str, ...]) -> None:
    described = json.loads(schema_text(stream, "jsonschema"))
    spark = json.loads(schema_text(stream, "spark"))
    columns = schema_text(stream, "duckdb").strip("{}").split(", ")

    assert tuple(described["properties"]) == tuple(described["required"]) == fields
    assert tuple(field["name"] for field in spark["fields"]) == fields
    assert tuple(column.split(":")[0] for column in columns) == fields


def test_the_schema_lists_every_geography_and_event_type() -> None:
    companies = json.loads(schema_text(Stream.COMPANIES, "jsonschema"))
    events = json.loads(schema_text(Stream.EVENTS, "jsonschema"))

    assert companies["properties"]["geography"]["enum"] == list(GEOGRAPHIES)
    assert events["properties"]["event_type"]["enum"] == list(EVENT_TYPES)

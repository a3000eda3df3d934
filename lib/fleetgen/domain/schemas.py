"""Owns the schemas of the records in the languages of those who read them."""

import json
from dataclasses import dataclass

from fleetgen.domain.records import COMPANY_FIELDS, EVENT_FIELDS, EVENT_TYPES, GEOGRAPHIES, Stream

SCHEMA_FORMS = ("jsonschema", "spark", "duckdb")

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"


@dataclass(frozen=True, slots=True)
class _Type:
    json: dict[str, object]
    spark: str
    duckdb: str


def _text(**rules: object) -> _Type:
    return _Type({"type": "string", **rules}, "string", "VARCHAR")


_TYPES = {
    "company_id": _text(format="uuid", pattern=_UUID),
    "geography": _text(enum=list(GEOGRAPHIES)),
    "active": _Type({"type": "boolean"}, "boolean", "BOOLEAN"),
    "created_at": _Type({"type": "string", "format": "date-time", "pattern": _INSTANT}, "timestamp", "TIMESTAMPTZ"),
    "event_id": _text(format="uuid", pattern=_UUID),
    "driver_id": _text(pattern=f"^DRV-{_UUID[1:-1]}-[0-9]{{3,4}}$"),
    "truck_id": _text(pattern="^TRK-[0-9]+-[0-9]{4,}$"),
    "event_type": _text(enum=list(EVENT_TYPES)),
    "timestamp": _Type({"type": "string", "format": "date-time", "pattern": _INSTANT}, "timestamp", "TIMESTAMPTZ"),
}


def schema_text(stream: Stream, form: str) -> str:
    """Return the schema of a stream's clean records: JSON Schema, Spark's JSON form of a StructType, or DuckDB columns."""
    fields = COMPANY_FIELDS if stream is Stream.COMPANIES else EVENT_FIELDS
    if form == "spark":
        return json.dumps({"type": "struct", "fields": [_spark_field(name) for name in fields]}, indent=2)
    if form == "duckdb":
        return "{" + ", ".join(f"{name}: '{_TYPES[name].duckdb}'" for name in fields) + "}"
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": stream.value,
        "type": "object",
        "properties": {name: _TYPES[name].json for name in fields},
        "required": list(fields),
        "additionalProperties": False,
    }
    return json.dumps(schema, indent=2)


def _spark_field(name: str) -> dict[str, object]:
    return {"name": name, "type": _TYPES[name].spark, "nullable": False, "metadata": {}}

"""Owns durations: ISO 8601 strings of whole seconds, such as PT10S or PT1H30M."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_FORM = re.compile(r"P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?")
_PATTERN = r"^P(?=[0-9T])([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+S)?)?$"
_UNITS = (86_400, 3_600, 60, 1)


def parse_duration(text: object) -> int:
    """Return the seconds of an ISO 8601 duration; raise ValueError for anything else."""
    matched = _FORM.fullmatch(text) if isinstance(text, str) and text.isascii() else None
    if matched is None or not any(matched.groups()) or matched[0].endswith("T"):
        raise ValueError("is no ISO 8601 duration of whole seconds")
    return sum(int(number) * unit for number, unit in zip(matched.groups(default="0"), _UNITS, strict=True))


def format_duration(seconds: int) -> str:
    """Return seconds as an ISO 8601 duration: 5400 as PT1H30M."""
    hours, rest = divmod(seconds, 3600)
    parts = ((hours, "H"), (rest // 60, "M"), (rest % 60, "S"))
    return "PT" + ("".join(f"{number}{unit}" for number, unit in parts if number) or "0S")


@dataclass(frozen=True, slots=True)
class Duration:
    """Marks a model's field as a duration from ``least`` to ``most`` seconds; the field's value is whole seconds."""

    least: int
    most: int

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f'a duration from "{format_duration(self.least)}" to "{format_duration(self.most)}" (ISO 8601, whole seconds)'

    def read(self, text: object) -> int:
        """Return the seconds; raise ValueError outside the range."""
        seconds = parse_duration(text)
        if not self.least <= seconds <= self.most:
            raise ValueError("is out of range")
        return seconds

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(format_duration)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": _PATTERN, "allowed": self.allowed}

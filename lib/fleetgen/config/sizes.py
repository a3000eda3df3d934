"""Owns sizes in bytes: a number and a unit, such as 700MB or 1.5 GiB."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_FORM = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?(?:([kKMGT])(i?))?B", re.ASCII)
_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,6})? ?([kKMGT]i?)?B$"
_PREFIXES = "KMGT"


def parse_size(text: object) -> int:
    """Return the bytes of a size: 1.5 GiB as 1610612736; raise ValueError for anything else."""
    matched = _FORM.fullmatch(text) if isinstance(text, str) else None
    if matched is None:
        raise ValueError("is no size with a unit")
    number, prefix, binary = matched.groups(default="")
    power = _PREFIXES.index(prefix.upper()) + 1 if prefix else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


@dataclass(frozen=True, slots=True)
class Size:
    """Marks a model's field as a size of at least ``least`` megabytes; the field's value is bytes."""

    least: int

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f'a size of at least "{self.least}MB", such as "700MB" or "2GB"'

    def read(self, text: object) -> int:
        """Return the bytes; raise ValueError outside the range."""
        size = parse_size(text)
        if size < self.least * 1_000_000:
            raise ValueError("is too small")
        return size

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(lambda size: f"{size}B")
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": _PATTERN, "allowed": self.allowed}

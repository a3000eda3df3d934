"""Owns sizes in bytes: a number and a unit, such as 700MB or 1.5 GiB."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import ByteSize, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,6})? ?([kKMGT]i?)?B$"
_BYTES = TypeAdapter(ByteSize)


def parse_size(text: object) -> int:
    """Return the bytes of a size with a unit of bytes; raise ValueError for anything else."""
    if not isinstance(text, str) or not re.match(_PATTERN, text):
        raise ValueError("is no size with a unit")
    return int(_BYTES.validate_python(text))


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

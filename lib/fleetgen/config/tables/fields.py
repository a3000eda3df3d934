"""Owns what the tables of the file have in common: their strictness, and fields that say in words what they admit."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

DAY = 86_400
HOUR = 3_600
"""Seconds."""

GREATEST_SEED = 2**63 - 1


class Table(BaseModel):
    """A table of the file: frozen, strict, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, defer_build=True)


def allowed(text: str) -> Any:
    """Return a field that says in words what it admits."""
    return Field(json_schema_extra={"allowed": text})


def whole(least: int, most: int | None = None) -> Any:
    """Return a field for whole numbers in a range."""
    words = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    return Field(ge=least, le=most, json_schema_extra={"allowed": words})


def weights(names: tuple[str, ...]) -> Any:
    """Return a field for a table of weights."""
    quoted = ", ".join(f'"{name}"' for name in names)
    return allowed(f"a table with weights of at least 0, not all of them 0, for any of {quoted}")


def some_weight(weights: dict[str, float]) -> dict[str, float]:
    """Refuse weights that are all 0."""
    if not sum(weights.values()) > 0:
        raise ValueError("has no weight above 0")
    return weights


def filled(path: str) -> str:
    """Refuse a text that no path or address can be."""
    if not path or "\0" in path:
        raise ValueError("is empty or has a null character")
    return path


Weight = Annotated[
    float, Field(ge=0, le=1e9, allow_inf_nan=False, json_schema_extra={"allowed": "a number from 0 to 1000000000"})
]
Probability = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, json_schema_extra={"allowed": "a number from 0 to 1"})
]
Rate = Annotated[
    float,
    Field(gt=0, le=1000, allow_inf_nan=False, json_schema_extra={"allowed": "a number above 0 and at most 1000"}),
]
Port = Annotated[int, whole(1, 65_535)]
BatchSize = Annotated[int, whole(1, 100_000)]
FolderName = Annotated[str, AfterValidator(filled), allowed("the path of a folder, as a string")]

"""Owns the words about a faulty configuration: every fault with its line, key, value, what is allowed, and a near key."""

import json
import re
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fleetgen.config.model import Config

_HEADER = re.compile(r"\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_WORD = re.compile(r"""[\w-]+|"([^"]*)"|'([^']*)'""")
_VALUE_LENGTH = 60
_TEXT = re.compile(r"""\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}.*?'{3}""", re.DOTALL)

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, in words."""

    key: str
    text: str
    line: int | None

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.key} {self.text}"


def faults_of(failure: ValidationError, text: str, values: dict[str, Any]) -> list[Fault]:
    """Return the faults in the order of the file; those without a line come last."""
    lines = written_lines(text)
    faults = [_fault(error, lines, values) for error in _errors(failure, values)]
    return sorted(set(faults), key=lambda fault: (fault.line is None, fault.line or 0, fault.key))


def _errors(failure: ValidationError, values: dict[str, Any]) -> list[ErrorDetails]:
    """Return every error, also those of tables that are missing: what they must have is told with them."""
    errors = failure.errors(include_url=False, include_input=False)
    absent = [error["loc"] for error in errors if _is_missing_table(error)]
    if not absent:
        return errors
    try:
        filled = deepcopy(values)
    except RecursionError:  # nested too deeply to look further
        return errors
    for path in absent:
        _at(filled, tuple(map(str, path[:-1])))[path[-1]] = {}
    try:
        Config.model_validate(filled)
    except ValidationError as further:
        known = [error["loc"] for error in errors]
        errors += [error for error in _errors(further, filled) if error["loc"] not in known]
    return errors


def _is_missing_table(error: ErrorDetails) -> bool:
    return error["type"] == "missing" and "table" in _remedy(tuple(map(str, error["loc"])))


def _fault(error: ErrorDetails, lines: dict[Path, int], values: dict[str, Any]) -> Fault:
    path = tuple(str(step) for step in error["loc"])
    unknown = error["type"] == "extra_forbidden"
    if not unknown and path[-1:] == ("[key]",):  # pydantic's mark for a fault of the key itself
        path, unknown = path[:-1], True
    line = nearest_line(lines, path)
    if error["type"] == "missing":
        return Fault(_dotted(path), f"is missing: {_remedy(path)}", nearest_line(lines, path[:-1]))
    if unknown:
        return Fault(_dotted(path), f"is no known key{_near(path)}", line)
    given = _shown(_at(values, path))
    reason = str(error["ctx"]["error"]) if error["type"] == "value_error" else ""
    if reason and _allowed(path) in ("", "a table"):
        return Fault(_dotted(path), reason, line)
    explained = f" {reason}:" if reason else " is not allowed:"
    return Fault(_dotted(path), f"= {given}{explained} it must be {_allowed(path)}", line)


def _remedy(path: Path) -> str:
    node = _schema_at(path)
    if node.get("allowed", "") == "a table":
        return f"add the table [{_dotted(path)}]"
    return f"give it {node.get('allowed', 'a value')}"


def _near(path: Path) -> str:
    known = sorted(_schema_at(path[:-1]).get("properties", {})) or _names(path[:-1])
    near = get_close_matches(path[-1], known, n=1)
    here = f" of [{_dotted(path[:-1])}]" if path[:-1] else ""
    return f"; did you mean {near[0]!r}?" if near else f"{here}; known are {', '.join(known)}"


def _names(path: Path) -> list[str]:
    names: list[str] = _schema_at(path).get("propertyNames", {}).get("enum", [])
    return names


def _allowed(path: Path) -> str:
    allowed: str = _schema_at(path).get("allowed", "")
    return allowed


@cache
def plain_schema() -> dict[str, Any]:
    """Return the JSON Schema as pydantic makes it, with each field's ``allowed``."""
    return Config.model_json_schema()


def _schema_at(path: Path) -> dict[str, Any]:
    """Return the part of the schema that describes a key: its own words over those of its type."""
    node = plain_schema()
    for step in path:
        inner = node.get("properties", {}).get(step, node.get("items", node.get("additionalProperties")))
        if not isinstance(inner, dict):
            return {}
        node = _resolved(inner)
    return node


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        node = {**plain_schema()["$defs"][node["$ref"].rpartition("/")[2]], **node}
    if "anyOf" in node:
        node = {**_resolved(node["anyOf"][0]), **node}
    return node


def _dotted(path: Path) -> str:
    return ".".join(_step(step) for step in path) or "the file"


def _step(step: str) -> str:
    """Return one step of a key as TOML writes it, cut short, and without what a terminal would obey."""
    return _cut(step if re.fullmatch(r"[\w-]+", step) else json.dumps(step, ensure_ascii=not step.isprintable()))


def _at(values: Any, path: Path) -> Any:
    for step in path:
        if isinstance(values, list) and step.isdecimal() and int(step) < len(values):
            values = values[int(step)]
        else:
            values = values.get(step) if isinstance(values, dict) else None
    return values


def _shown(value: Any) -> str:
    try:
        return _cut(json.dumps(value, ensure_ascii=isinstance(value, str) and not value.isprintable(), default=str))
    except (ValueError, RecursionError):
        return "…"  # a number of thousands of digits, or tables nested a thousand deep


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"


def nearest_line(lines: dict[Path, int], path: Path) -> int | None:
    """Return the line on which a key, or the nearest table above it, is written."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def written_lines(text: str) -> dict[Path, int]:
    """Map each table and key to the line that writes it."""
    table: Path = ()
    found: dict[Path, int] = {}
    plain = _TEXT.sub(lambda match: '""' + "\n" * match[0].count("\n"), text)
    for number, line in enumerate(plain.split("\n"), 1):
        if header := _HEADER.match(line):
            table = _words(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_words(key[1])), number)
    return found


def _words(text: str) -> Path:
    return tuple(word[1] or word[2] or word[0] for word in _WORD.finditer(text))

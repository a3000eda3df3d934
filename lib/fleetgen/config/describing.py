"""Owns the JSON Schema of the configuration with what the docstrings say of each key.

pydantic can read them itself, but does so whenever a process starts: that takes longer than building the models.
"""

import ast
import inspect
from itertools import pairwise
from typing import Any

from fleetgen.config.model import Config
from fleetgen.config.tables.fields import Table


def described_schema() -> dict[str, Any]:
    """Return the JSON Schema as pydantic makes it, with each field's ``allowed`` and the docstring below it."""
    schema = Config.model_json_schema()
    definitions = {**schema["$defs"], Config.__name__: schema}
    for table in Table.__subclasses__():
        if (definition := definitions.get(table.__name__)) is not None:
            _describe(definition["properties"], docstrings(table))
    return schema


def docstrings(table: type[Table]) -> dict[str, str]:
    """Return the texts below the fields of a table's class, by field."""
    declared = next(each for each in ast.parse(inspect.getsource(table)).body if isinstance(each, ast.ClassDef))
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(declared.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _describe(properties: dict[str, Any], texts: dict[str, str]) -> None:
    for name, text in texts.items():
        properties[name] = dict(sorted({**properties[name], "description": text}.items()))  # pydantic sorts them too

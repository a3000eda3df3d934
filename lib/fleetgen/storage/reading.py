"""Owns reading JSON that this process did not just write: whatever is wrong with it is a ValueError that says where.

Deep nesting ends the parser with a RecursionError, which nobody expects of a damaged file.
"""

import json
from pathlib import Path
from typing import Any


def parse_json(text: str | bytes, source: Path | str) -> Any:
    """Return the value of a JSON text; raise ValueError naming the source for anything that is none."""
    try:
        return json.loads(text)
    except ValueError as fault:
        raise ValueError(f"{source} holds no JSON: {fault}") from fault
    except RecursionError as fault:
        raise ValueError(f"{source} is nested too deeply to be read") from fault


def read_json(path: Path) -> Any:
    """Return the value of a JSON file; raise ValueError if it is damaged, OSError if it cannot be had."""
    return parse_json(path.read_bytes(), path)

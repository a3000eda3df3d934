"""Owns log lines: JSON for programs, and the same line as a sentence for people."""

import json
import re
import sys
from collections.abc import Callable
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from fleetgen.telemetry.colours import coloured

Logger = structlog.typing.FilteringBoundLogger

COLOURS = {"company": "36", "driver": "35", "pipeline": "32", "control": "34", "supervisor": "34"}
"""All are legible on light and on dark grounds; what has none is written as everything else."""

_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
"""What a terminal would obey, and how it is shown instead; a tab and a line break are shown as they are."""

_LEVEL_COLOURS = {"warning": "33", "error": "31", "critical": "31"}


def start_logging(logger: str, stream: TextIO | None = None) -> Logger:
    """Write log lines to a stream from now on: sentences on a terminal, JSON Lines otherwise. Returns the logger.

    Without a stream it is standard output as it is now.
    """
    stream = stream or sys.stdout
    shape: Callable[[Any, str, Any], str] = _readable(coloured(stream)) if stream.isatty() else _as_json
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True),
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        _uncoloured,
        shape,
    ]
    structlog.configure(processors, logger_factory=structlog.WriteLoggerFactory(stream), cache_logger_on_first_use=True)
    bound: Logger = structlog.get_logger().bind(logger=logger)
    return bound


def sentence(line: dict[str, Any], colour: bool) -> str:
    """Return a log line as people read it: time, process, what happened."""
    process, level = str(line.get("logger", "")), str(line.get("level", "info"))
    text = str(line.get("event", ""))
    if remedy := line.get("remedy"):
        text = f"{text} {remedy}"
    if fault := line.get("exception"):
        text = f"{text} ({fault[-1]['exc_type']}: {fault[-1]['exc_value']})"
    text = text.translate(_CONTROLS)
    time = str(line.get("timestamp", ""))[11:19]
    if not colour:
        return f"{time}  {process:<10}  {text}"
    code = _LEVEL_COLOURS.get(level)
    shown = f"\033[{code}m{text}\033[0m" if code else text
    return f"\033[2m{time}\033[0m  \033[{COLOURS.get(process, '39')}m{process:<10}\033[0m  {shown}"


def _uncoloured(logger: Any, method: str, line: Any) -> Any:
    """Leave out the codes for colours that some libraries put into their messages."""
    line["event"] = _COLOUR_CODES.sub("", str(line.get("event", "")))
    for fault in line.get("exception", ()):
        fault["exc_value"] = _COLOUR_CODES.sub("", fault["exc_value"])
    return line


def _as_json(logger: Any, method: str, line: Any) -> str:
    first = {key: line.pop(key) for key in ("timestamp", "level", "logger", "event") if key in line}
    return json.dumps({**first, **line}, default=str)


def _readable(colour: bool) -> Callable[[Any, str, Any], str]:
    return lambda logger, method, line: sentence(line, colour)

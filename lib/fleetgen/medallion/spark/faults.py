"""Owns what is wrong when Spark cannot work, in one line each that names the remedy."""

import re
from pathlib import Path

from fleetgen.errors import FleetgenError, SystemLacks, Unreachable

OTHERWISE = 'or set pipeline.engine = "embedded"'


class NoSpark(SystemLacks):
    """The Spark engine needs pyspark: install it with `pip install 'fleetgen[pipeline,spark]'`."""


class NoJars(SystemLacks):
    """The folder of pipeline.spark.jars has no jars of Delta."""


class SparkUnreachable(Unreachable):
    """Spark does not answer."""


class SparkFailed(FleetgenError):
    """Spark could not finish its work."""


def first_words(fault: BaseException) -> str:
    """Return one line that says why Spark failed: that of the innermost cause, without the names of classes."""
    lines = str(fault).splitlines()
    causes = [line.partition("Caused by:")[2] for line in lines if "Caused by:" in line]
    told = (
        causes[-1] if causes else next((line for line in lines if line.strip() and not line.startswith("An error")), "")
    )
    return (
        re.sub(r"^(?:[\w.$]+(?:Exception|Error|Throwable):\s*)+", "", told.strip(": ").strip())[:300]
        or "it does not say why"
    )


def last_words(log: Path) -> str:
    """Return the line in which Spark's log says why it did not start."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    named = [
        line
        for line in lines
        if re.search(r"Exception|Error|unresolved|not found", line) and not line.startswith("at ")
    ]
    return (named or lines or ["it does not say why"])[-1][:300]

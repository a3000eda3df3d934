"""Owns the tables about how much may lie there: how far consumers may be behind, and what is kept on the disk."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from fleetgen.config.tables.fields import Table, allowed, whole

ConsumerName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$"),
    allowed('the name of a consumer: up to 64 small letters, digits, ".", "_" and "-"'),
]


class Backpressure(Table):
    """What happens when a consumer falls behind."""

    consumers: Annotated[
        tuple[ConsumerName, ...], Field(strict=False), allowed('a list of names of consumers, such as ["pipeline"]')
    ] = ("pipeline",)
    """Whose acknowledgements count, while they are registered."""
    max_backlog_batches: Annotated[int, whole(1)] = 60
    """Published batches of a stream that a consumer may not have acknowledged."""
    action: Annotated[Literal["pause", "warn", "off"], allowed('"pause", "warn" or "off"')] = "pause"
    """Leave intervals of the stream out until the consumer has caught up, only say so, or nothing."""


class Retention(Table):
    """What is kept on the disk."""

    keep_batches: Annotated[int, whole(0)] = 0
    """Acknowledged batches beyond this many of a stream's newest are removed from bronze and truth; 0 keeps all."""
    min_free_bytes: Annotated[int, whole(0)] = 268_435_456
    """With less than this free on the data's disk, nothing is published."""

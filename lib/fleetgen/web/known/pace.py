"""Owns how fast batches have come lately, from their metas; empty before the second."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from fleetgen.domain.records import SECOND, Stream, instant

BATCHES = 10
"""Newest batches of a stream from which its pace is told."""

_LAGS = 200


@dataclass(frozen=True, slots=True)
class _Made:
    at: int
    records: int


class Pace:
    """The newest batches of both streams. Instants are microseconds."""

    def __init__(self) -> None:
        self._made: dict[Stream, deque[_Made]] = {stream: deque(maxlen=BATCHES) for stream in Stream}
        self._lags: deque[float] = deque(maxlen=_LAGS)

    def add(self, stream: Stream, meta: dict[str, Any]) -> None:
        """Take a further batch into account; raise KeyError or ValueError for a meta that is none."""
        self._made[stream].append(_Made(instant(meta["generation_time"]), meta["record_count"]))
        lag = instant(meta["started_at"]) - instant(meta["scheduled_at"])
        length = instant(meta["interval_end"]) - instant(meta["interval_start"])
        if meta["batch_number"] > 0 and lag < length:  # a greater lag is a batch that was made up for
            self._lags.append(max(0, lag) / SECOND)

    def batches_per_minute(self, now: int) -> float | None:
        """Return the batches of both streams in a minute."""
        return self._rate(now, lambda made: len(made) - 1, 60)

    def records_per_second(self, now: int) -> float | None:
        """Return the records of both streams in a second."""
        return self._rate(now, lambda made: sum(each.records for each in list(made)[1:]), 1)

    def start_lag_p99_seconds(self) -> float | None:
        """Return the 99th percentile of actual minus scheduled start of the batches that were not made up for."""
        lags = sorted(self._lags)
        return lags[math.ceil(0.99 * len(lags)) - 1] if lags else None

    def _rate(self, now: int, amount: Any, seconds: int) -> float | None:
        rates = [
            amount(made) * seconds * SECOND / span for made in self._made.values() if (span := _span(made, now)) > 0
        ]
        return round(sum(rates), 3) if rates else None


def _span(made: deque[_Made], now: int) -> int:
    """Return the time that the batches took, and of the present silence what exceeds their usual distance."""
    if len(made) < 2:
        return 0
    span = made[-1].at - made[0].at
    silence = now - made[-1].at - 2 * span // (len(made) - 1)
    return span + max(0, silence)

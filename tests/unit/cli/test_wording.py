"""Times and spans, as people write them."""

import pytest

from fleetgen.cli.wording import clock_time, since, span
from fleetgen.domain.records import SECOND, instant


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (119.9, "119 s"), (972, "16 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 days")],
)
def test_a_span_has_the_unit_that_people_would_use(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_an_instant_of_another_day_has_its_date() -> None:
    now = instant("2026-11-29T12:00:00Z")
    assert clock_time("2026-11-29T12:00:10.000000Z", now) == "12:00:10"
    assert clock_time("2026-11-30T00:00:00.000000Z", now) == "2026-11-30 00:00:00"
    assert since(now - 972 * SECOND, now) == "since 11:43:48 (16 min)"

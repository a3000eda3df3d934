"""What a damaged batch holds up, and for how long."""

from fleetgen.domain.records import SECOND, Stream
from fleetgen.medallion.carrying.holding import Holding
from fleetgen.medallion.lines import DamagedBatch

NOW = 1_767_225_600 * SECOND
DAMAGE = DamagedBatch("Batch 7 is not as it was published.", 7)


def test_only_the_stream_with_the_damaged_batch_is_held_up_ever_longer() -> None:
    holding = Holding()
    waits = [holding.begins(Stream.EVENTS, DAMAGE, NOW) // SECOND for _ in range(7)]
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert holding.holds(Stream.EVENTS, NOW + 29 * SECOND)
    assert not holding.holds(Stream.EVENTS, NOW + 30 * SECOND)
    assert not holding.holds(Stream.COMPANIES, NOW)
    assert holding.damage is DAMAGE


def test_what_is_repaired_is_forgotten_and_begins_anew() -> None:
    holding = Holding()
    for _ in range(3):
        holding.begins(Stream.EVENTS, DAMAGE, NOW)
    holding.is_over(Stream.EVENTS)
    assert not holding.holds(Stream.EVENTS, NOW)
    assert holding.damage is None
    assert holding.begins(Stream.EVENTS, DAMAGE, NOW) == SECOND


def test_damage_stays_known_while_another_stream_goes_on() -> None:
    holding = Holding()
    holding.begins(Stream.EVENTS, DAMAGE, NOW)
    holding.is_over(Stream.COMPANIES)
    assert holding.damage is DAMAGE


def test_a_clock_that_is_set_back_ends_the_wait() -> None:
    holding = Holding()
    holding.begins(Stream.EVENTS, DAMAGE, NOW)
    assert not holding.holds(Stream.EVENTS, NOW - 60 * SECOND)

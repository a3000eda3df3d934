"""Intervals tile time whatever the clock, pauses, outages and edits do; gaps arise only where the rules say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetgen.cadence.schedule import (
    HELD_UP,
    Decision,
    Grid,
    Make,
    Skip,
    Wait,
    decide,
    floor,
    next_interval,
    next_point,
    origin_starts,
)
from fleetgen.domain.records import SECOND, Interval, instant
from fleetgen.storage.manifest import Desired

BEGIN = instant("2026-01-01T12:00:00Z")

STEPS = [SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, 420 * SECOND]

MOST_TURNS = 60


@dataclass(frozen=True)
class Moment:
    """A decision and all that it was taken from."""

    decision: Decision
    stands_at: int
    grid: Grid
    now: int
    attended_since: int
    limit: int
    desired: Desired

    @property
    def span(self) -> Interval | None:
        """What was decided for good, if anything."""
        if isinstance(self.decision, Wait):
            return None
        return self.decision.interval if isinstance(self.decision, Make) else self.decision.span

    @property
    def due(self) -> list[Interval]:
        """The intervals that are due, enumerated one by one."""
        intervals: list[Interval] = []
        stands_at = self.stands_at
        while (following := next_interval(stands_at, self.grid)).end <= self.now:
            intervals.append(following)
            stands_at = following.end
        return intervals

    @property
    def before_anything(self) -> bool:
        """Whether the stream's first interval is next."""
        return self.grid.origin is not None and self.stands_at == self.grid.origin.start

    @property
    def before_segment(self) -> bool:
        """Whether this leaves out what an outage before the segment cost."""
        return isinstance(self.decision, Skip) and self.decision.span.end <= self.grid.opened_at


@dataclass
class World:
    """One stream, the clock and the people around it."""

    grid: Grid
    stands_at: int
    now: int
    attended_since: int
    limit: int
    desired: Desired = field(default_factory=Desired)
    history: list[Moment] = field(default_factory=list)

    def move_clock(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def restart(self, _: float = 0) -> None:
        self.attended_since = self.now

    def pause(self, _: float = 0) -> None:
        if not self.desired.paused:
            self.desired = self.desired.updated(paused=True, paused_at=self.now)

    def resume(self, _: float = 0) -> None:
        if self.desired.paused:
            self.desired = self.desired.updated(paused=False, resumed_at=self.now)

    def open_segment(self, choice: float) -> None:
        step = STEPS[int(choice) % len(STEPS)]
        self.grid = replace(self.grid, step=step, opened_at=self.now, previous_step=self.grid.step)

    def take_turns(self, _: float = 0) -> None:
        """Decide, and do as decided, until there is something to wait for; a pause forbids to publish."""
        for _turn in range(MOST_TURNS):
            moment = self.decide()
            self.history.append(moment)
            if moment.span is None or (isinstance(moment.decision, Make) and self.desired.paused):
                return
            self.stands_at = moment.span.end

    def decide(self) -> Moment:
        self.attended_since = min(self.attended_since, self.now)
        decision = decide(
            self.stands_at, self.grid, self.now, self.attended_since, self.limit, self.desired.paused_when
        )
        return Moment(decision, self.stands_at, self.grid, self.now, self.attended_since, self.limit, self.desired)

    def decided(self) -> Iterator[tuple[Moment, Interval]]:
        for moment in self.history:
            if moment.span is not None:
                yield moment, moment.span


def origin_world(origin: int, company_step: int, driver_step: int, limit: int, events: bool = False) -> World:
    """A stream at the instant of the first start."""
    start = origin_starts(origin, company_step, driver_step)[events]
    step = driver_step if events else company_step
    return World(Grid(step, origin, None, Interval(start, start + step)), start, origin, origin, limit)


def running_world(step: int, limit: int) -> World:
    """A stream that has long begun."""
    return World(Grid(step, BEGIN - 100 * step), floor(BEGIN, step), BEGIN, BEGIN, limit)


happenings = st.lists(
    st.one_of(
        st.tuples(st.just(World.take_turns), st.just(0.0)),
        st.tuples(st.just(World.move_clock), st.floats(0, 30)),
        st.tuples(st.just(World.move_clock), st.sampled_from([-600, -40, -5, 5, 10, 300, 4000])),
        st.tuples(st.sampled_from([World.pause, World.resume, World.restart]), st.just(0.0)),
        st.tuples(st.just(World.open_segment), st.integers(0, len(STEPS) - 1)),
    ),
    max_size=30,
)

limits = st.sampled_from([0, 1, 2, 10, 1000])

begun_worlds = st.builds(running_world, st.sampled_from(STEPS), limits)

fresh_worlds = st.builds(
    origin_world,
    st.integers(0, 10**9).map(lambda microseconds: BEGIN + microseconds),
    st.sampled_from(STEPS),
    st.sampled_from(STEPS),
    limits,
    st.booleans(),
)

Happening = tuple[Callable[[World, float], None], float]


def live(world: World, what_happens: list[Happening]) -> World:
    """Let all of this happen, and take turns at the end."""
    for happen, value in what_happens:
        happen(world, value)
    world.take_turns()
    return world


def through(world: World, seconds: float, slice_seconds: float = 0.5) -> World:
    """Attend to the stream without a break."""
    world.take_turns()
    for _ in range(int(seconds / slice_seconds)):
        world.move_clock(slice_seconds)
        world.take_turns()
    return world


def made(world: World) -> list[Interval]:
    return [moment.decision.interval for moment in world.history if isinstance(moment.decision, Make)]


def skipped(world: World) -> list[Skip]:
    return [moment.decision for moment in world.history if isinstance(moment.decision, Skip)]


anything = given(world=begun_worlds | fresh_worlds, what_happens=happenings)
after_the_start = given(world=begun_worlds, what_happens=happenings)
often = settings(derandomize=True, max_examples=2 * settings().max_examples)


@anything
@often
def test_each_interval_starts_where_the_last_one_ended(world: World, what_happens: list[Happening]) -> None:
    stands_at = world.stands_at

    live(world, what_happens)

    for moment, span in world.decided():
        assert span.start == stands_at == moment.stands_at
        assert span.end > span.start
        if not (isinstance(moment.decision, Make) and moment.desired.paused):
            stands_at = span.end


@anything
@often
def test_nothing_is_decided_before_it_is_due(world: World, what_happens: list[Happening]) -> None:
    live(world, what_happens)

    for moment, span in world.decided():
        assert span.end <= moment.now


@anything
@often
def test_what_is_made_is_a_whole_grid_interval_but_for_the_first_of_a_segment(
    world: World, what_happens: list[Happening]
) -> None:
    live(world, what_happens)

    for moment, span in world.decided():
        if not isinstance(moment.decision, Make):
            continue
        if moment.before_anything:
            assert span == moment.grid.origin
            continue
        assert span.end % moment.grid.step == 0
        if span.start >= moment.grid.opened_at and span.start % moment.grid.step == 0:
            assert span.end - span.start == moment.grid.step
        elif span.start < moment.grid.opened_at:
            assert moment.grid.opened_at < span.end <= moment.grid.opened_at + moment.grid.step
        else:
            assert span.end - span.start < moment.grid.step


@anything
@often
def test_nothing_is_made_in_a_pause(world: World, what_happens: list[Happening]) -> None:
    live(world, what_happens)

    for moment in world.history:
        if isinstance(moment.decision, Make):
            assert not moment.desired.paused_when(moment.now)
            assert moment.before_anything or not moment.desired.paused_when(moment.decision.interval.end)


@anything
@often
def test_there_is_waiting_only_while_nothing_is_due_or_a_pause_holds(
    world: World, what_happens: list[Happening]
) -> None:
    live(world, what_happens)

    for moment in world.history:
        if isinstance(moment.decision, Wait):
            assert moment.decision.interval == next_interval(moment.stands_at, moment.grid)
            assert not moment.due or moment.desired.paused


@after_the_start
@often
def test_an_outage_leaves_out_only_what_is_beyond_the_limit(world: World, what_happens: list[Happening]) -> None:
    live(world, what_happens)

    for moment in world.history:
        gap = moment.decision
        if not isinstance(gap, Skip) or gap.reason != "downtime" or moment.before_segment:
            continue
        kept = [interval for interval in moment.due if interval.start >= gap.span.end]
        assert gap.span.end in [interval.end for interval in moment.due]
        assert gap.intervals == len(moment.due) - len(kept)
        missed = [interval for interval in moment.due if interval.end < moment.attended_since]
        if missed:
            assert len([interval for interval in missed if interval in kept]) == moment.limit
        else:
            assert len(kept) == max(moment.limit, 1, HELD_UP // moment.grid.step)


@after_the_start
@often
def test_an_outage_before_an_edit_leaves_out_only_what_is_beyond_the_limit(
    world: World, what_happens: list[Happening]
) -> None:
    live(world, what_happens)

    for moment in world.history:
        gap = moment.decision
        if isinstance(gap, Skip) and gap.reason == "downtime" and moment.before_segment:
            assert moment.grid.previous_step is not None
            assert gap.span.end - gap.span.start == gap.intervals * moment.grid.previous_step
            joining = (moment.grid.opened_at - gap.span.end) // moment.grid.previous_step
            assert joining == max(moment.limit, 1)


@after_the_start
@often
def test_a_pause_leaves_out_what_falls_due_in_it(world: World, what_happens: list[Happening]) -> None:
    live(world, what_happens)

    for moment in world.history:
        gap = moment.decision
        if not isinstance(gap, Skip) or gap.reason != "paused":
            continue
        left_out = [interval for interval in moment.due if interval.end <= gap.span.end]
        following = [interval for interval in moment.due if interval.end > gap.span.end]
        assert left_out[-1].end == gap.span.end
        assert gap.intervals == len(left_out)
        assert moment.desired.paused or all(moment.desired.paused_when(interval.end) for interval in left_out)
        assert not following or not moment.desired.paused_when(following[0].end)


@after_the_start
@often
def test_at_most_the_limit_is_made_late_after_an_outage(world: World, what_happens: list[Happening]) -> None:
    live(world, what_happens)

    late: dict[int, int] = {}
    for moment in world.history:
        if isinstance(moment.decision, Make):
            missed = moment.decision.interval.end < moment.attended_since
            assert moment.decision.late == (missed and not moment.before_anything)
            late[moment.attended_since] = late.get(moment.attended_since, 0) + moment.decision.late
    assert all(count <= world.limit for count in late.values())


@given(
    step=st.sampled_from(STEPS),
    limit=st.integers(0, 12),
    down_seconds=st.integers(0, 3000),
    early_microseconds=st.integers(0, 10**7),
)
@often
def test_after_an_outage_the_newest_up_to_the_limit_are_made_at_once(
    step: int, limit: int, down_seconds: int, early_microseconds: int
) -> None:
    # given a stream that was up to date when its process went away
    world = running_world(step, limit)
    missed = [*range(world.stands_at + step, world.now + down_seconds * SECOND + early_microseconds + 1, step)]

    # when the process comes back
    world.now += down_seconds * SECOND + early_microseconds
    world.restart()
    for _ in range(50):
        world.take_turns()

    # then the newest are made, one by one, and the older ones are one gap
    on_time = bool(missed) and missed[-1] == world.now
    expected = missed[len(missed) - max(limit, on_time) :] if len(missed) > limit else missed
    assert [interval.end for interval in made(world)] == expected
    assert sum(gap.intervals for gap in skipped(world)) == len(missed) - len(expected)
    assert len(skipped(world)) <= 1


@pytest.mark.parametrize("limit", [0, 1, 10])
@pytest.mark.parametrize("step", STEPS)
def test_whoever_attends_makes_everything(step: int, limit: int) -> None:
    world = through(running_world(step, limit), seconds=900)

    assert [interval.end for interval in made(world)] == [
        *range(floor(BEGIN, step) + step, BEGIN + 900 * SECOND + 1, step)
    ]
    assert skipped(world) == []


def test_a_pause_of_an_hour_is_one_gap_at_its_end_or_many_while_it_lasts() -> None:
    # given a stream that is paused and left alone for an hour
    world = running_world(10 * SECOND, limit=10)
    world.move_clock(3)
    world.pause()
    world.move_clock(3600)
    world.resume()

    # when it goes on
    world.take_turns()
    world.move_clock(10)
    world.take_turns()

    # then all that fell due in the pause is one gap, and the next one is made
    assert [(gap.reason, gap.intervals) for gap in skipped(world)] == [("paused", 360)]
    assert made(world) == [Interval(BEGIN + 3600 * SECOND, BEGIN + 3610 * SECOND)]


def test_what_fell_due_before_and_after_a_pause_is_made_and_nothing_in_between() -> None:
    # given a stream that is paused and resumed while its process is away
    world = running_world(10 * SECOND, limit=100)
    world.move_clock(25)
    world.pause()
    world.move_clock(100)
    world.resume()
    world.move_clock(40)
    world.restart()

    world.take_turns()

    assert [(interval.end - BEGIN) // SECOND for interval in made(world)] == [10, 20, 130, 140, 150, 160]
    assert skipped(world) == [Skip(Interval(BEGIN + 20 * SECOND, BEGIN + 120 * SECOND), 10, "paused")]


def test_a_pause_advances_the_watermark_while_it_lasts() -> None:
    world = running_world(10 * SECOND, limit=10)
    world.pause()

    through(world, seconds=100)

    assert world.stands_at == BEGIN + 100 * SECOND
    assert {gap.reason for gap in skipped(world)} == {"paused"}
    assert made(world) == []


def test_an_interval_that_was_due_when_the_pause_came_waits_or_is_left_out() -> None:
    # given an interval that is due, and a pause before anybody made it
    world = running_world(10 * SECOND, limit=10)
    world.move_clock(10.02)
    world.pause()
    world.move_clock(0.05)

    world.take_turns()

    assert made(world) == []


def test_a_clock_that_goes_back_delays_and_never_repeats() -> None:
    world = running_world(10 * SECOND, limit=10)
    through(world, seconds=30)
    world.move_clock(-25)

    through(world, seconds=45)

    assert [interval.end for interval in made(world)] == [BEGIN + seconds * SECOND for seconds in (10, 20, 30, 40, 50)]
    assert skipped(world) == []


@pytest.mark.parametrize(("before", "after"), [(10, 30), (30, 10), (10, 420), (420, 10), (5, 1)])
def test_the_first_interval_of_a_segment_runs_to_the_first_grid_point_after_its_instant(
    before: int, after: int
) -> None:
    # given a stream on one grid, and an edit between two of its points
    world = through(running_world(before * SECOND, limit=10), seconds=433)
    stood_at = world.stands_at
    world.open_segment(STEPS.index(after * SECOND))
    opened_at = world.now

    through(world, seconds=1000)

    first, *rest = [interval for interval in made(world) if interval.start >= stood_at]
    assert first == Interval(stood_at, next_point(opened_at, after * SECOND))
    assert rest
    assert all(interval.end - interval.start == after * SECOND for interval in rest)
    assert skipped(world) == []


def test_an_edit_at_a_grid_point_begins_with_the_following_interval() -> None:
    grid = Grid(30 * SECOND, opened_at=BEGIN, previous_step=10 * SECOND)

    assert next_interval(BEGIN, grid) == Interval(BEGIN, BEGIN + 30 * SECOND)


def test_what_was_missed_before_an_edit_joins_its_first_interval_up_to_the_limit() -> None:
    # given an outage of a hundred intervals, and an edit found at the start
    world = running_world(10 * SECOND, limit=10)
    world.move_clock(1004)
    world.restart()
    world.open_segment(STEPS.index(30 * SECOND))

    through(world, seconds=30)

    assert skipped(world) == [Skip(Interval(BEGIN, BEGIN + 900 * SECOND), 90, "downtime")]
    assert made(world)[0] == Interval(BEGIN + 900 * SECOND, BEGIN + 1020 * SECOND)


def test_the_streams_begin_with_the_last_full_driver_interval() -> None:
    origin = instant("2026-01-01T12:07:30Z")

    assert origin_starts(origin, 3600 * SECOND, 900 * SECOND) == (
        instant("2026-01-01T10:45:00Z"),
        instant("2026-01-01T11:45:00Z"),
    )


@given(world=fresh_worlds, delay_seconds=st.floats(0, 5), started_before=st.booleans())
@often
def test_the_first_batch_is_made_at_once_under_any_limit(
    world: World, delay_seconds: float, started_before: bool
) -> None:
    first = Interval(world.stands_at, world.stands_at + world.grid.step)
    world.move_clock(delay_seconds)
    world.attended_since = world.now if not started_before else world.attended_since

    assert first.end <= world.now
    assert world.decide().decision == Make(first, first=True)


@given(world=fresh_worlds, outage_seconds=st.integers(1, 4000))
@often
def test_a_first_batch_that_a_crash_prevented_is_made_at_the_restart(world: World, outage_seconds: int) -> None:
    first = Interval(world.stands_at, world.stands_at + world.grid.step)
    world.move_clock(outage_seconds)
    world.restart()

    world.take_turns()

    assert made(world)[:1] == [first]


@pytest.mark.parametrize("limit", [0, 1, 2, 10])
@pytest.mark.parametrize("company_step", STEPS)
@pytest.mark.parametrize("driver_step", STEPS)
def test_from_the_first_start_on_everything_is_made(company_step: int, driver_step: int, limit: int) -> None:
    origin = BEGIN + 7 * SECOND
    companies = through(origin_world(origin, company_step, driver_step, limit), seconds=900)
    events = through(origin_world(origin, company_step, driver_step, limit, events=True), seconds=900)

    first_companies, second_companies, *other_companies = made(companies)
    first_events, *other_events = made(events)
    assert skipped(companies) == skipped(events) == []
    assert first_events == Interval(floor(origin, driver_step) - driver_step, floor(origin, driver_step))
    assert first_companies == Interval(first_events.start - company_step, first_events.start)
    assert second_companies == Interval(first_companies.end, next_point(origin, company_step))
    assert all(interval.end - interval.start == company_step for interval in other_companies)
    assert all(interval.end - interval.start == driver_step for interval in other_events)

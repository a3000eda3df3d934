"""What a rejected line is worth: alone, as one of equal lines, and with a company that was dirty itself."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgen.scoring.truth import Issue
from fleetgen.scoring.verdict import Judged, Verdict, judge


def null(line: int) -> dict[int, Issue]:
    return {line: Issue("null_value", "event_type", f"id-{line}", None)}


def copy(line: int, of: int) -> dict[int, Issue]:
    return {line: Issue("duplicate", None, f"id-{line}", of)}


def verdict(
    issues: dict[int, Issue],
    *rejected: int,
    unknowable: frozenset[int] = frozenset(),
    collateral: frozenset[int] = frozenset(),
) -> Verdict:
    return judge(issues, dict.fromkeys(rejected), unknowable, collateral.__contains__)


def counts(found: Verdict) -> tuple[dict[str, int], list[int], list[int]]:
    """Hits by type, missed lines, falsely rejected lines."""
    hits = {kind: count for kind, count in found.hits.items() if count}
    return hits, [each.line for each in found.misses], [each.line for each in found.false_alarms]


def test_a_line_with_an_issue_is_a_hit_or_a_miss() -> None:
    assert counts(verdict(null(3), 3)) == ({"null_value": 1}, [], [])
    assert counts(verdict(null(3))) == ({}, [3], [])


def test_a_rejected_clean_line_is_a_false_alarm_of_the_type_that_was_told() -> None:
    found = judge({}, {4: "invalid_enum", 5: None}, set(), lambda line: False)
    assert found.false_alarms == [Judged(4, "invalid_enum"), Judged(5, None)]
    assert not found.hits


@pytest.mark.parametrize("rejected", [2, 5])
def test_either_line_of_a_pair_may_be_the_rejected_one(rejected: int) -> None:
    assert counts(verdict(copy(5, of=2), rejected)) == ({"duplicate": 1}, [], [])


def test_a_pair_that_was_accepted_is_one_miss_and_names_the_copy() -> None:
    assert verdict(copy(5, of=2)).misses == [Judged(5, "duplicate")]


def test_a_pair_that_was_rejected_is_one_hit_and_one_false_alarm() -> None:
    found = verdict(copy(5, of=2), 2, 5)
    assert found.hits == Counter(duplicate=1)
    assert found.false_alarms == [Judged(2, "duplicate")]


@pytest.mark.parametrize(
    ("rejected", "hits", "misses", "alarms"),
    [((), 0, 2, 0), ((1,), 1, 1, 0), ((7,), 1, 1, 0), ((1, 4), 2, 0, 0), ((4, 7), 2, 0, 0), ((1, 4, 7), 2, 0, 1)],
)
@pytest.mark.parametrize("source", [1, 4])
def test_of_three_equal_lines_two_are_to_be_rejected(
    source: int, rejected: tuple[int, ...], hits: int, misses: int, alarms: int
) -> None:
    found = verdict(copy(4, of=1) | copy(7, of=source), *rejected)
    assert (found.hits["duplicate"], len(found.misses), len(found.false_alarms)) == (hits, misses, alarms)
    assert not {each.line for each in found.misses} & set(rejected)


def test_all_equal_lines_are_to_be_rejected_if_the_first_has_an_issue_itself() -> None:
    issues = null(2) | copy(5, of=2)
    assert counts(verdict(issues, 2, 5)) == ({"null_value": 1, "duplicate": 1}, [], [])
    assert verdict(issues).misses == [Judged(5, "duplicate"), Judged(2, "null_value")]


@pytest.mark.parametrize(("rejected", "left"), [(2, 5), (5, 2)])
def test_a_pipeline_that_only_sees_duplicates_misses_the_issue_of_the_first(rejected: int, left: int) -> None:
    found = verdict(null(2) | copy(5, of=2), rejected)
    assert found.hits == Counter(duplicate=1, null_value=0)
    assert found.misses == [Judged(left, "null_value")]


def test_a_clean_line_of_a_dirty_company_is_collateral() -> None:
    found = verdict({}, 1, 2, collateral=frozenset({1}))
    assert found.collateral == [1]
    assert [each.line for each in found.false_alarms] == [2]


def test_a_line_with_an_issue_of_its_own_is_a_hit_whatever_its_company() -> None:
    found = verdict(null(1), 1, collateral=frozenset({1}))
    assert (found.hits["null_value"], found.collateral) == (1, [])


def test_the_last_of_equal_lines_of_a_dirty_company_is_collateral() -> None:
    found = verdict(copy(5, of=2), 2, 5, collateral=frozenset({2, 5}))
    assert (found.hits["duplicate"], found.collateral, found.false_alarms) == (1, [2], [])


def test_lines_without_an_id_are_counted_apart() -> None:
    issues = null(2) | copy(5, of=2) | null(6)
    found = verdict(issues, 6, unknowable=frozenset({2, 5}))
    assert found.not_judged == Counter(null_value=1, duplicate=1)
    assert counts(found) == ({"null_value": 1}, [], [])


@st.composite
def blocks(draw: st.DrawFn) -> dict[int, Issue]:
    """Issues of ten lines; a duplicate copies any earlier line, whatever that is."""
    issues: dict[int, Issue] = {}
    for line in range(1, 11):
        kind = draw(st.sampled_from(["clean", "clean", "null", "copy"]))
        if kind == "null":
            issues |= null(line)
        elif kind == "copy" and line > 1:
            issues |= copy(line, of=draw(st.integers(1, line - 1)))
    return issues


@given(blocks(), st.sets(st.integers(1, 10)))
def test_every_issue_is_hit_or_missed_and_every_rejected_line_counts_once(
    issues: dict[int, Issue], rejected: set[int]
) -> None:
    found = verdict(issues, *rejected)
    injected = Counter(issue.kind for issue in issues.values())
    assert found.hits + Counter(each.kind for each in found.misses) == injected
    assert found.hits.total() + len(found.false_alarms) == len(rejected)
    assert not {each.line for each in found.misses} & rejected
    assert {each.line for each in found.false_alarms} <= rejected


@given(blocks())
def test_rejecting_what_has_an_issue_and_nothing_else_is_perfect(issues: dict[int, Issue]) -> None:
    hits, misses, alarms = counts(verdict(issues, *issues))
    assert (sum(hits.values()), misses, alarms) == (len(issues), [], [])

"""Owns the verdict: which rejected lines are hits, which are false alarms, and what was missed. Pure.

Equal lines are judged together: of a line and its copies, any but one may be the rejected ones.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from fleetgen.scoring.truth import Issue

Rejected = Mapping[int, str | None]
"""The rejected lines, each with the type of issue that it was rejected for; None where that is not told."""


class Judged(NamedTuple):
    """A line about which there is something to say, and the type of issue that it is about."""

    line: int
    kind: str | None


@dataclass(slots=True)
class Verdict:
    """What a pipeline's rejections of some lines are worth."""

    hits: Counter[str] = field(default_factory=Counter)
    """Lines with an issue that were rejected, by its type."""
    misses: list[Judged] = field(default_factory=list)
    """Lines with an issue that were accepted."""
    false_alarms: list[Judged] = field(default_factory=list)
    """Lines without one that were rejected, with the type that they were rejected for."""
    collateral: list[int] = field(default_factory=list)
    """Lines without one that were rejected, of a company whose own record has one."""
    not_judged: Counter[str] = field(default_factory=Counter)
    """Lines with an issue that cannot be recognised, by its type."""


def judge(
    issues: Mapping[int, Issue], rejected: Rejected, unknowable: Set[int], is_collateral: Callable[[int], bool]
) -> Verdict:
    """Return the verdict on a block of lines, or on a whole batch.

    Of the ``unknowable`` lines nobody can say whether they were rejected. ``is_collateral`` tells of a line without an
    issue whether the record that it depends on has one.
    """
    verdict = Verdict()
    copies = _copies(issues)
    concerned = issues.keys() | copies.keys()
    for line in sorted(concerned - unknowable):
        issue = issues.get(line)
        if issue is None or issue.kind != "duplicate":
            _judge_equal(verdict, [line, *copies.get(line, ())], issue, rejected, is_collateral)
    for line in sorted(rejected.keys() - concerned - unknowable):
        _judge_clean(verdict, line, rejected[line], is_collateral)
    verdict.not_judged.update(issues[line].kind for line in unknowable & issues.keys())
    return verdict


def _copies(issues: Mapping[int, Issue]) -> dict[int, list[int]]:
    """Return by the first of equal lines those that copy it, also by way of another copy."""
    found: dict[int, list[int]] = defaultdict(list)
    for line in sorted(issues):
        if issues[line].kind == "duplicate":
            *_, first = _chain(issues, line)
            found[first].append(line)
    return found


def _chain(issues: Mapping[int, Issue], line: int) -> Iterator[int]:
    """Yield the lines that a duplicate goes back to, the first one last."""
    issue: Issue | None = issues[line]
    while issue is not None and issue.copies is not None:
        yield issue.copies
        issue = issues.get(issue.copies)


def _judge_equal(
    verdict: Verdict,
    lines: list[int],
    issue: Issue | None,
    rejected: Rejected,
    is_collateral: Callable[[int], bool],
) -> None:
    """Judge a line with or without an issue of its own together with its copies, which are duplicates.

    All but one of them are to be rejected, and the last one too if it has an issue of its own.
    """
    taken = [line for line in lines if line in rejected]
    left = [line for line in lines if line not in rejected]
    duplicates = len(lines) - 1
    verdict.hits["duplicate"] += min(len(taken), duplicates)
    verdict.misses += [Judged(line, "duplicate") for line in left[1:]]
    if issue is not None:
        verdict.hits[issue.kind] += not left
        verdict.misses += [Judged(line, issue.kind) for line in left[:1]]
    elif not left:
        _judge_clean(verdict, lines[0], rejected[lines[0]] or "duplicate", is_collateral)


def _judge_clean(verdict: Verdict, line: int, kind: str | None, is_collateral: Callable[[int], bool]) -> None:
    if is_collateral(line):
        verdict.collateral.append(line)
    else:
        verdict.false_alarms.append(Judged(line, kind))

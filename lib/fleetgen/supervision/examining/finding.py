"""Owns what a look at one thing comes to."""

from dataclasses import dataclass
from enum import StrEnum

from fleetgen.errors import FleetgenError


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """The set runs, with less, or not for long."""
    FAULT = "fault"
    """The set does not run, or does not do what its configuration says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it."""

    check: str
    verdict: Verdict
    says: str
    remedy: str = ""


def fine(check: str, says: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(check, Verdict.OK, says)


def warning(check: str, says: str, remedy: str) -> Finding:
    """Return a finding that one should know of."""
    return Finding(check, Verdict.WARNING, says, remedy)


def fault(check: str, says: str, remedy: str) -> Finding:
    """Return a finding that keeps the set from running."""
    return Finding(check, Verdict.FAULT, says, remedy)


def refusal(check: str, refused: FleetgenError) -> Finding:
    """Return the fault that a command would refuse with: its messages name the fault, then the remedy."""
    says, separator, remedy = str(refused).rpartition(": ")
    return fault(check, says, remedy) if separator else fault(check, remedy, "See the message.")

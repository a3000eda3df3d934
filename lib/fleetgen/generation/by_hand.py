"""Owns single batches made by hand: beside the dataset, without touching its schedule, numbers or files."""

from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from fleetgen.domain.batches import Batch, company_batch, event_batch
from fleetgen.domain.companies import Fleet, active_fleet
from fleetgen.domain.drivers import plan_events, with_count
from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import ALGORITHM, Interval, Segment, Settings, Stream
from fleetgen.errors import UsageError
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.reading import parse_json


def companies_by_hand(settings: Settings, interval: Interval, count: int | None) -> Batch:
    """Return one batch of companies; their ids occur in no dataset."""
    address = Address(settings.seed, Origin.COMPANIES_BY_HAND, _number(interval), Purpose.COMPANY_ID)
    return company_batch(settings.companies_per_batch if count is None else count, address, settings, interval)


def events_by_hand(settings: Settings, interval: Interval, count: int | None, fleet: Fleet) -> Batch:
    """Return one batch of events of these companies; without a count its size is drawn as in a live batch."""
    address = Address(settings.seed, Origin.EVENTS_BY_HAND, _number(interval), Purpose.EVENT_COUNT)
    plan = plan_events(address, settings, interval, fleet)
    return event_batch(plan if count is None else with_count(plan, count))


def _number(interval: Interval) -> int:
    """Address a batch by its interval's start in seconds, so that each interval gives another batch."""
    return interval.start // 1_000_000


def fleet_of_dataset(dataset: Dataset, settings: Settings) -> Fleet:
    """Return the companies registered in a dataset; in an empty one, those that its first batch would have."""
    manifest = dataset.read()
    if manifest is not None and manifest.origin is not None:
        count = manifest.head(Stream.COMPANIES).next_company
        if count:
            return active_fleet(dataset.segments(manifest), count, settings.max_active_companies)
    first = Segment(1, 0, ALGORITHM, 0, 0, 0, settings)
    return active_fleet([first], settings.companies_per_batch, settings.max_active_companies)


def fleet_of_file(path: Path, settings: Settings) -> Fleet:
    """Return the active companies of a JSON Lines file; raise UsageError naming the line that is no company.

    Where the truth about the file lies beside it, the companies are those before issues were injected.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as fault:
        raise UsageError(f"{path} cannot be read: {fault.strerror}.") from fault
    issues = _issues_beside(path)
    ids: list[list[int]] = []
    for number, line in enumerate(lines, 1):
        try:
            record = _true_record(parse_json(line, path), issues.get(number))
            pieces = UUID(record["company_id"]).bytes
            active = record.get("active", True)
        except (ValueError, KeyError, AttributeError, TypeError) as fault:
            raise UsageError(f"Line {number} of {path} is no company: it needs a company_id that is a UUID.") from fault
        if active:
            ids.append([int.from_bytes(pieces[place : place + 2]) for place in range(0, 16, 2)])
    newest = settings.max_active_companies or len(ids)
    first = max(0, len(ids) - newest)
    table = np.array(ids[first:], np.uint16).reshape(-1, 8)
    return Fleet(np.arange(first, len(ids)), table, ((0, settings.seed),) if len(ids) else ())


def truth_beside(path: Path) -> Path:
    """The file that says what was injected into a batch made by hand."""
    return path.with_suffix(".issues.jsonl")


def _issues_beside(path: Path) -> dict[int, dict[str, Any]]:
    """Return by line what was injected into a batch made by hand, as far as that is told beside it."""
    truth = truth_beside(path)
    try:
        issues = [parse_json(line, truth) for line in truth.read_bytes().splitlines()]
        return {issue["line"]: issue for issue in issues}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as fault:
        raise UsageError(f"{truth} is damaged: make {path} again, or remove its truth.") from fault


def _true_record(record: dict[str, Any], issue: dict[str, Any] | None) -> Any:
    """Return a record as it was before the issue, if it has one."""
    if issue is None:
        return record
    return issue["original"] if issue["field"] is None else {**record, issue["field"]: issue["original"]}

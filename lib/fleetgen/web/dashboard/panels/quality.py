"""Owns how dirty the data is: what was injected beside what was configured, and what the pipeline found of it."""

from typing import Any

from fleetgen.domain.records import ISSUE_TYPES, Stream
from fleetgen.medallion.issues import ISSUE_OF_RULE
from fleetgen.web.dashboard.panel import Panel
from fleetgen.web.dashboard.panels.cadence import gap
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.known.history import Past

FOUND_BY = {issue: rule for rule, issue in ISSUE_OF_RULE.items()}
"""The pipeline's rule that finds each type of issue."""

_KINDS = [f"issue-{number}" for number in range(len(ISSUE_TYPES))]


class Quality(Panel, component="quality.js"):
    """The share of dirty records over time, by type, and the totals beside what the pipeline rejected."""

    def show(self, view: View) -> None:
        """Bring it up to date."""
        facts, found, score = view.health.quality, view.health.pipeline.rejected, view.health.pipeline.score
        rates = {Stream.COMPANIES: facts.company_error_rate, Stream.EVENTS: facts.event_error_rate}
        issues = [
            {
                "name": issue.replace("_", " "),
                "kind": kind,
                "injected": facts.issue_counts.get(issue, 0),
                "rejected": None if found is None else found.get(FOUND_BY[issue], 0),
                "recall": None if score is None else score.recall.get(issue),
            }
            for issue, kind in zip(ISSUE_TYPES, _KINDS, strict=True)
        ]
        self.put(
            dirty=facts.enabled or any(facts.records_corrupted.values()),
            charts=view.once(f"quality {rates}", lambda: [_chart(s, view.past[s], rate) for s, rate in rates.items()]),
            issues=issues,
            score=None if score is None else score.model_dump(exclude={"recall"}),
        )


def _chart(stream: Stream, past: list[Past], rate: float) -> dict[str, Any]:
    records = sum(each.records for each in past)
    return {
        "title": f"share of {stream} with an issue",
        "value": sum(each.corrupted for each in past) / records if records else None,
        "points": [_share(each) for each in past],
        "lines": [{"value": rate, "label": f"configured {rate:.0%}"}],
    }


def _share(past: Past) -> dict[str, Any]:
    if past.batch_id is None:
        return gap(past)
    shares = [past.issues.get(issue, 0) / past.records if past.records else 0.0 for issue in ISSUE_TYPES]
    title = f"Batch {past.batch_id}: {past.corrupted} of {past.records} records with an issue"
    return {"values": shares, "kinds": _KINDS, "gap": None, "title": title}

"""Owns how dirty the data is: what was injected beside what was configured, and what the pipeline found of it."""

from fleetgen.domain.records import ISSUE_TYPES, Stream
from fleetgen.web.dashboard.panels.batches import gap_title
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.dashboard.widgets import Bars, Value, box, panel, text
from fleetgen.web.known.history import Past

FOUND_BY = {issue: issue for issue in ISSUE_TYPES} | {"boundary_violation": "outside_interval"}
"""The pipeline's rule that finds each type of issue."""

_CLEAN = "Nothing is injected: set enabled = true in [quality], or choose the preset quality-demo."


class Quality:
    """The share of dirty records over time, by type, and the totals beside what the pipeline rejected."""

    def __init__(self) -> None:
        self._cells: dict[str, tuple[Value, Value]] = {}
        with panel("Quality", "quality", "wide"):
            self._note = text("", "p", "empty")
            self._body = box("div", "quality")
            with self._body:
                with box("div", "charts"):
                    self._charts = {stream: _chart(stream) for stream in Stream}
                self._table()

    def show(self, view: View) -> None:
        """Bring it up to date."""
        facts = view.health.quality
        dirty = facts.enabled or any(facts.records_corrupted.values())
        self._note.set("" if dirty else _CLEAN)
        self._body.classes(replace="quality" if dirty else "quality hidden")
        self._show_shares(view)
        found = view.health.pipeline.rejected
        for issue, (injected, rejected) in self._cells.items():
            injected.set(facts.issue_counts.get(issue, 0))
            rejected.set(None if found is None else found.get(FOUND_BY[issue], 0))

    def _show_shares(self, view: View) -> None:
        rates = {
            Stream.COMPANIES: view.health.quality.company_error_rate,
            Stream.EVENTS: view.health.quality.event_error_rate,
        }
        for stream, (bars, share) in self._charts.items():
            points, value = view.once(f"quality {stream}", lambda past=view.past[stream]: _drawn(past))
            bars.put(points=points, lines=[{"value": rates[stream], "label": f"configured {rates[stream]:.0%}"}])
            share.set(value)

    def _table(self) -> None:
        with box("div", "scroll"), box("table", "issues"):
            with box("thead"), box("tr"):
                for title in ("issue", "injected", "rejected by its rule"):
                    text(title, "th", "" if title == "issue" else "figure")
            with box("tbody"):
                for number, issue in enumerate(ISSUE_TYPES):
                    with box("tr"):
                        with box("th", scope="row"):
                            box("i", f"key issue-{number}", **{"aria-hidden": "true"})
                            text(issue.replace("_", " "))
                        cells = []
                        for _ in range(2):
                            with box("td", "figure"):
                                cells.append(Value("number"))
                        self._cells[issue] = (cells[0], cells[1])


def _chart(stream: Stream) -> tuple[Bars, Value]:
    with box("div", "chart"):
        with box("p", "chart-title"):
            text(f"share of {stream} with an issue", "b")
            text("of those shown", look="label")
            value = Value("percent")
        return Bars(f"Share of {stream} with an issue", scale="linear", low=0, high=0.05), value


def _drawn(past: list[Past]) -> tuple[list[dict[str, object]], float | None]:
    """Return the chart's points, and the share of all records shown."""
    records = sum(each.records for each in past)
    return [_share(each) for each in past], sum(each.corrupted for each in past) / records if records else None


def _share(past: Past) -> dict[str, object]:
    if past.batch_id is None:
        return {"values": [], "kinds": [], "gap": past.reason, "title": gap_title(past)}
    shares = [past.issues.get(issue, 0) / past.records if past.records else 0.0 for issue in ISSUE_TYPES]
    kinds = [f"issue-{number}" for number in range(len(ISSUE_TYPES))]
    title = f"Batch {past.batch_id}: {past.corrupted} of {past.records} records with an issue"
    return {"values": shares, "kinds": kinds, "gap": None, "title": title}

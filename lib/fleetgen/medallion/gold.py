"""Owns the gold tables: each one's name, columns, streams and SQL, and how it follows new batches.

An appended table has rows of single batches. A kept one has running sums: it is made anew from its own rows and those
of the batches after them, which gives the same rows however often a kill interrupts it.
"""

from dataclasses import dataclass

from fleetgen.domain.records import Stream
from fleetgen.medallion.forms import COUNT, DAY, TEXT, TIME, TableForm
from fleetgen.medallion.issues import ISSUE_OF_RULE

_BATCH = {"batch_number": COUNT, "batch_id": TEXT}
_INTERVAL = {"interval_start": TIME, "interval_end": TIME}
_EVENTS = (Stream.EVENTS,)
_BOTH = tuple(Stream)


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold table and the SQL of its rows.

    The SQL reads `judged`, `batches` (``stream, batch_number, batch_id, interval_start, interval_end, lines``),
    `known_companies` (``company_id``) and, in a kept table, its `own` rows; new are the batches after ``$after``.
    """

    form: TableForm
    sql: str
    kept: bool = False


def _gold(
    name: str,
    columns: dict[str, str],
    streams: tuple[Stream, ...],
    sql: str,
    kept: bool = False,
    day: bool = False,
) -> Gold:
    form = TableForm(name, "gold", columns, streams, ("day",) if day else ())
    return Gold(form, sql, kept)


BATCHES = _gold(
    "batches",
    {"stream": TEXT, **_BATCH, **_INTERVAL} | dict.fromkeys(("lines", "accepted", "quarantined", "duplicates"), COUNT),
    _BOTH,
    """
    SELECT stream, batch_number, batch_id, interval_start, interval_end, lines,
        count(line) FILTER (rule IS NULL) AS accepted,
        count(line) FILTER (rule <> 'duplicate') AS quarantined,
        count(line) FILTER (rule = 'duplicate') AS duplicates
    FROM batches LEFT JOIN judged USING (batch_number) WHERE batch_number > $after GROUP BY ALL""",
)
"""The law that nothing disappears: ``lines = accepted + quarantined + duplicates``; ``lines`` is the ledger's count."""

_ISSUES = "MAP {" + ", ".join(f"'{rule}': '{issue}'" for rule, issue in ISSUE_OF_RULE.items()) + "}"

QUALITY = _gold(
    "quality_by_batch",
    {"stream": TEXT, **_BATCH, "rule": TEXT, "issue_type": TEXT, "lines": COUNT},
    _BOTH,
    f"""
    SELECT stream, batch_number, batch_id, rule, {_ISSUES}[rule] AS issue_type, count(*) AS lines
    FROM judged JOIN batches USING (batch_number) WHERE rule IS NOT NULL AND batch_number > $after
    GROUP BY stream, batch_number, batch_id, rule""",
)

EVENTS_BY_COMPANY = _gold(
    "events_by_company_and_type",
    {**_BATCH, **_INTERVAL, "company_id": TEXT, "event_type": TEXT, "events": COUNT},
    _EVENTS,
    """
    SELECT batch_number, batch_id, interval_start, interval_end, company_id, event_type, count(*) AS events
    FROM judged JOIN batches USING (batch_number) WHERE rule IS NULL AND batch_number > $after GROUP BY ALL""",
)

ACTIVE = _gold(
    "active_drivers_and_trucks",
    {**_BATCH, **_INTERVAL} | dict.fromkeys(("companies", "drivers", "trucks", "events"), COUNT),
    _EVENTS,
    """
    SELECT batch_number, batch_id, interval_start, interval_end, count(DISTINCT company_id) AS companies,
        count(DISTINCT driver_id) AS drivers, count(DISTINCT truck_id) AS trucks, count(event_id) AS events
    FROM batches LEFT JOIN judged USING (batch_number) WHERE batch_number > $after GROUP BY ALL""",
)

DELIVERIES = _gold(
    "deliveries_by_company_and_day",
    {"day": DAY, "company_id": TEXT, "deliveries": COUNT},
    _EVENTS,
    """
    WITH new AS (
        SELECT timezone('UTC', timestamp)::DATE AS day, company_id, count(*) AS deliveries
        FROM judged WHERE event_type = 'delivered' AND batch_number > $after GROUP BY ALL
    )
    SELECT day, company_id, sum(deliveries)::BIGINT AS deliveries
    FROM (FROM new UNION ALL BY NAME FROM own WHERE day IN (SELECT day FROM new)) GROUP BY ALL""",
    kept=True,
    day=True,
)

FLEET = _gold(
    "fleet_by_geography",
    {"geography": TEXT, "companies": COUNT, "active_companies": COUNT},
    (Stream.COMPANIES,),
    """
    WITH new AS (
        SELECT geography, count(*) AS companies, count(*) FILTER (active) AS active_companies
        FROM judged WHERE rule IS NULL AND batch_number > $after GROUP BY ALL
    )
    SELECT geography, sum(companies)::BIGINT AS companies, sum(active_companies)::BIGINT AS active_companies
    FROM (FROM new UNION ALL BY NAME FROM own) GROUP BY ALL""",
    kept=True,
)

UNKNOWN = _gold(
    "unknown_company_events",
    {**_BATCH, "company_id": TEXT, "events": COUNT},
    _EVENTS,
    """
    SELECT batch_number, batch_id, company_id, count(*) AS events
    FROM judged ANTI JOIN known_companies USING (company_id) JOIN batches USING (batch_number)
    WHERE rule IS NULL AND batch_number > $after GROUP BY ALL""",
)
"""Accepted events whose company is not in silver; its rows go when the company arrives."""

GOLD = (BATCHES, QUALITY, EVENTS_BY_COMPANY, ACTIVE, DELIVERIES, FLEET, UNKNOWN)


def gold_of(stream: Stream) -> tuple[Gold, ...]:
    """Return the gold tables that a stream's batches go into."""
    return tuple(gold for gold in GOLD if stream in gold.form.streams)

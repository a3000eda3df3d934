"""Owns the rules: one DuckDB program that takes raw lines and says of each whether it is accepted, and if not, why.

It knows the records' schema and nothing of files, tables or the machine that runs it. A line belongs to a batch, and
all lines of a batch must be judged together, for a duplicate is known by its original.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import duckdb

from fleetgen.domain.records import COMPANY_FIELDS, EVENT_FIELDS, EVENT_TYPES, GEOGRAPHIES, Stream
from fleetgen.domain.schemas import schema_text

RULES = (
    "empty_line",
    "invalid_utf8",
    "line_too_long",
    "duplicate",
    "invalid_json",
    "not_an_object",
    "duplicate_key",
    "missing_field",
    "null_value",
    "wrong_type",
    "unknown_field",
    "malformed_id",
    "malformed_timestamp",
    "invalid_enum",
    "outside_interval",
    "conflicting_duplicate",
)
"""In the order in which they are tried: the first that applies rejects the line."""

LINE_LIMIT_BYTES = 1 << 20
"""A longer line is no record."""

KEPT_CHARACTERS = 1 << 16
"""So much of a rejected line is kept."""

_LAX = r"(?i)nan|inf|,[ \t\r\n]*[\]}]"
"""What DuckDB's parser lets pass although it is no JSON; it may also stand inside of a string."""
_STRING = r'"(?:[^"\\]|\\.)*"'


@dataclass(frozen=True, slots=True)
class _Form:
    """What the records of a stream must look like."""

    fields: tuple[str, ...]
    patterns: dict[str, str]
    """Of the fields that hold an id."""
    booleans: tuple[str, ...]
    choice_field: str
    choices: tuple[str, ...]
    time_field: str
    time_pattern: str

    @property
    def identity(self) -> str:
        return self.fields[0]

    def place(self, field: str) -> str:
        """Return the SQL of a field's JSON text, NULL where the field is missing."""
        return f"found_{self.fields.index(field)}"


@cache
def _form(stream: Stream) -> _Form:
    properties = json.loads(schema_text(stream, "jsonschema"))["properties"]
    companies = stream is Stream.COMPANIES
    time_field = "created_at" if companies else "timestamp"
    patterns = {name: rules["pattern"][1:-1] for name, rules in properties.items() if "pattern" in rules}
    return _Form(
        fields=COMPANY_FIELDS if companies else EVENT_FIELDS,
        time_pattern=patterns.pop(time_field),
        patterns=patterns,
        booleans=tuple(name for name, rules in properties.items() if rules["type"] == "boolean"),
        choice_field="geography" if companies else "event_type",
        choices=GEOGRAPHIES if companies else EVENT_TYPES,
        time_field=time_field,
    )


def record_columns(stream: Stream) -> dict[str, str]:
    """Return the typed columns of a stream's accepted records, with their DuckDB types."""
    form = _form(stream)
    types = dict.fromkeys(form.booleans, "BOOLEAN") | {form.time_field: "TIMESTAMPTZ"}
    return {name: types.get(name, "VARCHAR") for name in form.fields}


def judged_columns(stream: Stream) -> dict[str, str]:
    """Return the columns of judged lines, with their DuckDB types."""
    texts = dict.fromkeys(("rule", "field", "raw"), "VARCHAR")
    return dict.fromkeys(("batch_number", "line", "size_bytes"), "BIGINT") | texts | record_columns(stream)


def judge(run: Callable[[str], duckdb.DuckDBPyConnection], stream: Stream, may_repeat: bool = True) -> None:
    """Judge the lines of whole batches, and leave the judged rows in ``judged``, empty before as ``repeated_lines`` is.

    ``lines`` is a relation with the columns of `lines.LINES`; bytes that are no UTF-8 stand in ``raw`` in some readable
    form. A judged row has ``batch_number``, ``line``, ``rule`` (NULL: accepted), ``field`` (the one at fault), ``raw`` and
    ``size_bytes`` (of rejected lines), and the typed fields. ``may_repeat``: whether equal lines may stand in one batch.
    """
    if may_repeat:
        run(_REPEATED_LINES)
    run(f"INSERT INTO judged BY NAME {judgement(stream, 'lines')}")
    if run(_repeated_ids(stream)).fetchone() is not None:
        run(_reject_repeated_ids(stream))


def identity(stream: Stream) -> str:
    """Return the field that tells a stream's records apart."""
    return _form(stream).identity


_REPEATED_LINES = """
    INSERT INTO repeated_lines SELECT batch_number, line FROM lines
    WHERE hash(batch_number, raw) IN (SELECT hash(batch_number, raw) FROM lines GROUP BY 1 HAVING count(*) > 1)
    QUALIFY line > min(line) OVER (PARTITION BY batch_number, raw)"""
"""Find lines that stand in their batch before, byte for byte: by hash first, then by text."""


def judgement(stream: Stream, lines: str) -> str:
    """Return the SQL that judges lines, but for ids that stand in their batch before.

    Lines that do so are in a table ``repeated_lines``. The program is in steps of which each looks closer at what the
    one before let through.
    """
    form = _form(stream)
    typed = ", ".join(f"CASE WHEN rule IS NULL THEN {_typed(form, field)} END AS {field}" for field in form.fields)
    found = ", ".join(f"found[{place}] AS {form.place(field)}" for place, field in enumerate(form.fields, 1))
    paths = [f"$.{field}" for field in form.fields]
    return f"""
        WITH seen AS (
            SELECT lines.*, repeated_lines.line IS NOT NULL AS is_repeated,
                CASE WHEN valid_utf8 AND size_bytes <= {LINE_LIMIT_BYTES} THEN json_valid(raw) ELSE false END AS is_parsed
            FROM {lines} AS lines LEFT JOIN repeated_lines USING (batch_number, line)
        ), opened AS (
            SELECT *, is_parsed AND
                CASE WHEN starts_with(raw, '{{') THEN true ELSE left(ltrim(raw, {_SPACE}), 1) = '{{' END AS is_object
            FROM seen
        ), parsed AS (
            SELECT *, CASE WHEN is_object THEN json_extract(raw, {paths})::VARCHAR[] END AS found,
                CASE WHEN is_object THEN len(json_keys(raw)) END AS key_count
            FROM opened
        ), spread AS (
            SELECT * EXCLUDE (found), {found} FROM parsed
        ), shaped AS (
            SELECT *, coalesce({_is_shaped(form)}, false) AS is_shaped FROM spread
        ), timed AS (
            SELECT *, CASE WHEN is_shaped THEN {_instant(form)} END AS instant, {_is_json()} AS is_json FROM shaped
        ), ruled AS (
            SELECT *, CASE WHEN is_shaped AND is_json AND NOT is_repeated
                THEN CASE {_branches(_rules_of_values(form))} END
                ELSE CASE {_branches(_rules_of_shape(form))} END END AS rule
            FROM timed
        )
        SELECT batch_number, line, rule, CASE WHEN rule IS NOT NULL THEN {_faulty_field(form)} END AS field,
            CASE WHEN rule IS NOT NULL THEN left(raw, {KEPT_CHARACTERS}) END AS raw,
            CASE WHEN rule IS NOT NULL THEN size_bytes END AS size_bytes, {typed}
        FROM ruled"""


_SPACE = r"' ' || chr(9) || chr(10) || chr(13)"


def _is_shaped(form: _Form) -> str:
    """All fields are there, of the right types, and nothing else: no key is unknown, and none stands twice."""
    right = " AND ".join(f"NOT {_has_wrong_type(form, field)}" for field in form.fields)
    return f"key_count = {len(form.fields)} AND {right}"


def _is_json() -> str:
    """What DuckDB parsed is JSON if it has none of the laxities, which only a shaped line cannot hide."""
    lax = f"regexp_matches(regexp_replace(raw, '{_STRING}', '', 'g'), '{_LAX}')"
    is_lax = f"CASE WHEN regexp_matches(raw, '{_LAX}') THEN {lax} ELSE false END"
    return (
        f"""CASE WHEN is_shaped AND ends_with(raw, '"}}') THEN true WHEN is_parsed THEN NOT ({is_lax}) ELSE false END"""
    )


def _branches(tests: dict[str, str]) -> str:
    return " ".join(f"WHEN {test} THEN '{rule}'" for rule, test in tests.items())


def _rules_of_shape(form: _Form) -> dict[str, str]:
    """Return the tests, in the order of RULES, one of which a line without the right shape does not pass."""
    known = " + ".join(f"({form.place(field)} IS NOT NULL)::INTEGER" for field in form.fields)
    return {
        "empty_line": f"NOT is_object AND trim(raw, {_SPACE}) = ''",
        "invalid_utf8": "NOT valid_utf8",
        "line_too_long": f"size_bytes > {LINE_LIMIT_BYTES}",
        "duplicate": "is_repeated",
        "invalid_json": "NOT is_json",
        "not_an_object": "NOT is_object",
        "duplicate_key": f"key_count <> {known} AND len(list_distinct(json_keys(raw))) <> key_count",
        "missing_field": _any(f"{form.place(field)} IS NULL" for field in form.fields),
        "null_value": _any(f"{form.place(field)} = 'null'" for field in form.fields),
        "wrong_type": _any(_has_wrong_type(form, field) for field in form.fields),
        "unknown_field": "true",
    }


def _rules_of_values(form: _Form) -> dict[str, str]:
    """Return the tests of the values of a line that has the right shape, in the order of RULES."""
    return {
        "malformed_id": _any(_has_malformed_id(form, field) for field in form.patterns),
        "malformed_timestamp": "instant IS NULL",
        "invalid_enum": _has_invalid_choice(form),
        "outside_interval": "epoch_us(instant) NOT BETWEEN interval_start AND interval_end - 1",
    }


def _any(tests: Iterable[str]) -> str:
    return "(" + " OR ".join(tests) + ")"


def _has_wrong_type(form: _Form, field: str) -> str:
    if field in form.booleans:
        return f"{form.place(field)} NOT IN ('true', 'false')"
    return f"NOT starts_with({form.place(field)}, '\"')"


def _has_malformed_id(form: _Form, field: str) -> str:
    return f"NOT regexp_full_match({form.place(field)}, '\"{form.patterns[field]}\"')"


def _has_invalid_choice(form: _Form) -> str:
    choices = ", ".join(f"'\"{choice}\"'" for choice in form.choices)
    return f"{form.place(form.choice_field)} NOT IN ({choices})"


def _instant(form: _Form) -> str:
    """Return the SQL of the record's instant; NULL if it has another form or is in no calendar.

    The clock's range is looked at apart: DuckDB takes hour 24 for the next day's midnight.
    """
    place = form.place(form.time_field)
    return f"""CASE WHEN regexp_full_match({place}, '"{form.time_pattern}"') AND substr({place}, 13, 2) < '24'
        THEN try_cast(substr({place}, 2, 27) AS TIMESTAMP) END"""


def _typed(form: _Form, field: str) -> str:
    if field in form.booleans:
        return f"{form.place(field)} = 'true'"
    if field == form.time_field:
        return "timezone('UTC', instant)"
    return f"substr({form.place(field)}, 2, strlen({form.place(field)}) - 2)"


def _faulty_field(form: _Form) -> str:
    """Return the SQL of the first field at which the line's rule applies."""
    finders = {
        "missing_field": {field: f"{form.place(field)} IS NULL" for field in form.fields},
        "null_value": {field: f"{form.place(field)} = 'null'" for field in form.fields},
        "wrong_type": {field: _has_wrong_type(form, field) for field in form.fields},
        "malformed_id": {field: _has_malformed_id(form, field) for field in form.patterns},
        "malformed_timestamp": {form.time_field: "true"},
        "invalid_enum": {form.choice_field: "true"},
        "outside_interval": {form.time_field: "true"},
    }
    cases = (
        f"WHEN '{rule}' THEN CASE " + " ".join(f"WHEN {test} THEN '{field}'" for field, test in tests.items()) + " END"
        for rule, tests in finders.items()
    )
    return f"CASE rule {' '.join(cases)} END"


def _repeated_ids(stream: Stream) -> str:
    return f"""
        SELECT 1 FROM judged WHERE rule IS NULL
        GROUP BY hash(batch_number, {identity(stream)}) HAVING count(*) > 1 LIMIT 1"""


def repeated_records(stream: Stream, judged: str) -> str:
    """Return the SQL of accepted lines whose id an earlier accepted line has, each with the rule that rejects it.

    It is a duplicate if it is equal in all fields, otherwise in conflict.
    """
    form = _form(stream)
    first = ", ".join(f"first_value({field}) OVER same AS first_{number}" for number, field in enumerate(form.fields))
    equal = " AND ".join(f"{field} = first_{number}" for number, field in enumerate(form.fields))
    return f"""
        SELECT batch_number, line, CASE WHEN {equal} THEN 'duplicate' ELSE 'conflicting_duplicate' END AS rule
        FROM (
            SELECT batch_number, line, {", ".join(form.fields)}, row_number() OVER same AS place, {first}
            FROM {judged} WHERE rule IS NULL WINDOW same AS (PARTITION BY batch_number, {form.identity} ORDER BY line)
        ) WHERE place > 1"""


def _reject_repeated_ids(stream: Stream) -> str:
    nulls = ", ".join(f"{field} = NULL" for field in _form(stream).fields)
    return f"""
        UPDATE judged SET rule = rejected.rule, raw = left(lines.raw, {KEPT_CHARACTERS}),
            size_bytes = lines.size_bytes, {nulls}
        FROM ({repeated_records(stream, "judged")}) AS rejected JOIN lines USING (batch_number, line)
        WHERE judged.batch_number = rejected.batch_number AND judged.line = rejected.line"""

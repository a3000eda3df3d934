"""Owns what each issue does to its line, said line by line: the measure of what the columns make of a block."""

from typing import NamedTuple

from fleetgen.domain.corruption import REASON_CODES, WRONG_EVENT_TYPES, WRONG_GEOGRAPHIES, WRONG_WORDS
from fleetgen.domain.issues import Issues
from fleetgen.domain.records import COMPANY_FIELDS, EVENT_FIELDS, ISSUE_TYPES, SECOND, Interval, Stream, iso

DAY = 86_400 * SECOND
IMPOSSIBLE = ((6, b"13"), (9, b"32"), (12, b"25"))
"""Where a quoted timestamp has its month, its day and its hour, and what none of them can be."""


class Issue(NamedTuple):
    """One issue of a block."""

    row: int
    kind: str
    field: int
    value: int
    copied_row: int
    distance: int


def one_by_one(
    lines: list[bytes], issues: Issues, first_line: int, stream: Stream, interval: Interval
) -> tuple[list[bytes], list[bytes]]:
    """Return the lines with these issues, and a line of truth for each."""
    published, truth = list(lines), []
    columns = (issues.fields, issues.values, issues.copied_rows, issues.distances)
    kinds = [ISSUE_TYPES[kind] for kind in issues.kinds.tolist()]
    for issue in map(Issue, issues.rows.tolist(), kinds, *(column.tolist() for column in columns)):
        line = lines[issue.row]
        if issue.kind == "duplicate":
            published[issue.row] = published[issue.copied_row]
            described = (b"null", line[:-1], b"%d" % (first_line + issue.copied_row))
        else:
            published[issue.row], described = changed(line, issue, stream, interval)
        truth.append(
            b'{"line":%d,"record_id":"%b","issue_type":"%b","field":%b,"original":%b,"injected":%b,"reason_code":"%b"}\n'
            % (
                first_line + issue.row,
                line.split(b'"')[3],
                issue.kind.encode(),
                *described,
                REASON_CODES[issue.kind].encode(),
            )
        )
    return published, truth


def changed(line: bytes, issue: Issue, stream: Stream, interval: Interval) -> tuple[bytes, tuple[bytes, bytes, bytes]]:
    """Return the line with its issue, and the field, the original and the injected value as JSON."""
    names = COMPANY_FIELDS if stream is Stream.COMPANIES else EVENT_FIELDS
    name = field_of(issue, names)
    pairs = [pair.split(b":", 1) for pair in line[1:-2].split(b",")]
    place = names.index(name)
    key, original = pairs[place]
    assert key == b'"%b"' % name.encode()
    if issue.kind == "missing_field":
        del pairs[place]
        value = b"null"
    else:
        value = injected(issue, original, stream, interval)
        pairs[place][1] = value
    return b"{%b}\n" % b",".join(b":".join(pair) for pair in pairs), (key, original, value)


def field_of(issue: Issue, names: tuple[str, ...]) -> str:
    """Return the field that the issue concerns."""
    if issue.kind in ("missing_field", "null_value"):
        return names[issue.field * len(names) >> 32]
    if issue.kind == "invalid_enum":
        return "geography" if "geography" in names else "event_type"
    return names[-1]


def injected(issue: Issue, original: bytes, stream: Stream, interval: Interval) -> bytes:
    """Return the JSON value that takes the original's place."""
    if issue.kind == "null_value":
        return b"null"
    if issue.kind == "invalid_enum":
        wrong = WRONG_GEOGRAPHIES if stream is Stream.COMPANIES else WRONG_EVENT_TYPES
        return wrong[issue.value * len(wrong) >> 32]
    if issue.kind == "malformed_timestamp":
        return malformed(original, issue.value * 8 >> 32)
    return b'"%b"' % iso(outside(issue, interval)).encode()


def malformed(quoted: bytes, variant: int) -> bytes:
    """Return a timestamp, in quotes, as it must not be."""
    if variant < 3:
        start, digits = IMPOSSIBLE[variant]
        return quoted[:start] + digits + quoted[start + 2 :]
    if variant < 6:
        return WRONG_WORDS[variant - 3]
    return quoted[:-2] + b'"' if variant == 6 else quoted[:11].replace(b"-", b"/") + quoted[11:]


def outside(issue: Issue, interval: Interval) -> int:
    """Return an instant before the interval, after it, or far in the future."""
    where, within_a_day = issue.value * 3 >> 32, issue.distance * DAY >> 32
    if where == 0:
        return interval.start - 1 - within_a_day
    if where == 1:
        return interval.end + within_a_day
    return interval.end + (1 + (issue.distance * 50 >> 32)) * 365 * DAY

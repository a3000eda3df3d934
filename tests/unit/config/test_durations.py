"""Durations are ISO 8601 strings of whole seconds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgen.config.durations import Duration, format_duration, parse_duration
from fleetgen.config.faults import plain_schema

# What looks like a duration and mostly is none: the letters of the format in any order, digits of other scripts.
nearly_durations = st.text(alphabet="PTDHMSW0123456789.,+- \n٣²", max_size=12)


@given(st.integers(0, 10**9))
def test_a_duration_survives_being_written_and_read(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text() | nearly_durations)
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError as fault:
        assert str(fault) == "is no ISO 8601 duration of whole seconds"
    else:
        assert seconds >= 0
        assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("value", [None, True, 10, 10.0, b"PT10S", ["PT10S"], {"PT": 1}])
def test_what_is_no_text_is_refused_with_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match="is no ISO 8601 duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0S", 0),
        ("PT10S", 10),
        ("PT90S", 90),
        ("PT15M", 900),
        ("PT1H", 3_600),
        ("PT1H30M", 5_400),
        ("PT1H0M5S", 3_605),
        ("PT007S", 7),
        ("P1D", 86_400),
        ("P1DT1S", 86_401),
    ],
)
def test_each_unit_counts_its_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1DT",
        "10",
        "10s",
        "1h",
        "T10S",
        "PT10",
        "PT10s",
        "pt10s",
        "PT1.5S",
        "PT1,5S",
        "PT-1S",
        "-PT1S",
        "PT1M1H",
        "PT1S1S",
        "P1W",
        "P1M",
        "P1Y",
        "PT 1S",
        " PT1S",
        "PT1S ",
        "PT1S\n",
        "PT٣S",
        "PT²S",
        "PT1234567890S",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no ISO 8601 duration of whole seconds"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "PT0S"), (1, "PT1S"), (60, "PT1M"), (3_661, "PT1H1M1S"), (86_400, "PT24H")]
)
def test_a_duration_is_written_without_empty_parts(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_range_includes_both_ends() -> None:
    # Given a range of one minute to one hour
    duration = Duration(60, 3_600)

    # Then its ends are in it, and their neighbours are not
    assert duration.read("PT1M") == 60
    assert duration.read("PT60M") == 3_600
    for outside in ("PT59S", "PT3601S"):
        with pytest.raises(ValueError, match="is out of range"):
            duration.read(outside)


@given(nearly_durations)
def test_the_schema_admits_the_same_texts(text: str) -> None:
    # Given the pattern that editors check by, which as in JavaScript ends only at the end
    pattern = plain_schema()["$defs"]["Production"]["properties"]["company_interval"]["pattern"]
    by_schema = re.fullmatch(pattern.removesuffix("$"), text) is not None

    # Then it and the reader agree, but for numbers that no interval needs
    try:
        parse_duration(text)
    except ValueError:
        assert not by_schema or re.search(r"\d{10}", text)
    else:
        assert by_schema

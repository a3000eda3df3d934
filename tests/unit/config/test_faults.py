"""A faulty configuration is described in words: every fault at once, in the order of the file, with its line."""

import re

import pytest

from fleetgen.config.faults import nearest_line, written_lines
from support.configs import EVERY_KEY, message_about, written


def places(message: str) -> list[tuple[int | None, str]]:
    """Return the line and the key of each fault that a message lists."""
    found = re.findall(r"^  (?:line (\d+): )?([\w.-]+) ", message, re.MULTILINE)
    return [(int(line) if line else None, key) for line, key in found]


def test_several_faults_are_named_at_once_in_the_order_of_the_file() -> None:
    # Given a file with a fault in each of its tables, of every sort
    file = written(
        {
            "seed": "-1",
            "fleet.drivers_per_company": '"ten"',
            "fleet.active_probability": "nan",
            "modes.production.driver_interval": '"15m"',
            "modes.emulated.companies_per_batch": "101",
            "modes.emulated.events_per_batch": "{ min = 30, max = 20 }",
            "schedule.catch_up_limit": "true",
            "paths.run": '""',
            "metrics.driver_port": "0",
        },
        renamed={"supervisor.start_retries": "start_retrys"},
    )

    # When it is read
    message = message_about(file.text)

    # Then the message counts them, and lists each with its own line, from the first line to the last
    keys = [
        "seed",
        "fleet.drivers_per_company",
        "fleet.active_probability",
        "modes.production.driver_interval",
        "modes.emulated.companies_per_batch",
        "modes.emulated.events_per_batch",
        "schedule.catch_up_limit",
        "paths.run",
        "metrics.driver_port",
    ]
    retries = file.lines["supervisor.start_retries"]
    assert "generator.toml has 10 faults:" in message
    assert places(message) == [*((file.lines[key], key) for key in keys), (retries, "supervisor.start_retrys")]


def test_what_has_no_line_comes_last() -> None:
    # Given a file that lacks its mode and has a bad port
    file = written({"mode": None, "metrics.company_port": "70000"})

    # Then the fault with a line is listed first
    assert places(message_about(file.text)) == [
        (file.lines["metrics.company_port"], "metrics.company_port"),
        (None, "mode"),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["unix", "windows"])
def test_lines_are_counted_as_editors_count_them(ending: str) -> None:
    # Given a file with either line ending and a fault near its end
    file = written({"supervisor.stop_wait_seconds": "0"})
    text = file.text.replace("\n", ending)

    # Then the line is that of the key
    assert places(message_about(text)) == [(file.lines["supervisor.stop_wait_seconds"], "supervisor.stop_wait_seconds")]


def test_a_separator_within_a_comment_ends_no_line() -> None:
    # Given a comment with characters at which some programs, but not TOML, break lines
    text = '# one\u2028line\u0085of\u2029TOML\nmode = "neither"\n[fleet]\n[modes.production]\n[modes.emulated]\n'

    # Then the fault is on the second line
    assert places(message_about(text)) == [(2, "mode")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a.b.c = 1\n", 1),
        ("[a]\nb.c = 1\n", 2),
        ("[a.b]\nc = 1\n", 2),
        ("[ a . b ]  # comment\n\n  c = 1\n", 3),
        ('["a"."b"]\n"c" = 1\n', 2),
        ("['a'.b]\n'c' = 1\n", 2),
        ("[a]\nb = { c = 1 }\n", 2),
        ("a = { b = { c = 1 } }\n", 1),
        ("[x]\nc = 1\n[a.b]\nc = 1\n", 4),
        ("[a]\nx = 1\n", 1),
        ("[[a.b]]\nc = 1\n", 2),
    ],
)
def test_a_key_is_found_however_it_is_written(text: str, line: int) -> None:
    assert nearest_line(written_lines(text), ("a", "b", "c")) == line


def test_a_key_that_is_written_nowhere_has_no_line() -> None:
    assert nearest_line(written_lines("[x]\ny = 1\n"), ("a", "b")) is None


def test_a_table_within_a_text_of_several_lines_is_no_table() -> None:
    # Given a text value that itself looks like a table
    text = 'note = """\n[metrics]\ncompany_port = 1\n"""\n[metrics]\ncompany_port = 0\n'

    # Then the key is found where it is really written
    assert nearest_line(written_lines(text), ("metrics", "company_port")) == 6


@pytest.mark.parametrize(
    ("key", "misspelt"),
    [
        (f"{table}.{name}".lstrip("."), changed)
        for table, entries in EVERY_KEY.items()
        for name in entries
        for changed in (name[:-1], name.capitalize())
    ],
)
def test_misspelt_key_names_the_nearest_known_one(key: str, misspelt: str) -> None:
    # Given a file with one key misspelt
    file = written(renamed={key: misspelt})
    table, _, name = key.rpartition(".")

    # When it is read
    message = message_about(file.text)

    # Then the message has its line, the key as written, and the key that was meant
    assert f"line {file.lines[key]}: {f'{table}.{misspelt}'.lstrip('.')} is no known key" in message
    assert f"did you mean {name!r}?" in message


@pytest.mark.parametrize(
    ("table", "misspelt"),
    [
        ("fleet", "fleets"),
        ("modes.production", "modes.productoin"),
        ("modes.emulated", "modes.emulatd"),
        ("schedule", "scedule"),
        ("paths", "path"),
        ("metrics", "metric"),
        ("supervisor", "supervisord"),
    ],
)
def test_misspelt_table_names_the_nearest_known_one(table: str, misspelt: str) -> None:
    file = written()

    message = message_about(file.text.replace(f"[{table}]", f"[{misspelt}]"))

    assert f"line {file.lines[table]}: {misspelt} is no known key; did you mean {table.split('.')[-1]!r}?" in message


def test_a_key_near_to_none_lists_the_known_ones() -> None:
    message = message_about(written(renamed={"schedule.catch_up_limit": "xyzzy"}).text)

    assert "schedule.xyzzy is no known key of [schedule]; known are catch_up_limit" in message


def test_a_weight_of_an_unknown_name_lists_the_known_names() -> None:
    message = message_about(written({"fleet.geography_weights": "{ US = 1, Mars = 1 }"}).text)

    assert "fleet.geography_weights.Mars is no known key" in message
    assert "known are US, EU, SA, AUS" in message


@pytest.mark.parametrize(
    ("toml", "shown"),
    [
        ('"[key]"', "[key]"),
        ('""', '""'),
        ('"two words"', "two words"),
        ('"ümläut"', "ümläut"),
        ('"a.dot"', "a.dot"),
    ],
)
def test_an_odd_key_is_named_as_written(toml: str, shown: str) -> None:
    message = message_about(f"{toml} = 1\n{written().text}")

    assert shown in message.splitlines()[1]
    assert "is no known key" in message


@pytest.mark.parametrize("code", ["\\u001b[31m", "\\r", "\\n", "\\u0007"], ids=["escape", "return", "newline", "bell"])
def test_a_control_character_in_a_key_does_not_reach_the_terminal(code: str) -> None:
    message = message_about(f'"a{code}b" = 1\n{written().text}')

    assert "is no known key" in message
    assert all(character.isprintable() for line in message.split("\n") for character in line)
    assert len(message.split("\n")) == 2


@pytest.mark.parametrize(
    "value", ['"' + "x" * 5000 + '"', "[" + "1," * 5000 + "]", "9" * 4000], ids=["text", "array", "number"]
)
def test_a_long_value_is_cut_short(value: str) -> None:
    message = message_about(written({"seed": value}).text)

    assert "line 2: seed = " in message
    assert "…" in message
    assert len(message) < 300


def test_a_long_key_is_cut_short() -> None:
    message = message_about(f"{'k' * 5000} = 1\n{written().text}")

    assert "is no known key" in message
    assert len(message) < 400


def test_two_processes_on_one_port_are_told_which_keys_must_differ() -> None:
    file = written({"metrics.driver_port": "9101"})

    message = message_about(file.text)

    assert "metrics" in message
    assert "company_port" in message
    assert "driver_port" in message
    assert "must differ" in message
    assert "must be a table" not in message

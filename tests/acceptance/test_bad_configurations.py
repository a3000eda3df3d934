"""A bad configuration is refused with exit status 78 and one message that a stranger can act on; nothing is written."""

import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetgen.config.loading import load
from support.configs import (
    ETC,
    PRESETS,
    SHIPPED,
    fleetgen,
    message_about,
    message_of_loading,
    parsed,
    set_folder,
    tree,
    written,
)

FOREIGN = ("Traceback", "pydantic", "http", "ctx", "set_int_max_str_digits", "RecursionError")
"""What betrays the inside of the program or of a library."""

WHOLE_NUMBERS = {
    "seed": (0, 2**63 - 1),
    "fleet.drivers_per_company": (1, 10_000),
    "modes.production.companies_per_batch": (1, 100_000),
    "modes.emulated.companies_per_batch": (1, 100),
    "schedule.catch_up_limit": (0, 100_000),
    "metrics.company_port": (1, 65_535),
    "metrics.driver_port": (1, 65_535),
    "supervisor.start_retries": (0, 100),
    "supervisor.stop_wait_seconds": (1, 3_600),
}
DURATIONS = {
    "modes.production.company_interval": "PT24H",
    "modes.production.driver_interval": "PT24H",
    "modes.emulated.company_interval": "PT1H",
    "modes.emulated.driver_interval": "PT1H",
}
NUMBERS = {
    "fleet.event_rate_per_driver": ("a number above 0 and at most 1000", ("0", "-1", "1000.001")),
    "fleet.active_probability": ("a number from 0 to 1", ("-0.001", "1.001")),
}
TEXTS = {
    "paths.data": "the path of a folder",
    "paths.run": "the path of a folder",
    "metrics.address": "an address to listen on",
}
WEIGHTS = {"fleet.geography_weights": "US", "fleet.event_type_weights": "delivered"}
BOUNDS = "modes.emulated.events_per_batch"
NO_NUMBERS = {"a text": '"10"', "a truth": "true", "nothing": '""', "an array": "[10]", "a date": "2026-01-31"}


@dataclass(frozen=True)
class Bad:
    """A value that a key does not admit."""

    key: str
    value: str
    allowed: str
    named: str = ""
    """The key that the message names, if it is a deeper one."""

    def __str__(self) -> str:
        return f"{self.named or self.key} = {self.value[:40]}"


def bad_whole_numbers() -> Iterator[Bad]:
    for key, (least, most) in WHOLE_NUMBERS.items():
        words = f"a whole number from {least} to {most}"
        for value in (*NO_NUMBERS.values(), "10.0", "nan", "inf", str(least - 1), str(most + 1), "9" * 4_000):
            yield Bad(key, value, words)
    for value in (*NO_NUMBERS.values(), "10.0", "nan", "-1"):
        yield Bad("fleet.max_active_companies", value, "a whole number")


def bad_durations() -> Iterator[Bad]:
    for key, most in DURATIONS.items():
        words = f'a duration from "PT1S" to "{most}"'
        for value in ('"1h"', '"10"', "10", "true", "10.0", "07:32:00", '"PT0S"', '"PT0.5S"', '"PT-1S"', '"P1M"', '""'):
            yield Bad(key, value, words)
        yield Bad(key, f'"{most}1S"', words)


def bad_numbers() -> Iterator[Bad]:
    for key, (words, outside) in NUMBERS.items():
        for value in (*NO_NUMBERS.values(), "nan", "-nan", "inf", "-inf", "1e400", *outside):
            yield Bad(key, value, words)


def bad_texts() -> Iterator[Bad]:
    for key, words in TEXTS.items():
        for value in ('""', "1", "true", "[]", "{}", '"a\\u0000b"'):
            yield Bad(key, value, words)


def bad_weights() -> Iterator[Bad]:
    for key, name in WEIGHTS.items():
        table = "a table with weights of at least 0, not all of them 0"
        for value in ("{}", f'{{ "{name}" = 0 }}', f'{{ "{name}" = -0.0 }}', f'["{name}"]', f'"{name}"', "1"):
            yield Bad(key, value, table)
        for weight in ("-1", "nan", "inf", "true", '"1"', "1e10", "[1]"):
            yield Bad(key, f'{{ "{name}" = {weight} }}', "a number from 0 to", f"{key}.{name}")
        yield Bad(key, f'{{ "{name}" = 1, "Mars" = 1 }}', "known are", f"{key}.Mars")
        yield Bad(key, f'{{ "{name}" = 1, "{name.lower()}s" = 1 }}', name, f"{key}.{name.lower()}s")


def bad_bounds() -> Iterator[Bad]:
    for value in ("5", "[5, 20]", '"5-20"', "true", "{ min = 20, max = 19 }"):
        yield Bad(BOUNDS, value, "1 ≤ min ≤ max ≤ 100000")
    for value in ("0", "-1", "true", '"5"', "5.0", "nan", "100001"):
        yield Bad(BOUNDS, f"{{ min = {value}, max = 20 }}", "a whole number from 1 to 100000", f"{BOUNDS}.min")
        yield Bad(BOUNDS, f"{{ min = 5, max = {value} }}", "a whole number from 1 to 100000", f"{BOUNDS}.max")
    yield Bad(BOUNDS, "{ max = 20 }", "a whole number from 1 to 100000", f"{BOUNDS}.min")
    yield Bad(BOUNDS, "{ min = 5 }", "a whole number from 1 to 100000", f"{BOUNDS}.max")
    yield Bad(BOUNDS, "{ min = 5, max = 20, mean = 9 }", "known are max, min", f"{BOUNDS}.mean")


def bad_modes() -> Iterator[Bad]:
    for value in ('"Emulated"', '"emulated "', '""', '"live"', "1", "true", '["emulated"]', "2026-01-31T12:00:00Z"):
        yield Bad("mode", value, '"emulated" or "production"')


BAD_VALUES = [
    *bad_modes(),
    *bad_whole_numbers(),
    *bad_durations(),
    *bad_numbers(),
    *bad_texts(),
    *bad_weights(),
    *bad_bounds(),
]


@pytest.mark.parametrize("bad", BAD_VALUES, ids=str)
def test_a_bad_value_is_named_with_its_line_and_what_is_allowed(bad: Bad) -> None:
    # Given a valid file but for one value
    file = written({bad.key: bad.value})

    # When it is read
    message = message_about(file.text)

    # Then the message names its line, its key and what is allowed, and nothing of the program's inside
    assert f"line {file.lines[bad.key]}: {bad.named or bad.key} " in message
    assert bad.allowed in message
    assert "generator.toml has 1 fault:" in message
    assert len(message) < 600
    assert [word for word in FOREIGN if word in message] == []


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("seed", '"42"', 'seed = "42" '),
        ("seed", "-1", "seed = -1 "),
        ("seed", "true", "seed = true "),
        ("mode", '"emulatd"', 'mode = "emulatd" '),
        ("fleet.active_probability", "1.5", "fleet.active_probability = 1.5 "),
        ("modes.production.company_interval", '"1h"', 'modes.production.company_interval = "1h" '),
        ("paths.data", "1", "paths.data = 1 "),
        (BOUNDS, "{ min = 9, max = 8 }", '= {"min": 9, "max": 8} '),
    ],
)
def test_the_message_shows_the_value(key: str, value: str, shown: str) -> None:
    assert shown in message_about(written({key: value}).text)


@pytest.mark.parametrize("table", ["fleet", "modes", "schedule", "paths", "metrics", "supervisor"])
@pytest.mark.parametrize("value", ["1", '"on"', "[]", "true"])
def test_a_value_in_place_of_a_table_is_named(table: str, value: str) -> None:
    # Given a file with a value where a table belongs
    others = re.sub(rf"\n\[{table}(\.\w+)?\]\n(?:\w.*\n)+", "\n", written().text)
    text = f"{table} = {value}\n{others}"

    # Then the message says that it must be a table
    message = message_about(text)
    assert f"line 1: {table} = " in message
    assert "must be a table" in message


@pytest.mark.parametrize("table", ["fleet", "modes.production", "modes.emulated", "schedule", "paths", "metrics"])
def test_a_table_in_double_brackets_is_named_with_its_line(table: str) -> None:
    # Given a file with [[table]] for [table]
    file = written()

    # Then the message names the line and says that it must be a table
    message = message_about(file.text.replace(f"[{table}]", f"[[{table}]]"))
    assert f"line {file.lines[table]}: {table} = " in message
    assert "must be a table" in message


@pytest.mark.parametrize(
    ("kept", "missing", "remedy"),
    [
        ("[fleet]\n[modes.production]\n[modes.emulated]\n", "mode", 'give it "emulated" or "production"'),
        ('mode = "emulated"\n[modes.production]\n[modes.emulated]\n', "fleet", "add the table [fleet]"),
        ('mode = "emulated"\n[fleet]\n', "modes", "add the table [modes]"),
        ('mode = "emulated"\n[fleet]\n[modes.emulated]\n', "modes.production", "add the table [modes.production]"),
        ('mode = "emulated"\n[fleet]\n[modes.production]\n', "modes.emulated", "add the table [modes.emulated]"),
    ],
)
def test_what_is_required_and_missing_is_named_with_its_remedy(kept: str, missing: str, remedy: str) -> None:
    message = message_about(kept)

    assert f"{missing} is missing: {remedy}" in message
    assert all(line.startswith(f"  {missing}") for line in message.splitlines()[1:])


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing yet\n", "\t \n"], ids=["empty", "blank", "a comment", "white space"]
)
def test_an_empty_file_lacks_all_that_is_required(text: str) -> None:
    message = message_about(text)

    assert "has 5 faults:" in message
    required = ("fleet", "mode", "modes", "modes.emulated", "modes.production")
    assert all(f"{key} is missing" in message for key in required)


@pytest.mark.parametrize("table", ["storage", "alerts", "Ünïcode"])
def test_an_unknown_table_is_named_with_its_line(table: str) -> None:
    # Given a valid file with a table more
    text = written().text
    name = table if table.isascii() else f'"{table}"'

    # Then the message names it, its line, and the tables that are known
    message = message_about(f"{text}\n[{name}]\nenabled = true\n")
    assert f"line {len(text.splitlines()) + 2}: {table} is no known key" in message
    assert (
        "known are backpressure, control, fleet, metrics, mode, modes, paths, pipeline, quality, retention, schedule, seed, "
        "supervisor" in message
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mode = emulated\n", 1),
        ("mode: emulated\n", 1),
        ('{"mode": "emulated"}\n', 1),
        ('mode = "emulated\n', 1),
        ("mode = “emulated”\n", 1),
        ("seed = 1\nseed = 2\n", 2),
        ("seed = \n", 1),
        ("seed = 1,\n", 1),
        ("seed = 042\n", 1),
        ("seed = True\n", 1),
        ("seed = null\n", 1),
        ("[fleet]\n[paths]\n[fleet]\n", 3),
        ("[fleet\n", 1),
        ("fleet = { a = 1, a = 2 }\n", 1),
        ("fleet = { a = 1, }\n", 1),
        ("fleet = { a = 1,\n b = 2 }\n", 1),
        ("fleet.a = 1\n[fleet]\n", 2),
        ('mode = "emulated"\n[mode.production]\n', 2),
        ('mode = "\\ud800"\n', 1),
        ("a = 1\n\x00\n", 2),
        ("<<<<<<< HEAD\n", 1),
        ("a = [\n1\n\n", 1),
    ],
)
def test_broken_toml_names_the_line(text: str, line: int) -> None:
    message = message_about(text)

    assert "is no valid TOML" in message
    assert re.search(rf"\bline {line}\b", message) or "at end of document" in message
    assert [word for word in FOREIGN if word in message] == []
    assert "('" not in message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mode = emulated\n", "mode = emulated"),
        ("seed = 1\nseed = 2\n", "seed = 2"),
        ("[fleet]\n[paths]\n[fleet]\n", "[fleet]"),
        ('mode = "emulated"\n[mode.production]\n', "[mode.production]"),
        ("seed = True\n", "seed = True"),
    ],
)
def test_broken_toml_shows_what_stands_there(text: str, shown: str) -> None:
    assert shown in message_about(text)


@pytest.mark.parametrize(
    "value",
    [
        "9" * 5_000,
        "0x" + "f" * 5_000,
        "[" * 5_000 + "]" * 5_000,
        "[" * 400 + "]" * 400,
        "{a=" * 5_000 + "1" + "}" * 5_000,
    ],
    ids=["5000 digits", "5000 hexadecimal digits", "5000 arrays", "400 arrays", "5000 tables"],
)
def test_a_monstrous_value_is_refused_in_words(value: str) -> None:
    message = message_about(written({"seed": value}).text)

    assert "generator.toml" in message
    assert len(message) < 400
    assert [word for word in FOREIGN if word in message] == []


def test_a_number_beyond_all_use_is_refused_where_any_number_is_large_enough() -> None:
    message = message_about(written({"fleet.max_active_companies": "0x" + "f" * 5_000}).text)

    assert "fleet.max_active_companies" in message


def test_a_key_of_thousands_of_steps_is_refused_in_words() -> None:
    message = message_about(written(renamed={"seed": "seed" + ".a" * 2_000}).text)

    assert "  seed = " in message or ": seed = " in message
    assert "a whole number" in message
    assert len(message) < 400


def test_each_of_a_thousand_faults_is_named() -> None:
    # Given a file with many unknown keys, as when another program's file is named
    text = "".join(f"key_{number} = {number}\n" for number in range(1_000)) + written().text

    # When it is read
    message = message_about(text)

    # Then every one of them is named, each with its line
    assert "has 1000 faults:" in message
    assert "line 1000: key_999 is no known key" in message


def bare_file(folder: Path) -> Path:
    return folder / "etc" / "generator.toml"


def missing_file(folder: Path) -> Path:
    return folder / "missing.toml"


def dangling_link(folder: Path) -> Path:
    link = folder / "link.toml"
    link.symlink_to("nowhere.toml")
    return link


def looping_link(folder: Path) -> Path:
    link = folder / "loop.toml"
    link.symlink_to(link.name)
    return link


def a_folder(folder: Path) -> Path:
    return folder / "etc"


def below_a_file(folder: Path) -> Path:
    return bare_file(folder) / "generator.toml"


def too_long_a_name(folder: Path) -> Path:
    return folder / ("x" * 300 + ".toml")


def ten_megabytes(folder: Path) -> Path:
    file = folder / "large.toml"
    with file.open("wb") as large:
        large.truncate(10_000_000)
    return file


def other_encoding(folder: Path) -> Path:
    file = folder / "latin.toml"
    file.write_bytes('mode = "emulated"  # für alle\n'.encode("latin-1"))
    return file


def utf_16(folder: Path) -> Path:
    file = folder / "utf16.toml"
    file.write_bytes(written().text.encode("utf-16"))
    return file


def byte_order_mark(folder: Path) -> Path:
    file = folder / "mark.toml"
    file.write_bytes(written().text.encode("utf-8-sig"))
    return file


def unreadable_memory(folder: Path) -> Path:
    return Path("/proc/self/mem")


def nobodys_home(folder: Path) -> Path:
    return Path("~nobody-of-this-name/generator.toml")


UNREADABLE = [
    (missing_file, ("There is no", "missing.toml", "fleetgen init")),
    (dangling_link, ("There is no", "link.toml", "fleetgen init")),
    (looping_link, ("cannot be read", "loop.toml", "name another file")),
    (a_folder, ("is a folder", "name the configuration file in it")),
    (below_a_file, ("cannot be read", "name another file")),
    (too_long_a_name, ("cannot be read", "name another file")),
    (ten_megabytes, ("large.toml is larger than", "no configuration file")),
    (other_encoding, ("latin.toml is no UTF-8", "save it as UTF-8")),
    (utf_16, ("utf16.toml is no UTF-8", "save it as UTF-8")),
    (byte_order_mark, ("mark.toml", "byte order mark", "UTF-8")),
    (unreadable_memory, ("/proc/self/mem", "name another file")),
    (nobodys_home, ("~nobody-of-this-name", "--config")),
]


@pytest.mark.parametrize(("make", "says"), UNREADABLE, ids=[make.__name__ for make, _ in UNREADABLE])
def test_a_file_that_gives_no_text_is_refused_in_words(
    tmp_path: Path, make: Callable[[Path], Path], says: tuple[str, ...]
) -> None:
    # Given a path at which there is no configuration to be had
    set_folder(tmp_path, written().text)
    file = make(tmp_path)

    # When it is read
    message = message_of_loading(file)

    # Then the message names it and says what to do, on one line
    assert [words for words in says if words not in message] == []
    assert "\n" not in message


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    # Given a named pipe that nobody writes to
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)

    # When the program is called with it, it does not wait for ever
    answer = fleetgen("config", "check", "--config", pipe, cwd=tmp_path)

    assert answer.returncode == 78
    assert "pipe.toml" in answer.stderr


def test_a_socket_path_of_a_hundred_bytes_is_refused(tmp_path: Path) -> None:
    # Given run folders whose sockets have paths of 99 and 100 bytes, with a letter of two bytes in each
    short, long = ("/tmp/ü" + "r" * size for size in (76, 77))
    assert [len(f"{run}/supervisor.sock".encode()) for run in (short, long)] == [99, 100]

    # When both are checked
    admitted = load(set_folder(tmp_path / "one", written({"paths.run": f'"{short}"'}).text))
    message = message_of_loading(set_folder(tmp_path / "other", written({"paths.run": f'"{long}"'}).text))

    # Then the one is admitted, and the message about the other says what to do
    assert admitted.run == Path(short)
    words = ("paths.run", "100 bytes", "at most 99", "shorter")
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("key", ["paths.data", "paths.run"])
def test_a_folder_in_the_home_of_nobody_is_refused(tmp_path: Path, key: str) -> None:
    file = set_folder(tmp_path, written({key: '"~nobody-of-this-name/x"'}).text)

    message = message_of_loading(file)

    assert f"{key} " in message
    assert "~nobody-of-this-name" in message


@pytest.mark.parametrize("key", ["paths.data", "paths.run"])
def test_a_folder_behind_a_link_to_itself_is_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    file = set_folder(tmp_path, written({key: '"../loop/x"'}).text)

    message = message_of_loading(file)

    assert f"{key} " in message
    assert "loop/x" in message


SEVERAL = {"seed": "-1", "fleet.drivers_per_company": '"ten"', "metrics.driver_port": "0"}

BY_COMMAND: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "a bad number": (written({"seed": '"42"'}).text, ("line 2: seed", "a whole number")),
    "a bad duration": (written({"modes.emulated.driver_interval": '"10s"'}).text, ("driver_interval", '"PT1S"')),
    "a bad weight": (written({"fleet.geography_weights": "{ US = nan }"}).text, ("geography_weights.US", "a number")),
    "a misspelt key": (written(renamed={"fleet.drivers_per_company": "driver_count"}).text, ("fleet.driver_count",)),
    "an unknown table": (written().text + "[qualty]\n", ("qualty", "did you mean 'quality'?")),
    "a missing table": ('mode = "emulated"\n[fleet]\n', ("modes is missing", "add the table")),
    "several faults": (written(SEVERAL).text, ("3 faults", "seed", "fleet.drivers_per_company", "metrics.driver_port")),
    "broken TOML": ("mode = emulated\n", ("is no valid TOML", "line 1")),
    "an empty file": ("", ("mode is missing", "fleet is missing", "modes is missing")),
    "no UTF-8": (b"mode = '\xff'\n", ("UTF-8",)),
    "5000 digits": (written({"seed": "9" * 5_000}).text, ("generator.toml",)),
    "5000 arrays": (written({"seed": "[" * 5_000}).text, ("nested too deeply",)),
    "too long a socket": (written({"paths.run": f'"{"r" * 100}"'}).text, ("paths.run", "at most 99", "shorter")),
}
ALSO_BY_UP = ("a bad number", "a misspelt key", "a missing table", "several faults", "broken TOML", "too long a socket")


@pytest.mark.parametrize(
    ("command", "name"),
    [*((("config", "check"), name) for name in BY_COMMAND), *((("up",), name) for name in ALSO_BY_UP)],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_refuses_a_bad_configuration_and_writes_nothing(
    tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    # Given a folder with a bad configuration
    text, says = BY_COMMAND[name]
    file = set_folder(tmp_path, text)
    before = tree(tmp_path)

    # When a command is called with it
    answer = fleetgen(*command, "--config", file, cwd=tmp_path)

    # Then it exits 78 with one message on standard error that names the fault, and has written nothing
    assert answer.returncode == 78
    assert answer.stdout == ""
    assert answer.stderr.startswith(f"fleetgen: {file} ")
    assert answer.stderr.count("fleetgen: ") == 1
    assert [words for words in says if words not in answer.stderr] == []
    assert [word for word in FOREIGN if word in answer.stderr] == []
    assert tree(tmp_path) == before


def test_up_makes_no_folder_whose_name_supervisord_cannot_take(tmp_path: Path) -> None:
    # Given a data folder that supervisord would take for a comment
    file = set_folder(tmp_path, written({"paths.data": '"../data ;x"'}).text)
    before = tree(tmp_path)

    # When the set is started
    answer = fleetgen("up", "--config", file, "--port-offset", "29000", cwd=tmp_path)

    # Then it is refused before anything is made
    assert answer.returncode == 78
    assert "paths.data" in answer.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize("address", ["not an address", "a..b", "256.0.0.1"])
def test_up_refuses_what_is_no_address(tmp_path: Path, address: str) -> None:
    file = set_folder(tmp_path, written({"metrics.address": f'"{address}"'}).text)
    before = tree(tmp_path)

    answer = fleetgen("up", "--config", file, cwd=tmp_path)

    assert answer.returncode == 78
    assert "metrics.address" in answer.stderr
    assert address in answer.stderr
    assert "Traceback" not in answer.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", [("mode",), ("mode", "production"), ("config", "show"), ("status",), ("down",)])
def test_every_command_that_reads_the_file_refuses_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = set_folder(tmp_path, written({"seed": "-1"}).text)
    before = tree(tmp_path)

    answer = fleetgen(*command, "--config", file, cwd=tmp_path)

    assert answer.returncode == 78
    assert "line 2: seed = -1" in answer.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["generator", *PRESETS])
def test_what_ships_is_valid(tmp_path: Path, name: str) -> None:
    shipped = SHIPPED if name == "generator" else ETC / "presets" / f"{name}.toml"
    file = set_folder(tmp_path, shipped.read_bytes())

    answer = fleetgen("config", "check", "--config", file, cwd=tmp_path)

    mode = "production" if name in ("small", "base", "scaling") else "emulated"
    assert answer.stdout == f"{file} is valid: {mode} mode.\n"
    assert answer.returncode == 0


def test_the_schema_command_prints_the_committed_schema(tmp_path: Path) -> None:
    answer = fleetgen("config", "schema", cwd=tmp_path)

    assert answer.stdout == (ETC / "generator.schema.json").read_text()
    assert answer.returncode == 0


def test_use_puts_a_preset_in_place_and_keeps_the_file_that_was_there(tmp_path: Path) -> None:
    # Given a configuration of one's own, even a bad one
    file = set_folder(tmp_path, "my own = settings\n")

    # When a preset is chosen
    answer = fleetgen("config", "use", "scaling", "--config", file, cwd=tmp_path)

    # Then the file is the preset with the schema beside it, and the old one is kept
    preset = (ETC / "presets" / "scaling.toml").read_text()
    assert answer.returncode == 0
    assert file.read_text() == preset.replace("../generator.schema.json", "./generator.schema.json")
    assert file.with_name("generator.toml.bak").read_text() == "my own = settings\n"
    assert parsed(file.read_text()).modes.production.companies_per_batch == 1000


def test_use_of_an_unknown_preset_changes_nothing(tmp_path: Path) -> None:
    file = set_folder(tmp_path, written().text)
    before = tree(tmp_path)

    answer = fleetgen("config", "use", "enormous", "--config", file, cwd=tmp_path)

    assert answer.returncode == 2
    assert all(name in answer.stderr for name in PRESETS)
    assert tree(tmp_path) == before


def test_use_never_replaces_an_earlier_copy(tmp_path: Path) -> None:
    # Given an earlier copy where the copy would go
    file = set_folder(tmp_path, written().text)
    file.with_name("generator.toml.bak").write_text("earlier")

    # When a preset is chosen
    answer = fleetgen("config", "use", "small", "--config", file, cwd=tmp_path)

    # Then the copy has another name, which the message tells
    assert answer.returncode == 0
    assert "generator.toml.bak.1" in answer.stdout
    assert file.with_name("generator.toml.bak").read_text() == "earlier"
    assert file.with_name("generator.toml.bak.1").read_text() == written().text


def test_mode_by_command_changes_exactly_one_line(tmp_path: Path) -> None:
    # Given the shipped file
    file = set_folder(tmp_path, SHIPPED.read_bytes())

    # When the mode is set by command
    answer = fleetgen("mode", "production", "--config", file, cwd=tmp_path)

    # Then that line alone is another, and every comment is kept
    pairs = zip(SHIPPED.read_bytes().split(b"\n"), file.read_bytes().split(b"\n"), strict=True)
    changed = [(old, new) for old, new in pairs if old != new]
    assert answer.returncode == 0
    assert [old.replace(b'mode = "emulated"', b'mode = "production"') for old, _ in changed] == [
        new for _, new in changed
    ]
    assert len(changed) == 1
    assert fleetgen("mode", "--config", file, cwd=tmp_path).stdout == "production\n"


def test_init_makes_a_valid_set_and_refuses_to_overwrite_it(tmp_path: Path) -> None:
    # Given a folder made by init
    made = fleetgen("init", "mine", cwd=tmp_path)
    file = tmp_path / "mine" / "etc" / "generator.toml"
    before = tree(tmp_path)

    # When it is made again
    again = fleetgen("init", "mine", "--preset", "small", cwd=tmp_path)

    # Then the first was valid, and the second is refused and changes nothing
    assert made.returncode == 0
    assert parsed(file.read_text()).mode == "emulated"
    assert (file.parent / "generator.schema.json").read_bytes() == (ETC / "generator.schema.json").read_bytes()
    assert {path.stem for path in (file.parent / "presets").iterdir()} == set(PRESETS)
    assert again.returncode == 73
    assert "exists already" in again.stderr
    assert tree(tmp_path) == before


def test_init_with_a_preset_begins_with_it(tmp_path: Path) -> None:
    answer = fleetgen("init", ".", "--preset", "small", cwd=tmp_path)

    config = parsed((tmp_path / "etc" / "generator.toml").read_text())
    assert answer.returncode == 0
    assert (config.mode, config.modes.production.companies_per_batch) == ("production", 5)


def test_init_with_an_unknown_preset_makes_nothing(tmp_path: Path) -> None:
    answer = fleetgen("init", "mine", "--preset", "enormous", cwd=tmp_path)

    assert answer.returncode == 2
    assert tree(tmp_path) == {}


def test_init_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    answer = fleetgen("init", "file/mine", cwd=tmp_path)

    assert answer.returncode == 73
    assert tree(tmp_path) == {"file": b""}


def test_init_writes_utf8_under_any_locale(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

    answer = fleetgen("init", "mine", cwd=tmp_path, **ascii_only)

    assert answer.returncode == 0
    made = tmp_path / "mine" / "etc" / "generator.schema.json"
    assert made.read_bytes() == (ETC / "generator.schema.json").read_bytes()


def test_the_environment_names_the_configuration(tmp_path: Path) -> None:
    # Given a configuration elsewhere, and another one at the usual place
    other = tmp_path / "other.toml"
    other.write_text(written({"mode": '"production"'}).text)
    set_folder(tmp_path, written().text)

    # Then the environment's is used before the usual one, and the option's before both
    usual = fleetgen("mode", cwd=tmp_path)
    named = fleetgen("mode", cwd=tmp_path, FLEETGEN_CONFIG=str(other))
    chosen = fleetgen("mode", "--config", "etc/generator.toml", cwd=tmp_path, FLEETGEN_CONFIG=str(other))
    empty = fleetgen("mode", cwd=tmp_path, FLEETGEN_CONFIG="")
    assert [usual.stdout, named.stdout, chosen.stdout, empty.stdout] == [
        "emulated\n",
        "production\n",
        "emulated\n",
        "emulated\n",
    ]


def test_without_a_configuration_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    answer = fleetgen("config", "check", cwd=tmp_path)

    assert answer.returncode == 78
    assert str(tmp_path / "etc" / "generator.toml") in answer.stderr
    assert "fleetgen init" in answer.stderr
    assert tree(tmp_path) == {}


def test_paths_are_relative_to_the_file_from_any_working_directory(tmp_path: Path) -> None:
    # Given a set in one folder and a user in another
    set_folder(tmp_path / "set", written().text)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    # When the status is asked for from there by a relative path
    answer = fleetgen("status", "--json", "--config", "../set/etc/generator.toml", cwd=elsewhere)

    # Then the data directory is that of the set
    assert answer.returncode == 69
    assert f'"data": "{tmp_path / "set" / "data"}"' in answer.stdout
    assert list(elsewhere.iterdir()) == []


def test_what_show_prints_is_a_configuration_again(tmp_path: Path) -> None:
    # Given a file with little more than what is required
    text = 'mode = "production"\n[fleet]\nactive_probability = 0.5\n[modes.production]\n[modes.emulated]\n'
    file = set_folder(tmp_path, text)

    # When it is shown with every default filled in
    shown = fleetgen("config", "show", "--config", file, cwd=tmp_path).stdout

    # Then that is a valid file with the same meaning, and with the defaults written out
    assert parsed(shown) == parsed(text)
    assert tomllib.loads(shown)["modes"]["production"]["company_interval"] == "PT1H"

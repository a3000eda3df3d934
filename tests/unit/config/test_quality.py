"""The table [quality]: its defaults, what it decides, and a clear message about every fault in it."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetgen.config.loading import load
from fleetgen.config.segments import digest
from fleetgen.domain.records import ISSUE_TYPES, Quality, Stream
from fleetgen.errors import ConfigurationError
from support.configs import ETC, PRESETS, fleetgen, message_of_loading, parsed, set_folder, written

SHARE = "a number from 0 to 1"
WEIGHT = "a number from 0 to 1000000000"


@dataclass(frozen=True)
class Bad:
    """Something wrong in [quality]: the key that stands there, its value, and what the message must say."""

    key: str
    value: str
    says: str
    shown: str = ""
    """The value as the message shows it, if otherwise than it was written."""
    renamed: str = ""
    """Another name for the key."""

    def __str__(self) -> str:
        return f"{self.renamed or self.key} = {self.value}"


WEIGHTS_OFF = {f"quality.weights.{kind}": "0" for kind in ISSUE_TYPES}
BAD = [
    Bad("quality.enabled", '"yes"', "true or false"),
    Bad("quality.enabled", "1", "true or false"),
    Bad("quality.enabled", "0.5", "true or false"),
    Bad("quality.enabled", "[true]", "true or false"),
    Bad("quality.enabled", "true", "did you mean 'enabled'?", renamed="enable"),
    Bad("quality.enabled", "true", "did you mean 'enabled'?", renamed="Enabled"),
    Bad("quality.event_error_rate", "-0.1", SHARE),
    Bad("quality.event_error_rate", "1.0001", SHARE),
    Bad("quality.event_error_rate", "15", SHARE),
    Bad("quality.event_error_rate", '"15%"', SHARE),
    Bad("quality.event_error_rate", '"0.15"', SHARE),
    Bad("quality.event_error_rate", "true", SHARE),
    Bad("quality.event_error_rate", "nan", SHARE, shown="NaN"),
    Bad("quality.event_error_rate", "inf", SHARE, shown="Infinity"),
    Bad("quality.event_error_rate", "0.1", "did you mean 'event_error_rate'?", renamed="event_error_rates"),
    Bad("quality.company_error_rate", "-1", SHARE),
    Bad("quality.company_error_rate", "2", SHARE),
    Bad("quality.company_error_rate", "{ US = 0.1 }", SHARE, shown='{"US": 0.1}'),
    Bad("quality.company_error_rate", "[0.1]", SHARE),
    Bad("quality.company_error_rate", "0.1", "did you mean 'company_error_rate'?", renamed="companies_error_rate"),
    Bad("quality.weights.missing_field", "-0.3", WEIGHT),
    Bad("quality.weights.null_value", '"0.3"', WEIGHT),
    Bad("quality.weights.malformed_timestamp", "true", WEIGHT),
    Bad("quality.weights.invalid_enum", "nan", WEIGHT, shown="NaN"),
    Bad("quality.weights.duplicate", "inf", WEIGHT, shown="Infinity"),
    Bad("quality.weights.boundary_violation", "1e10", WEIGHT, shown="10000000000.0"),
    Bad("quality.weights.missing_field", "0.3", "did you mean 'missing_field'?", renamed="missing_fields"),
    Bad("quality.weights.null_value", "0.3", "did you mean 'null_value'?", renamed="null_values"),
    Bad("quality.weights.malformed_timestamp", "0.2", "did you mean 'malformed_timestamp'?", renamed="bad_timestamp"),
    Bad("quality.weights.duplicate", "0.05", "did you mean 'duplicate'?", renamed="duplicates"),
    Bad("quality.weights.boundary_violation", "0.05", "known are", renamed="xyzzy"),
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_value_is_refused_with_its_line_its_key_and_what_is_allowed(tmp_path: Path, bad: Bad) -> None:
    # given a file that is valid but for one line of [quality]
    text = written({bad.key: bad.value}, renamed={bad.key: bad.renamed} if bad.renamed else None)
    file = set_folder(tmp_path, text.text)

    # when it is loaded
    message = message_of_loading(file)

    # then one fault is named: file, line, key, value, and what is allowed or which key is near
    table = bad.key.rpartition(".")[0]
    key = f"{table}.{bad.renamed}" if bad.renamed else bad.key
    value = "is no known key" if bad.renamed else f"= {bad.shown or bad.value} "
    assert message.startswith(f"{file} has 1 fault:\n  line {text.lines[bad.key]}: {key} {value}")
    assert bad.says in message
    assert len(message.splitlines()) == 2
    assert not re.search("Traceback|pydantic|http", message)


def test_a_bad_table_has_the_exit_status_of_a_configuration(tmp_path: Path) -> None:
    file = set_folder(tmp_path, written({"quality.event_error_rate": "15"}).text)

    answer = fleetgen("config", "check", "--config", file, cwd=tmp_path)

    assert ConfigurationError.exit_status == answer.returncode == 78
    assert "quality.event_error_rate = 15 is not allowed: it must be a number from 0 to 1" in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize("value", ["1", '"on"', "[]", "true"])
def test_a_value_in_place_of_the_table_is_named(tmp_path: Path, value: str) -> None:
    others = re.sub(r"\n\[quality(\.weights)?\]\n(?:\w.*\n)+", "\n", written().text)

    message = message_of_loading(set_folder(tmp_path, f"quality = {value}\n{others}"))

    assert f"line 1: quality = {value} is not allowed: it must be a table" in message


@pytest.mark.parametrize("value", ["0.3", '"missing_field"', '["missing_field"]', "true"])
def test_weights_that_are_no_table_are_named(tmp_path: Path, value: str) -> None:
    others = re.sub(r"\n\[quality.weights\]\n(?:\w.*\n)+", "\n", written().text)
    text = others.replace("[quality]", f"[quality]\nweights = {value}")

    message = message_of_loading(set_folder(tmp_path, text))

    assert f"line {text.splitlines().index(f'weights = {value}') + 1}: quality.weights = " in message
    assert "it must be a table" in message


def test_weights_that_are_all_0_are_named(tmp_path: Path) -> None:
    file = written(WEIGHTS_OFF)

    message = message_of_loading(set_folder(tmp_path, file.text))

    assert f"line {file.lines['quality.weights']}: quality.weights has no weight above 0" in message


def test_one_weight_alone_leaves_the_others_as_they_are_by_default(tmp_path: Path) -> None:
    others = re.sub(r"\n\[quality.weights\]\n(?:\w.*\n)+", "\n", written().text)

    config = load(set_folder(tmp_path, others + "\n[quality.weights]\nduplicate = 0.0\n")).config

    assert config.quality.weights.duplicate == 0
    assert config.quality.weights.missing_field == 0.30


def test_every_fault_of_the_table_is_named_at_once(tmp_path: Path) -> None:
    file = written(
        {"quality.enabled": "1", "quality.event_error_rate": "-1", "quality.weights.duplicate": "-1"},
        renamed={"quality.company_error_rate": "company_eror_rate", "quality.weights.null_value": "nul_value"},
    )

    message = message_of_loading(set_folder(tmp_path, file.text))

    assert "has 5 faults:" in message
    assert [int(line) for line in re.findall(r"line (\d+):", message)] == sorted(
        file.lines[key]
        for key in (
            "quality.enabled",
            "quality.event_error_rate",
            "quality.company_error_rate",
            "quality.weights.null_value",
            "quality.weights.duplicate",
        )
    )


def test_a_misspelt_table_names_the_nearest_known_one(tmp_path: Path) -> None:
    text = written().text.replace("[quality]", "[qualty]").replace("[quality.weights]", "[qualty.weights]")

    assert "qualty is no known key; did you mean 'quality'?" in message_of_loading(set_folder(tmp_path, text))


# What a valid table decides


def test_without_the_table_nothing_is_injected() -> None:
    text = re.sub(r"\n\[quality(\.weights)?\]\n(?:\w.*\n)+", "\n", written().text)

    assert parsed(text).settings(42).quality is None


def test_switched_off_its_rates_and_weights_decide_nothing() -> None:
    usual = parsed(written().text).settings(42)
    other = parsed(written({"quality.event_error_rate": "0.9", "quality.weights.duplicate": "7"}).text).settings(42)

    assert usual.quality is other.quality is None
    assert digest(usual) == digest(other)


def test_the_rates_are_those_of_their_streams() -> None:
    text = written({"quality.enabled": "true", "quality.event_error_rate": "1", "quality.company_error_rate": "0"}).text

    found = parsed(text).settings(42).quality
    assert found is not None
    assert (found.error_rate(Stream.EVENTS), found.error_rate(Stream.COMPANIES)) == (1.0, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"quality.enabled": "false"},
        {"quality.event_error_rate": "0.16"},
        {"quality.company_error_rate": "0"},
        *({f"quality.weights.{kind}": "0.31"} for kind in ISSUE_TYPES),
    ],
    ids=str,
)
def test_switched_on_every_key_decides_the_bytes(change: dict[str, str]) -> None:
    on = {"quality.enabled": "true"}

    usual, other = (parsed(written(changes).text).settings(42) for changes in (on, on | change))

    assert digest(usual) != digest(other)


def test_weights_in_another_order_decide_the_same() -> None:
    one, other = (
        parsed(f"{head()}[quality]\nenabled = true\nweights = {{ {', '.join(pairs)} }}\n").settings(42)
        for pairs in (ORDERED, ORDERED[::-1])
    )

    assert one == other
    assert digest(one) == digest(other)


ORDERED = [f"{kind} = {place}" for place, kind in enumerate(ISSUE_TYPES, 1)]


def head() -> str:
    return 'mode = "emulated"\n[fleet]\n[modes.production]\n[modes.emulated]\n'


def test_the_demo_alone_is_dirty_and_else_like_emulated() -> None:
    configs = {name: parsed((ETC / "presets" / f"{name}.toml").read_text()) for name in PRESETS}

    assert [name for name, config in configs.items() if config.settings(42).quality] == ["quality-demo"]
    demo, emulated = configs["quality-demo"], configs["emulated"]
    assert demo.model_copy(update={"quality": emulated.quality}) == emulated
    assert demo.settings(42).quality == Quality(
        0.15, 0.15, dict(zip(ISSUE_TYPES, (0.30, 0.30, 0.20, 0.10, 0.05, 0.05), strict=True))
    )

"""What Spark is started with, and what is said where it cannot be."""

from pathlib import Path

import pytest

from fleetgen.errors import SystemLacks, Unreachable
from fleetgen.medallion.spark.faults import first_words, last_words
from fleetgen.medallion.spark.settings import DELTA, SparkSettings


def test_settings_of_the_configuration_go_before_ours_but_for_the_master() -> None:
    conf = {"spark.ui.enabled": "true", "spark.master": "yarn", "spark.executor.memory": "3g"}
    found = SparkSettings(master="local[3]", driver_memory="2g", conf=conf).properties()
    assert found["spark.master"] == "local[3]"
    assert (found["spark.ui.enabled"], found["spark.executor.memory"]) == ("true", "3g")
    assert found["spark.driver.memory"] == "2g"
    assert found["spark.jars.packages"] == DELTA


def test_jars_are_taken_from_a_folder(tmp_path: Path) -> None:
    for name in ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar", "notes.txt"):
        (tmp_path / name).touch()
    found = SparkSettings(jars=tmp_path).properties()
    assert found["spark.jars"] == f"{tmp_path}/delta-spark_4.2_2.13-4.4.0.jar,{tmp_path}/delta-storage-4.4.0.jar"
    assert "spark.jars.packages" not in found


def test_a_folder_without_the_jars_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SystemLacks, match=r"no jars of Delta.*mvn.*packaging/spark/pom.xml") as told:
        SparkSettings(jars=tmp_path).properties()
    assert told.value.exit_status == 71
    assert "\n" not in str(told.value)


def test_a_master_that_does_not_answer_is_named_with_the_remedy() -> None:
    with pytest.raises(Unreachable, match=r"spark://127.0.0.1:1.*pipeline.spark.master") as told:
        SparkSettings(master="spark://127.0.0.1:1,nonsense").require_master()
    assert told.value.exit_status == 69
    SparkSettings(master="local[2]").require_master()


def test_without_java_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SystemLacks, match=r"pyspark: install|Java 17 or newer: install"):
        SparkSettings().check()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "An error occurred while calling o1.x.\n: a.B: Job aborted.\nCaused by: java.io.IOException: No space left on device",
            "No space left on device",
        ),
        (
            "An error occurred while calling o1.x.\n: java.lang.IllegalStateException: the context is stopped",
            "the context is stopped",
        ),
        ("", "it does not say why"),
    ],
)
def test_a_fault_of_spark_is_told_in_one_line(text: str, words: str) -> None:
    assert first_words(RuntimeError(text)) == words


def test_the_log_says_why_spark_did_not_start(tmp_path: Path) -> None:
    log = tmp_path / "spark.log"
    log.write_text("WARN: slow\nError: the port is taken\n\tat a.b(C.scala)\n")
    assert last_words(log) == "Error: the port is taken"
    assert last_words(tmp_path / "absent") == "it does not say why"

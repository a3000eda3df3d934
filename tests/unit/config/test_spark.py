"""The table of Spark: what it admits, and what its faults say."""

import pytest

from fleetgen.config.model import Config
from support.configs import message_about, parsed, written

ON_SPARK = {"pipeline.engine": '"spark"'}


def on_spark(key: str, value: str) -> str:
    """Return a file with a value for a key of [pipeline] or of [pipeline.spark]."""
    if not key.startswith("spark."):
        return written({f"pipeline.{key}": value}).text
    return written(ON_SPARK).text + f"\n[pipeline.spark]\n{key.removeprefix('spark.')} = {value}\n"


def of(**changes: str) -> Config:
    lines = [f"{key} = {value}" for key, value in changes.items()]
    return parsed("\n".join([written(ON_SPARK).text, "[pipeline.spark]", *lines]))


def test_the_engine_is_the_embedded_one_unless_spark_is_named() -> None:
    assert parsed(written().text).pipeline.engine == "embedded"
    assert of().pipeline.engine == "spark"
    spark = of(master='"spark://one:7077,two:7077"', conf='{ "spark.executor.cores" = "2" }').pipeline.spark
    assert spark is not None
    assert (spark.master, dict(spark.conf)) == ("spark://one:7077,two:7077", {"spark.executor.cores": "2"})
    assert (spark.jars, spark.driver_memory) == (None, "1g")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("engine", '"flink"', '"embedded" or "spark"'),
        ("spark.driver_memory", '"2 gigabytes"', 'such as "512m" or "2g"'),
        ("spark.executor_memory", '"0g"', 'such as "512m" or "2g"'),
        ("spark.master", '""', "a master's URL"),
        ("spark.conf", '{ "spark.ui.enabled" = true }', "a string"),
        ("spark.mster", '"yarn"', "did you mean 'master'"),
    ],
)
def test_a_fault_says_what_is_allowed(key: str, value: str, expected: str) -> None:
    message = message_about(on_spark(key, value))
    assert f"pipeline.{key}" in message
    assert expected in message

"""Batches are divided into blocks: all of them, in their order, about equally; and Spark's faults are told in a line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import Stream
from support.domain_cases import QUARTER, emulated, only_segment

pytest.importorskip("pyspark", reason="pyspark is not installed: `make test-spark` installs it")

from fleetgen.generation.spark.executors import divided
from fleetgen.generation.spark.session import Cluster, gave_up

SEGMENT = only_segment(emulated())


def inputs(number: int) -> BatchInputs:
    return BatchInputs(Stream.EVENTS, number, QUARTER, SEGMENT, (SEGMENT,), company_count=20)


@given(st.integers(0, 60), st.integers(1, 70))
def test_blocks_hold_all_batches_in_order_and_about_equally_many(count: int, partitions: int) -> None:
    batches = [(Path(str(number)), inputs(number)) for number in range(count)]
    blocks = divided(batches, partitions)
    assert [each for block in blocks for each in block] == batches
    assert len(blocks) == min(count, partitions)
    sizes = {len(block) for block in blocks}
    assert not sizes or (min(sizes) > 0 and max(sizes) - min(sizes) <= 1)


@pytest.mark.parametrize(
    ("text", "told", "remedy"),
    [
        (
            "Traceback\n  File x\nModuleNotFoundError: No module named 'numpy'\n\n\tat org.apache",
            "numpy",
            "PYSPARK_PYTHON",
        ),
        ("[PYTHON_VERSION_MISMATCH] Python in worker has different version", "another Python", "PYSPARK_PYTHON"),
        ("Answer from Java side is empty", "is empty", "Call again"),
        ("", "it ended", "Call again"),
    ],
)
def test_a_fault_of_spark_is_one_line_with_a_remedy(text: str, told: str, remedy: str) -> None:
    message = str(gave_up(Cluster("local", Path("spark.log")), RuntimeError(text)))
    assert told in message
    assert remedy in message
    assert "spark.log" in message
    assert "\n" not in message

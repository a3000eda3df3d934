"""A program of `peers_at_scale`: ``rows_of_dbldatagen.py FOLDER ROWS ID…`` writes random events, and prints the seconds."""

import sys
from time import perf_counter

import dbldatagen  # type: ignore[import-not-found, unused-ignore]
from pyspark.sql import SparkSession

TYPES = ["start driving", "stopped driving", "delivered"]
SPAN = {"begin": "2026-01-01 00:00:00", "end": "2026-01-01 00:14:59", "interval": "1 second"}


def main() -> None:
    """Write six random columns of text as JSON lines."""
    folder, rows, ids = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    spark = SparkSession.builder.getOrCreate()
    spark.range(1).count()
    began = perf_counter()
    made = dbldatagen.DataGenerator(spark, rows=rows, partitions=2 * spark.sparkContext.defaultParallelism)
    for name in ids:
        made = made.withColumn(name, "string", expr="uuid()")
    made = made.withColumn("event_type", "string", values=TYPES, random=True)
    made = made.withColumn("timestamp", "timestamp", **SPAN, random=True)
    made.build().write.json(folder)
    print(perf_counter() - began)


main()

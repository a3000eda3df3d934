"""A job to start from on Databricks, EMR or anywhere: bronze events in, valid ones out as Parquet, by day.

    fleetgen schema events --as spark > events.json
    spark-submit spark_starter.py s3://bucket/raw/events events.json s3://bucket/silver
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType


def main(bronze, schema, silver):
    spark = SparkSession.builder.appName("fleetgen starter").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    declared = StructType.fromJson(json.loads(Path(schema).read_text()))
    lines = StructType()  # read as text first: a dirty field must not hide the rest of its line
    for field in declared:
        lines.add(field.name, StringType())
    events = spark.read.schema(lines).json(f"{bronze}/*/events*.jsonl")
    typed = events.select(
        *(F.expr(f"try_cast({field.name} AS {field.dataType.simpleString()})").alias(field.name) for field in declared),
        F.element_at(F.split("_metadata.file_path", "/"), -2).alias("batch_id"),
    )
    valid = typed.dropna(subset=declared.names).withColumn("day", F.to_date("timestamp"))
    valid.write.mode("overwrite").partitionBy("day").parquet(silver)
    spark.stop()


main(*sys.argv[1:])

"""A pipeline in PySpark: judges every event and writes the ids of those that it rejects as a folder of JSON Lines.

Weak on purpose: NOT (event_type IN …) is neither true nor false where event_type is null, so null passes.

    python pyspark_frames.py data quarantine
"""

import sys

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

FIELDS = ("event_id", "driver_id", "company_id", "truck_id", "event_type", "timestamp")
EVENT_TYPES = ("start driving", "stopped driving", "delivered")
FORM = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"


def rejected(spark, data):
    events = spark.read.schema(", ".join(f"{name} STRING" for name in FIELDS)).json(f"{data}/raw/events/*/events*.jsonl")
    events = events.withColumn("batch_id", F.element_at(F.split(F.input_file_name(), "/"), -2))
    batches = spark.read.json(f"{data}/raw/events/*/batch_meta.json", multiLine=True)
    batches = batches.select("batch_id", "interval_start", "interval_end")
    equal = Window.partitionBy("batch_id", *FIELDS).orderBy(F.monotonically_increasing_id())
    judged = events.join(F.broadcast(batches), "batch_id").withColumn("copy", F.row_number().over(equal))
    lacks = F.lit(False)
    for name in ("event_id", "driver_id", "company_id", "truck_id", "timestamp"):
        lacks = lacks | F.col(name).isNull()
    time = F.col("timestamp")
    return judged.where(
        lacks
        | ~F.col("event_type").isin(*EVENT_TYPES)
        | F.try_to_timestamp(time, F.lit(FORM)).isNull()
        | (time < F.col("interval_start"))
        | (time >= F.col("interval_end"))
        | (F.col("copy") > 1)
    )


def main(data, quarantine):
    spark = SparkSession.builder.master("local[2]").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    rejected(spark, data).select("event_id", "event_type", "timestamp").coalesce(1).write.mode("overwrite").json(quarantine)
    spark.stop()


main(*sys.argv[1:])

"""A pipeline in SQL (DuckDB): judges every event and writes those that it rejects as Parquet.

Weak on purpose: it looks at each line by itself, so it sees no duplicates.

    python duckdb_sql.py data quarantine.parquet
"""

import sys

import duckdb

REJECTED = """
WITH files AS (
    SELECT split_part(filename, '/', -2) AS batch_id, string_split(rtrim(content, chr(10)), chr(10)) AS lines
    FROM read_text('{data}/raw/events/*/events.jsonl') WHERE content <> ''
), lines AS (
    SELECT batch_id, unnest(lines)::JSON AS event, generate_subscripts(lines, 1) AS line FROM files
), batches AS (
    SELECT batch_id, interval_start, interval_end
    FROM read_json('{data}/raw/events/*/batch_meta.json',
        columns = {{batch_id: 'VARCHAR', interval_start: 'VARCHAR', interval_end: 'VARCHAR'}})
), fields AS (
    SELECT batch_id, line, interval_start, interval_end,
        event->>'event_id' AS event_id, event->>'driver_id' AS driver_id, event->>'company_id' AS company_id,
        event->>'truck_id' AS truck_id, event->>'event_type' AS event_type, event->>'timestamp' AS told_time
    FROM lines JOIN batches USING (batch_id)
), judged AS (
    SELECT *, CASE
        WHEN event_id IS NULL OR driver_id IS NULL OR company_id IS NULL OR truck_id IS NULL OR event_type IS NULL
            OR told_time IS NULL THEN 'null_value'
        WHEN event_type NOT IN ('start driving', 'stopped driving', 'delivered') THEN 'invalid_enum'
        WHEN try_strptime(told_time, '%Y-%m-%dT%H:%M:%S.%fZ') IS NULL THEN 'malformed_timestamp'
        WHEN told_time < interval_start OR told_time >= interval_end THEN 'boundary_violation'
    END AS issue_type FROM fields
)
SELECT 'events' AS stream, batch_id, line, issue_type FROM judged WHERE issue_type IS NOT NULL
"""


def main(data, quarantine):
    duckdb.sql(REJECTED.format(data=data)).write_parquet(quarantine)


main(*sys.argv[1:])

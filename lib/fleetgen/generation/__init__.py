"""How batches come to be: the dataset and its segments, a stream's next step, publishing, checking, cleaning.

Here domain, storage and cadence meet; telemetry and processes stand above.
"""

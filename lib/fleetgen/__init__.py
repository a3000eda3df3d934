"""fleetgen: a living, reproducible, deliberately dirty source for medallion pipelines."""

__version__ = "0.1.0"

"""Owns how a query names a metric: always with the variables; leaves what is asked to the module of each dashboard."""

from dataclasses import dataclass

JOB = 'job=~"$job"'
PROCESS = 'process=~"$process"'


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and how the legend names its series."""

    expression: str
    legend: str

    @property
    def has_exemplars(self) -> bool:
        """Whether the expression reads the buckets of a histogram: those lead to batches."""
        return "_bucket{" in self.expression


def of(metric: str, *matchers: str) -> str:
    """Return the selector of a metric, of the chosen set and processes."""
    return f"{metric}{{{', '.join((JOB, PROCESS, *matchers))}}}"


def recorded(rule: str, *matchers: str) -> str:
    """Return the selector of a recorded rule. Its level says which labels it has: `job`, and `process` where named."""
    level = rule.partition(":")[0]
    own = (JOB, PROCESS) if "process" in level.split("_") else (JOB,)
    return f"{rule}{{{', '.join((*own, *matchers))}}}"


def rate(metric: str, by: str, *matchers: str) -> str:
    """Return the rate of a counter, summed up by labels."""
    return f"sum by ({by}) (rate({of(metric, *matchers)}[$__rate_interval]))"


def increase(metric: str, by: str, *matchers: str) -> str:
    """Return how much a counter grew around each instant, summed up by labels."""
    return f"sum by ({by}) (increase({of(metric, *matchers)}[$__rate_interval]))"


def in_range(metric: str, by: str, *matchers: str) -> str:
    """Return how much a counter grew in the whole time range, summed up by labels."""
    return f"sum by ({by}) (increase({of(metric, *matchers)}[$__range]))"


def mean(histogram: str, by: str, window: str = "$__rate_interval") -> str:
    """Return the mean of what a histogram observed."""
    total, count = (f"sum by ({by}) (rate({of(histogram + part)}[{window}]))" for part in ("_sum", "_count"))
    return f"{total} / {count}"


def quantile(share: float, histogram: str, by: str, *matchers: str, window: str = "$__rate_interval") -> str:
    """Return a quantile of what a histogram observed."""
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({of(histogram + '_bucket', *matchers)}[{window}])))"


def percentiles(histogram: str, by: str) -> tuple[Query, ...]:
    """Return the usual percentiles of a histogram, by one label."""
    return tuple(
        Query(quantile(share, histogram, by), f"{{{{{by}}}}}, p{share * 100:g}") for share in (0.5, 0.95, 0.99)
    )


def distribution(histogram: str, *matchers: str) -> Query:
    """Return how many observations fell into each bucket: what a heatmap shows."""
    return Query(f"sum by (le) (increase({of(histogram + '_bucket', *matchers)}[$__rate_interval]))", "{{le}}")

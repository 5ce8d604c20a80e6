"""Whether two artifacts differ: latency as a ratio with its interval, top-1 by McNemar's test."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
Interval = tuple[float, float]

FASTER, SLOWER = "faster", "slower"
MARGIN = 0.02
"""Ratios within 1 ± this are too small to matter, even if they are statistically significant."""

SIGNIFICANT = 0.05
"""A difference in top-1 is significant if its p-value is below this."""

_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""The two-sided 95% quantiles of Student's t distribution with 1, 2, … degrees of freedom."""


def mcnemar(only_first: int, only_second: int) -> float:
    """Returns the p-value of McNemar's exact test that two classifiers are right equally often on the same images.

    Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12, 1947; the two-sided binomial test of its discordant pairs.

    Args:
        only_first: number of images that only the first classifier gets right.
        only_second: number of images that only the second classifier gets right.
    """
    discordant, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(discordant, count) for count in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**discordant))


def holm(p_values: Sequence[float]) -> list[bool]:
    """Decides which of several tests are significant, with at most a 5% chance of any false positive among them.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6,
    1979.
    """
    found = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if p_values[index] >= SIGNIFICANT / (len(p_values) - rank):
            break
        found[index] = True
    return found


def latency_ratio(
    first: Sequence[Samples], second: Sequence[Samples], *, paired: bool
) -> tuple[float, Interval | None]:
    """Returns the median latency of the first divided by that of the second, with its 95% interval.

    The ratio is the geometric mean over rounds of the ratio of medians. The interval is Student's over rounds, since
    each round is a process of its own and differences between processes are what makes two benchmarks differ; see
    docs/adr/0009 for why it is not a bootstrap interval.

    Source: A. Georges, D. Buytaert and L. Eeckhout, Statistically rigorous Java performance evaluation, OOPSLA 2007,
    sections 3.2 and 3.3.

    Args:
        first: the latencies of each round's queries.
        second: those of the other artifact.
        paired: whether round i of both was measured at the same time.

    Returns:
        The ratio and its interval; None instead of an interval if either has a single round, which says nothing about
        differences between processes.
    """
    return round_ratio(_medians(first), _medians(second), paired=paired)


def round_ratio(first: Samples, second: Samples, *, paired: bool) -> tuple[float, Interval | None]:
    """Returns the ratio of two values that were measured once per round, with its 95% interval.

    The geometric mean over rounds, and Student's interval as of :func:`latency_ratio`.

    Args:
        first: float64 (rounds,), above 0.
        second: those of the other artifact.
        paired: whether round i of both was measured at the same time.

    Returns:
        The ratio and its interval; None instead of an interval if either has a single round.
    """
    above, below = np.log(first), np.log(second)
    if paired:
        centre, variance, freedom = _mean(above - below)
    else:
        one, other = _mean(above), _mean(below)
        centre, variance, freedom = one[0] - other[0], one[1] + other[1], _welch(one, other)
    if min(len(above), len(below)) < 2:
        return math.exp(centre), None
    half = _quantile(freedom) * math.sqrt(variance)
    return math.exp(centre), (math.exp(centre - half), math.exp(centre + half))


def rounds_interval(values: Samples) -> Interval | None:
    """Returns Student's 95% interval of one value per round, on logarithms; None for a single round.

    Args:
        values: float64 (rounds,), above 0.
    """
    if len(values) < 2:
        return None
    centre, variance, freedom = _mean(np.log(values))
    half = _quantile(freedom) * math.sqrt(variance)
    return math.exp(centre - half), math.exp(centre + half)


def verdict(interval: Interval | None, margin: float = MARGIN) -> str:
    """Returns ``FASTER`` or ``SLOWER`` if the whole interval of a ratio is beyond the margin; otherwise empty."""
    if interval is None:
        return ""
    if interval[1] < 1 - margin:
        return FASTER
    return SLOWER if interval[0] > 1 + margin else ""


def _medians(rounds: Sequence[Samples]) -> Samples:
    """Returns each round's median: float64 (rounds,)."""
    return np.array([float(np.median(latencies)) for latencies in rounds])


def _mean(values: Samples) -> tuple[float, float, float]:
    """Returns the mean over rounds, the variance of that mean, and its degrees of freedom."""
    freedom = float(max(len(values) - 1, 1))
    return float(values.mean()), float(values.var()) / freedom, freedom


def _welch(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Returns the degrees of freedom of a difference of two means. Source: B. L. Welch, Biometrika 34, 1947."""
    (_, first, freedom), (_, second, others) = one, other
    below = first**2 / freedom + second**2 / others
    return (first + second) ** 2 / below if below else freedom + others


def _quantile(freedom: float) -> float:
    """Returns Student's quantile, with the degrees of freedom rounded down."""
    whole = max(math.floor(freedom), 1)
    return _STUDENT[whole - 1] if whole <= len(_STUDENT) else 1.96

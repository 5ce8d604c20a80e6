"""Whether one artifact really differs from another: latency as a ratio with its interval, top-1 by McNemar's test."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
Interval = tuple[float, float]

FASTER, SLOWER = "faster", "slower"
MARGIN = 0.02
"""A ratio within 1 ± this is no difference that anybody cares for, however surely it is known."""

SIGNIFICANT = 0.05
"""The p-value below which a difference in top-1 is said to be one."""

_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""The two-sided 95% quantiles of Student's t distribution with 1, 2, … degrees of freedom."""


def mcnemar(only_first: int, only_second: int) -> float:
    """The p-value of McNemar's exact test that two classifiers are right equally often on the same images.

    Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12, 1947; the two-sided binomial test of its discordant pairs.

    Args:
        only_first: images that only the first one is right on.
        only_second: images that only the second one is right on.
    """
    discordant, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(discordant, hits) for hits in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**discordant))


def holm(p_values: Sequence[float]) -> list[bool]:
    """Which of several tests are significant together, so that one in 20 such families has a false one among them.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6,
    1979.
    """
    found = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        if p_values[place] >= SIGNIFICANT / (len(p_values) - rank):
            break
        found[place] = True
    return found


def latency_ratio(
    first: Sequence[Samples], second: Sequence[Samples], *, paired: bool
) -> tuple[float, Interval | None]:
    """How many times the median latency of the second is that of the first, with its 95% interval.

    The ratio is the geometric mean over rounds of the ratio of medians, and the interval Student's over rounds, which
    are processes of their own: what differs from process to process is what makes two benchmarks differ. Why it is no
    bootstrap percentile interval: docs/adr/0009.

    Source: A. Georges, D. Buytaert and L. Eeckhout, Statistically rigorous Java performance evaluation, OOPSLA 2007,
    sections 3.2 and 3.3.

    Args:
        first: of each round, the latencies of its queries.
        second: the same of the other.
        paired: round i of the one was measured beside round i of the other.

    Returns:
        The ratio and its interval; None where one of them has but one round, which does not tell what differs between
        processes.
    """
    above, below = _log_medians(first), _log_medians(second)
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
    """The 95% interval of what rounds measured, Student's on their logarithms; None of one round.

    Args:
        values: (rounds,), above 0.
    """
    if len(values) < 2:
        return None
    centre, variance, freedom = _mean(np.log(values))
    half = _quantile(freedom) * math.sqrt(variance)
    return math.exp(centre - half), math.exp(centre + half)


def verdict(interval: Interval | None, margin: float = MARGIN) -> str:
    """``FASTER`` or ``SLOWER`` where the whole interval of a ratio says so by more than a margin; else empty."""
    if interval is None:
        return ""
    if interval[1] < 1 - margin:
        return FASTER
    return SLOWER if interval[0] > 1 + margin else ""


def _log_medians(rounds: Sequence[Samples]) -> Samples:
    """The logarithm of each round's median: (rounds,)."""
    return np.array([math.log(float(np.median(latencies))) for latencies in rounds])


def _mean(values: Samples) -> tuple[float, float, float]:
    """The mean over rounds, its variance, and the degrees of freedom of that."""
    freedom = float(max(len(values) - 1, 1))
    return float(values.mean()), float(values.var()) / freedom, freedom


def _welch(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Degrees of freedom of a difference of two means. Source: B. L. Welch, Biometrika 34, 1947."""
    (_, first, freedom), (_, second, others) = one, other
    below = first**2 / freedom + second**2 / others
    return (first + second) ** 2 / below if below else freedom + others


def _quantile(freedom: float) -> float:
    """Student's quantile for the next lower whole number of degrees of freedom."""
    whole = max(math.floor(freedom), 1)
    return _STUDENT[whole - 1] if whole <= len(_STUDENT) else 1.96

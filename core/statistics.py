"""Confidence intervals, percentiles and calibration."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054
"""The two-sided 95% quantile of the normal distribution."""


def wilson_interval(successes: float, trials: int) -> tuple[float, float]:
    """Returns the 95% score interval of a fraction.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the
    American Statistical Association 22, 1927.

    Args:
        successes: number of successes; a mean of several such numbers need not be whole.
        trials: number of trials, at least 1.
    """
    fraction = successes / trials
    denominator = 1 + Z95**2 / trials
    centre = (fraction + Z95**2 / (2 * trials)) / denominator
    half = Z95 / denominator * math.sqrt(fraction * (1 - fraction) / trials + Z95**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return low, high


def sample_size(interval: tuple[float, float], half_width: float) -> int:
    """Returns how many trials narrow a 95% interval of a fraction to plus or minus ``half_width``.

    The fraction is not known exactly, so the value of its present ``interval`` that needs the most trials is assumed:
    the one nearest to 0.5. By the normal approximation of the binomial distribution.
    """
    fraction = min(max(0.5, interval[0]), interval[1])
    return math.ceil(round(Z95**2 * fraction * (1 - fraction) / half_width**2, 9))


def percentile(samples: npt.NDArray[np.float64], percent: float) -> tuple[float, tuple[float, float] | None]:
    """Returns a percentile by nearest rank, with its 95% interval.

    The ends of the interval are two order statistics, by the normal approximation of the binomial distribution. It
    assumes that the samples are independent, and nothing about their distribution.

    Source: W. J. Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2.

    Args:
        samples: float64 (n,), at least one.
        percent: above 0 and below 100.

    Returns:
        The percentile and its interval; None instead of an interval if there are too few samples to bound it on both
        sides.
    """
    ordered = np.sort(samples)
    count = len(ordered)
    share = percent / 100
    spread = Z95 * math.sqrt(count * share * (1 - share))

    value = float(ordered[max(math.ceil(count * share), 1) - 1])
    low, high = math.floor(count * share - spread), math.ceil(count * share + spread) + 1
    if low < 1 or high > count:
        return value, None
    return value, (float(ordered[low - 1]), float(ordered[high - 1]))


def early_stopping_estimate(
    latencies: npt.NDArray[np.float64], percent: float = 90.0, confidence: float = 0.99
) -> float | None:
    """Returns a latency that bounds the percentile from above with some confidence, for any distribution of latencies.

    Source: MLPerf Inference's early stopping criterion for the single-stream scenario, as in LoadGen 5 and 6: the t-th
    highest latency, where t is the most queries above the percentile that the binomial distribution allows.

    Args:
        latencies: float64 (n,), of n queries.
        percent: above 0 and below 100.
        confidence: above 0 and below 1.

    Returns:
        The estimate, which is never below the percentile; None if there are too few queries (fewer than 64 for the 90th
        percentile at 99%).
    """
    count = len(latencies)
    above = 1 - percent / 100
    log_odds = math.log(above) - math.log1p(-above)
    logarithm = count * math.log1p(-above)  # of the probability that no query is above
    total, allowed = 0.0, -1
    for overlatency in range(count + 1):
        total += math.exp(logarithm)
        if total > 1 - confidence:
            break
        allowed = overlatency
        logarithm += math.log((count - overlatency) / (overlatency + 1)) + log_odds if overlatency < count else 0.0
    return float(np.sort(latencies)[count - allowed]) if allowed >= 1 else None


def expected_calibration_error(scores: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], bins: int = 15) -> float:
    """Returns the gap between scores and accuracy: the mean over bins of equal width, weighted by their size.

    Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, arXiv 1706.04599, equation 3.

    Args:
        scores: float64 (n,), the probability of each predicted class, above 0 to 1.
        right: bool (n,), whether the predicted class is right.
        bins: number of bins.
    """
    indices = np.clip(np.ceil(scores * bins).astype(np.intp) - 1, 0, bins - 1)
    gaps = np.bincount(indices, weights=scores - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))

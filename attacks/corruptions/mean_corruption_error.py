"""The mean corruption error: one number for all corruptions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.core.errors import MeasurementError


@dataclass(frozen=True, kw_only=True)
class MeanCorruptionError:
    """Error rates on corrupted photos, relative to those of a reference model.

    Attributes:
        value: the mean of ``by_corruption``: 1 for a model as good as the reference, 2 for one that errs twice as
            often. None if there is no ratio.
        by_corruption: the ratio of error rates, for each corruption on which the reference errs.
        undefined: the corruptions on which the reference never errs; ``value`` leaves them out.
    """

    value: float | None
    by_corruption: Mapping[str, float]
    undefined: tuple[str, ...]


def mean_corruption_error(
    errors: Mapping[str, Sequence[float]], reference: Mapping[str, Sequence[float]]
) -> MeanCorruptionError:
    """Sums error rates over severities, divides them by the reference's, and averages over corruptions.

    Source: Hendrycks and Dietterich, arXiv 1903.12261, section 4, the corruption error CE, with the float model instead
    of AlexNet and as a fraction instead of a percentage: an artifact that errs as often as the float model has 1.0.

    Args:
        errors: for each corruption, the artifact's error rates (0 to 1) by severity.
        reference: the float model's, for the same corruptions, severities and photos.

    Raises:
        MeasurementError: the corruptions or severities differ or are missing, or a rate is not from 0 to 1.
    """
    if not errors or set(errors) != set(reference):
        raise MeasurementError(
            "both models must be tested on the same corruptions; received "
            f"{', '.join(sorted(errors)) or 'none'} and {', '.join(sorted(reference)) or 'none'}"
        )
    ratios: dict[str, float] = {}
    undefined: list[str] = []
    for name, rates in errors.items():
        others = reference[name]
        if len(rates) != len(others) or not len(rates):
            raise MeasurementError(
                f"both models must be tested at the same severities; received {len(rates)} and {len(others)} of {name}"
            )
        for rate in (*rates, *others):
            if not 0 <= rate <= 1:  # also false for NaN
                raise MeasurementError(f"an error rate must be from 0 to 1; received {rate} for {name}")
        total = math.fsum(others)
        if total:
            ratios[name] = math.fsum(rates) / total
        else:
            undefined.append(name)
    value = math.fsum(ratios.values()) / len(ratios) if ratios else None
    return MeanCorruptionError(value=value, by_corruption=ratios, undefined=tuple(undefined))

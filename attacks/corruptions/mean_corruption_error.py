"""One number for all corruptions: the mean corruption error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.core.errors import MeasurementError


@dataclass(frozen=True, kw_only=True)
class MeanCorruptionError:
    """Errors on corrupted photos, relative to those of another model.

    Attributes:
        value: the mean of ``by_corruption``: 1 is as good as the other model, 2 errs twice as often. None where there
            is no ratio.
        by_corruption: the errors' ratio, for each corruption on which the other model errs at all.
        undefined: the corruptions on which it never errs, so that there is no ratio; ``value`` is without them.
    """

    value: float | None
    by_corruption: Mapping[str, float]
    undefined: tuple[str, ...]


def mean_corruption_error(
    errors: Mapping[str, Sequence[float]], reference: Mapping[str, Sequence[float]]
) -> MeanCorruptionError:
    """Errors summed over severities, divided by the reference's, averaged over corruptions.

    Source: Hendrycks and Dietterich, arXiv 1903.12261, section 4, the corruption error CE, with the float model in
    AlexNet's place and as a fraction, not a percentage: an artifact that errs as often as the model that it was made
    from has 1.0.

    Args:
        errors: for each corruption the artifact's error rates (0 to 1), one a severity.
        reference: the same of the float model, for the same corruptions and severities, on the same photos.

    Raises:
        MeasurementError: corruptions or severities of the two differ, there are none, or a rate is not from 0 to 1.
    """
    if not errors or set(errors) != set(reference):
        raise MeasurementError(
            "a mean corruption error compares the same corruptions; received "
            f"{', '.join(sorted(errors)) or 'none'} and {', '.join(sorted(reference)) or 'none'}"
        )
    ratios: dict[str, float] = {}
    undefined: list[str] = []
    for name, rates in errors.items():
        others = reference[name]
        if len(rates) != len(others) or not len(rates):
            raise MeasurementError(
                "a mean corruption error compares the same severities; "
                f"received {len(rates)} and {len(others)} of {name}"
            )
        for rate in (*rates, *others):
            if not 0 <= rate <= 1:  # which is also false for NaN
                raise MeasurementError(f"an error rate must be from 0 to 1; received {rate} for {name}")
        total = math.fsum(others)
        if total:
            ratios[name] = math.fsum(rates) / total
        else:
            undefined.append(name)
    value = math.fsum(ratios.values()) / len(ratios) if ratios else None
    return MeanCorruptionError(value=value, by_corruption=ratios, undefined=tuple(undefined))

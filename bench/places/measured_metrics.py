"""Whether a benchmark will measure what its budget limits, found out before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence

from tledge.bench.measure.energy import find_meter
from tledge.bench.places.place import Place
from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.metric_limit import LIMITED_METRICS
from tledge.bench.results.workload import Workload
from tledge.bench.robustness.robustness_plan import RobustnessPlan
from tledge.core.errors import OptionError


def check_measured(
    budget: Sequence[BudgetLimit], *, place: Place, workload: Workload, robustness: RobustnessPlan
) -> None:
    """Rejects limits on metrics that this benchmark does not measure.

    Raises:
        OptionError: says which option measures the metric.
    """
    for limit in budget:
        if remedy := _why_not(limit, place, workload, robustness):
            raise OptionError(f"`budget='{limit.text}'` cannot be judged: {remedy}")


def _why_not(limit: BudgetLimit, place: Place, workload: Workload, robustness: RobustnessPlan) -> str:
    """Returns why a metric is not measured, and what to do; empty if it is."""
    metric = limit.declared.metric
    if limit.declared.timed and not place.times:
        untimed = ", ".join(name for name, declared in LIMITED_METRICS.items() if not declared.timed)
        return f"nothing is timed on an emulated board; it measures {untimed}"
    if metric in ("top1", "agreement") and not workload.photos:
        return "accuracy needs labelled photos; name a folder of them with `data`"
    if metric == "agreement" and not workload.run:
        return "agreement with the Keras model is measured in a run; leave out `files`, or limit top1"
    if metric == "robust_accuracy" and robustness.attack_inputs is None:
        return "nothing is attacked; name an attack, as in `attack='pgd'`"
    if metric in ("corrupted_accuracy", "mean_corruption_error") and not robustness.corruptions:
        return "no photo is corrupted; add corruptions, as in `corruptions='edge'`"
    if metric == "energy" and place.here and find_meter() is None:
        return "this machine has no energy counter that you may read"
    return ""

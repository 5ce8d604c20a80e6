"""Whether a benchmark will measure what its budget limits, found out before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tledge.bench.measure.energy import find_meter
from tledge.bench.measure.keras_reference import find_reference
from tledge.bench.places.place import Place
from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.metric_limit import LIMITED_METRICS
from tledge.bench.results.results_folder import ResultsFolder
from tledge.bench.results.workload import Workload
from tledge.bench.robustness.robustness_plan import RobustnessPlan
from tledge.core.errors import OptionError
from tledge.edge_runtime.runtime import RUNTIMES
from tledge.edge_runtime.target import Target


@dataclass(frozen=True, kw_only=True)
class MeasuredMetrics:
    """What decides which metrics a benchmark measures.

    Attributes:
        targets: those that the user named; empty for all of the place.
        folders: results that may hold the Keras model's predictions.
    """

    place: Place
    workload: Workload
    robustness: RobustnessPlan
    targets: tuple[str, ...] = ()
    folders: tuple[ResultsFolder, ...] = ()

    def check(self, budget: Sequence[BudgetLimit]) -> None:
        """Rejects limits on metrics that this benchmark does not measure.

        Raises:
            OptionError: says which option measures the metric.
        """
        for limit in budget:
            if remedy := self._why_not(limit):
                raise OptionError(f"`budget='{limit.text}'` cannot be judged: {remedy}")

    def _why_not(self, limit: BudgetLimit) -> str:
        """Returns why a metric is not measured, and what to do; empty if it is."""
        metric = limit.declared.metric
        if limit.declared.timed and not self.place.times:
            untimed = ", ".join(name for name, declared in LIMITED_METRICS.items() if not declared.timed)
            return f"nothing is timed on an emulated board; it measures {untimed}"
        if metric in ("top1", "agreement") and not self.workload.photos:
            return "accuracy needs labelled photos; name a folder of them with `data`"
        if metric == "agreement":
            return self._why_no_agreement()
        if metric == "robust_accuracy" and self.robustness.attack_inputs is None:
            return "nothing is attacked; name an attack, as in `attack='pgd'`"
        if metric in ("corrupted_accuracy", "mean_corruption_error") and not self.robustness.corruptions:
            return "no photo is corrupted; add corruptions, as in `corruptions='edge'`"
        if metric == "energy" and self.place.here and find_meter() is None:
            return "this machine has no energy counter that you may read"
        return ""

    def _why_no_agreement(self) -> str:
        """Returns why the Keras model's predictions will not be known, and what to do; empty if they will be.

        Another place never runs the Keras model; this machine runs it afterwards.
        """
        if not self.workload.run:
            return "agreement with the Keras model is measured in a run; leave out `files`, or limit top1"
        if find_reference(self.workload, {}, self.folders) is not None:
            return ""
        unknown = "no earlier benchmark has the Keras model's predictions, and"
        if missing := RUNTIMES.load("keras").missing():
            return f"{unknown} its runtime {missing}"
        if self.place.here and self.workload.reference_only:
            return f"{unknown} that model is not measured; add 'model.keras' to `artifacts`, or remove it from `skip`"
        if self.place.here and self.targets and not any(Target.parse(name).runtime == "keras" for name in self.targets):
            return f"{unknown} no target runs that model; add 'keras:cpu' to `targets`"
        return ""

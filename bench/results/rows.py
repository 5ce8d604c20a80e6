"""Measurements as rows of a table, one per artifact and target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tledge.attacks.gradient_masking import GRADIENT_MASKING, MEANINGS
from tledge.bench.results.flags import UNTIMELY
from tledge.core.measurement import Measurement
from tledge.core.metric_catalogue import METRICS
from tledge.core.notebook import html_table
from tledge.core.number_text import cell_name, flag_text
from tledge.core.significance import Interval, verdict
from tledge.core.statistics import wilson_interval

CLEAN, WORST = "none", "worst"
"""Names in place of an attack: the original photos, and the worst of all attacks, chosen for each photo."""

TRANSFER, DIRECT = "transfer", "direct"
"""Where attacked images were made: on another model, or on the artifact itself."""

DETAILS = MEANINGS.keys() - {GRADIENT_MASKING}
"""Signs summed up by the flag ``gradient_masking``."""


class RobustPoint(NamedTuple):
    """Accuracy under attack at one eps, in 1/255, and its 95% interval; eps 0 is the same photos without an attack."""

    eps: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """What tables show of one cell; a number is None where it was not measured.

    Attributes:
        artifact: the file's name.
        target: "litert:cpu:2".
        provider: what ran the model, as its runtime names it ("XNNPACK").
        measured: one measurement of each metric. Where a cell has several of a metric, tables show one: throughput at
            the best batch size, robust accuracy under the worst of all attacks at the smallest eps, and accuracy on
            corrupted photos as the mean over all corruptions and severities.
        least_robust: the lowest accuracy under the worst of all attacks, see :func:`least_robust`; None if nothing was
            attacked.
        robust: accuracy under the worst of all attacks at each eps, smallest first.
        robust_norm: the norm of eps; the first one of an attack set with several.
        flags: reasons to doubt a number of the row, see ``bench.results.flags``.
        best: the metrics in which the row is among the best, see ``bench.results.standings``.
    """

    artifact: str
    target: str
    provider: str = ""
    measured: Mapping[str, Measurement]
    least_robust: Measurement | None = None
    robust: tuple[RobustPoint, ...] = ()
    robust_norm: str = ""
    flags: tuple[str, ...] = ()
    best: frozenset[str] = frozenset()

    def value(self, metric: str) -> float | None:
        """Returns a metric's value, in its unit."""
        return self.measured[metric].value if metric in self.measured else None

    def interval(self, metric: str) -> Interval | None:
        """Returns a metric's 95% interval."""
        return self.measured[metric].interval if metric in self.measured else None

    @property
    def name(self) -> str:
        """The cell's name: "int8.tflite on litert:cpu:2"."""
        return cell_name(self.artifact, self.target)

    @property
    def baseline(self) -> str:
        """The artifact on the same target that this one is compared with; empty if there is none."""
        compared = next((item for item in self.measured.values() if item.scenario == "comparison"), None)
        return "" if compared is None else str(compared.params["against"])

    @property
    def verdict(self) -> str:
        """FASTER or SLOWER than the baseline; empty if the interval does not show it, or a flag rules it out."""
        return verdict(self.interval("latency_ratio")) if self.timely else ""

    @property
    def timely(self) -> bool:
        """Whether no flag forbids comparing its times."""
        return not set(self.flags) & set(UNTIMELY)

    def to_dict(self) -> dict[str, Any]:
        """Returns the row as a dictionary that JSON can hold: every metric that tables show, by its key."""
        fields: dict[str, Any] = {"artifact": self.artifact, "target": self.target, "provider": self.provider}
        for name, metric in METRICS.items():
            if name == "robust_accuracy" or not (metric.heading or metric.terminal):
                continue
            key = metric.key or name
            fields[key] = self.value(name)
            if metric.interval:
                fields[f"{key}_interval"] = self.interval(name)
        throughput, top1 = self.measured.get("throughput"), self.measured.get("top1")
        return {
            **fields,
            "size": int(self.value("file_size") or 0),
            "throughput_batch": int(throughput.params["batch"]) if throughput else None,
            "top1_photos": top1.params.get("split") if top1 else None,
            "baseline": self.baseline,
            "robust": self.robust,
            "robust_norm": self.robust_norm,
            "flags": self.flags,
            "best": sorted(METRICS[name].key or name for name in self.best),
        }


class RowTable(list[Row]):
    """Rows that Jupyter shows as a table."""

    def _repr_html_(self) -> str:
        from tledge.bench.results.columns import TERMINAL_COLUMNS, shown_columns

        columns = shown_columns(TERMINAL_COLUMNS, self)
        cells = [[column.cell(row) for column in columns] for row in self]
        return html_table(
            [
                [
                    row.artifact + "".join(f" ⚠ {flag_text(flag)}" for flag in row.flags),
                    row.target,
                    *(c[1] for c in found),
                ]
                for row, found in zip(self, cells, strict=True)
            ],
            headings=["artifact", "target", *(column.metric.terminal for column in columns)],
            bold={(number, at) for number, found in enumerate(cells) for at, cell in enumerate(found, 2) if cell[3]},
        )


def summarize(measurements: Iterable[Measurement]) -> RowTable:
    """Returns the rows of a table, in the order in which the cells first appear."""
    cells: dict[tuple[str, str], list[Measurement]] = {}
    for item in measurements:
        cells.setdefault((item.artifact, item.target), []).append(item)
    return RowTable(_row(artifact, target, items) for (artifact, target), items in cells.items())


def _row(artifact: str, target: str, items: Sequence[Measurement]) -> Row:
    by_metric: dict[str, list[Measurement]] = {}
    for item in items:
        by_metric.setdefault(item.metric, []).append(item)
    chosen = {
        metric: _CHOICES[metric](found) if metric in _CHOICES else found[-1] for metric, found in by_metric.items()
    }
    norm, points = _worst_case(by_metric.get("robust_accuracy", []))
    return Row(
        artifact=artifact,
        target=target,
        provider=str(items[0].params.get("provider", "")),
        measured={metric: item for metric, item in chosen.items() if item is not None},
        least_robust=least_robust(by_metric.get("robust_accuracy", [])),
        robust=tuple(RobustPoint(float(i.params["eps"]), i.value, *(i.interval or (0.0, 1.0))) for i in points),
        robust_norm=norm,
        flags=tuple(sorted({flag for item in items for flag in item.flags} - DETAILS)),
    )


def _fastest(items: Sequence[Measurement]) -> Measurement:
    return max(items, key=lambda item: item.value)


def _worst_case(items: Sequence[Measurement]) -> tuple[str, list[Measurement]]:
    """Returns the first norm, and its accuracies under the worst of all attacks, by eps."""
    norm = str(items[0].params["norm"]) if items else ""
    found = [i for i in items if i.params["norm"] == norm and i.params["attack"] in (CLEAN, WORST)]
    return norm, sorted(found, key=lambda item: (float(item.params["eps"]), item.value))


def _smallest_eps(items: Sequence[Measurement]) -> Measurement | None:
    _, points = _worst_case(items)
    return points[1] if len(points) > 1 else None


def least_robust(items: Sequence[Measurement]) -> Measurement | None:
    """Returns the lowest robust accuracy under the worst of all attacks, over all norms and eps.

    Within a norm it is that at the largest eps, since an attack succeeds within every eps above its own.
    """
    worst = [item for item in items if item.params["attack"] == WORST]
    return min(worst, key=lambda item: item.value, default=None)


def mean_over_corruptions(items: Sequence[Measurement]) -> Measurement | None:
    """Returns the mean over corruptions and severities; severity 0 is the photos without a corruption.

    Its interval is Wilson's over the photos, as if a photo were classified correctly in all corruptions or in none. The
    variance of a fraction of each photo is never larger, so the interval is never too narrow.
    """
    corrupted = [item for item in items if item.params["severity"]]
    if not corrupted:
        return None
    mean, photos = sum(item.value for item in corrupted) / len(corrupted), min(item.n for item in corrupted)
    return replace(corrupted[0], value=mean, interval=wilson_interval(mean * photos, photos) if photos else None)


_CHOICES: Mapping[str, Callable[[Sequence[Measurement]], Measurement | None]] = {
    "throughput": _fastest,
    "robust_accuracy": _smallest_eps,
    "corrupted_accuracy": mean_over_corruptions,
}
"""What a row shows of a metric that a cell has several measurements of."""

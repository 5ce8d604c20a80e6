"""Measurements as rows of a table, one per artifact and target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tledge.attacks.gradient_masking import GRADIENT_MASKING, MEANINGS
from tledge.bench.results.flags import UNTIMELY
from tledge.bench.results.param_names import CLEAN, WORST
from tledge.core.measurement import Measurement
from tledge.core.significance import verdict

DETAILS = MEANINGS.keys() - {GRADIENT_MASKING}
"""Signs behind the flag ``gradient_masking``, which sums them up."""

Interval = tuple[float, float]
RobustPoint = tuple[float, float, float, float]
"""An eps, the robust accuracy there, and its interval."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a table shows of one cell; None where it was not measured.

    Attributes:
        artifact: the file's name.
        target: "litert:cpu:2".
        provider: what ran it, as its runtime says ("XNNPACK").
        size: bytes.
        top1: fraction of the test images, with its 95% interval.
        agreement: fraction on which it gives the Keras model's class.
        p50, p90, p99: latency in ms.
        p90_bound: ms under which 90% of the queries stay at 99% confidence.
        throughput: images a second, of the best batch size.
        throughput_batch: that batch size.
        cold_start, load_time: ms.
        peak_memory: bytes.
        energy: mJ an image.
        baseline: the artifact on the same target that the ratio and the test are against.
        ratio: p50 as a multiple of the baseline's, with its 95% interval.
        mcnemar_p: of top-1 being that of the baseline.
        corrupted: fraction of the corrupted photos that it is right on, over all corruptions and severities.
        robust: of each eps, smallest first: eps, and the fraction of the attacked photos that is right under the worst
            of all attacks, photo by photo, with its 95% interval; eps 0 is the same photos without an attack.
        robust_norm: the norm of these eps.
        corruption_error: its errors on them as a multiple of the float32 artifact's, with its 95% interval.
        parity_class, parity_bits: of a cell that ran elsewhere, fraction of the images to which it gives the
            class, or the very logits, that the same file gives on this machine.
        parity_difference: largest difference of a logit from that.
        flags: what speaks against trusting a number of the row, see ``bench.flags``.
    """

    artifact: str
    target: str
    size: int
    provider: str = ""
    top1: float | None = None
    top1_interval: Interval | None = None
    agreement: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p90_bound: float | None = None
    throughput: float | None = None
    throughput_batch: int | None = None
    cold_start: float | None = None
    load_time: float | None = None
    peak_memory: float | None = None
    energy: float | None = None
    baseline: str = ""
    ratio: float | None = None
    ratio_interval: Interval | None = None
    mcnemar_p: float | None = None
    corrupted: float | None = None
    robust: tuple[RobustPoint, ...] = ()
    robust_norm: str = ""
    corruption_error: float | None = None
    corruption_error_interval: Interval | None = None
    parity_class: float | None = None
    parity_bits: float | None = None
    parity_difference: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def top1_text(self) -> str:
        """Top-1 with its interval, for people: "0.973 (0.948–0.986)"."""
        if self.top1 is None:
            return "–"
        low, high = self.top1_interval or (0.0, 1.0)
        return f"{self.top1:.3f} ({low:.3f}–{high:.3f})"

    @property
    def verdict(self) -> str:
        """Whether it is "faster" or "slower" than the baseline: only where the interval says so and no flag forbids."""
        return "" if set(self.flags) & set(UNTIMELY) else verdict(self.ratio_interval)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)


def summarize(measurements: Iterable[Measurement]) -> list[Row]:
    """The rows of a table, in the order in which the cells first appear."""
    cells: dict[tuple[str, str], list[Measurement]] = {}
    for item in measurements:
        cells.setdefault((item.artifact, item.target), []).append(item)
    return [_row(artifact, target, items) for (artifact, target), items in cells.items()]


def _row(artifact: str, target: str, items: Sequence[Measurement]) -> Row:
    of = {item.metric: item for item in items}
    fastest = max((item for item in items if item.metric == "throughput"), key=lambda item: item.value, default=None)

    def value(metric: str) -> float | None:
        return of[metric].value if metric in of else None

    def interval(metric: str) -> Interval | None:
        return of[metric].interval if metric in of else None

    compared = next((item for item in items if item.scenario == "comparison"), None)
    return Row(
        artifact=artifact,
        target=target,
        size=int(value("file_size") or 0),
        provider=str(items[0].params.get("provider", "")),
        top1=value("top1"),
        top1_interval=interval("top1"),
        agreement=value("agreement"),
        p50=value("latency_p50"),
        p90=value("latency_p90"),
        p99=value("latency_p99"),
        p90_bound=value("latency_p90_bound"),
        throughput=None if fastest is None else fastest.value,
        throughput_batch=None if fastest is None else int(fastest.params["batch"]),
        cold_start=value("cold_start"),
        load_time=value("load_time"),
        peak_memory=value("peak_memory"),
        energy=value("energy"),
        baseline="" if compared is None else str(compared.params["against"]),
        ratio=value("latency_ratio"),
        ratio_interval=interval("latency_ratio"),
        mcnemar_p=value("mcnemar"),
        corrupted=_mean([i.value for i in items if i.metric == "corrupted_accuracy" and i.params["severity"]]),
        robust=_robust(items),
        robust_norm=_robust_norm(items),
        corruption_error=value("mean_corruption_error"),
        corruption_error_interval=interval("mean_corruption_error"),
        parity_class=value("parity_class"),
        parity_bits=value("parity_bits"),
        parity_difference=value("parity_difference"),
        flags=tuple(sorted({flag for item in items for flag in item.flags} - DETAILS)),
    )


def _robust_norm(items: Sequence[Measurement]) -> str:
    """The first one, of an attack set with several."""
    return next((str(item.params["norm"]) for item in items if item.metric == "robust_accuracy"), "")


def _robust(items: Sequence[Measurement]) -> tuple[RobustPoint, ...]:
    norm = _robust_norm(items)
    found = [
        (float(item.params["eps"]), item.value, *(item.interval or (0.0, 1.0)))
        for item in items
        if item.metric == "robust_accuracy" and item.params["norm"] == norm and item.params["attack"] in (CLEAN, WORST)
    ]
    return tuple(sorted(found))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

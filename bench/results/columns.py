"""The columns of a report's table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tledge.bench.results.number_text import duration_text, p_text, rate_text
from tledge.bench.results.rows import Interval, Row
from tledge.core.sizes import size_text


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of numbers.

    Attributes:
        heading: its name.
        unit: of its numbers; empty where they have none or say it.
        explanation: a sentence.
        value: of a row; None where it was not measured.
        text: of a value.
        detail: what stands small beneath it, of a row; a line break where it is long.
        best: ``min`` or ``max``, of which the best is marked; None marks nothing.
        brief: it stands in ``report.md`` too.
    """

    heading: str
    unit: str = ""
    explanation: str
    value: Callable[[Row], float | None]
    text: Callable[[float], str]
    detail: Callable[[Row], str] = lambda _: ""
    best: Callable[[Sequence[float]], float] | None = min
    brief: bool = True

    def is_best(self, row: Row, rows: Sequence[Row]) -> bool:
        """Whether nothing of the column is better, and something is worse."""
        value = self.value(row)
        values = [other for other in map(self.value, rows) if other is not None]
        if value is None or self.best is None or min(values) == max(values):
            return False
        return value == self.best(values)


def _interval(interval: Interval | None, digits: int) -> str:
    return "" if interval is None else f"{interval[0]:.{digits}f}–{interval[1]:.{digits}f}"


COLUMNS = (
    Column(
        heading="Size",
        explanation="of the model file",
        value=lambda row: row.size or None,
        text=size_text,
    ),
    Column(
        heading="Test top-1",
        explanation="fraction of the test photos that get their class, with its 95% Wilson interval",
        value=lambda row: row.top1,
        text=lambda value: f"{value:.3f}",
        detail=lambda row: _interval(row.top1_interval, 3),
        best=max,
    ),
    Column(
        heading="Agrees",
        explanation="fraction of the test photos that get the class that the Keras model gives",
        value=lambda row: row.agreement,
        text=lambda value: f"{value:.3f}",
        best=None,
    ),
    Column(
        heading="Same class",
        explanation="fraction of the test photos that get the class that the same file gives on the workstation",
        value=lambda row: row.parity_class,
        text=lambda value: f"{value:.3f}",
        best=None,
    ),
    Column(
        heading="Same bits",
        explanation="fraction of the test photos whose logits are bit for bit those of the same file on the"
        " workstation; the largest difference of a logit stands beneath",
        value=lambda row: row.parity_bits,
        text=lambda value: f"{value:.3f}",
        detail=lambda row: "" if row.parity_difference is None else f"± {row.parity_difference:.2g}",
        best=None,
    ),
    Column(
        heading="p50",
        unit="ms",
        explanation="median latency of one image",
        value=lambda row: row.p50,
        text=duration_text,
    ),
    Column(
        heading="p90",
        unit="ms",
        explanation="latency that 90% of the queries stay within",
        value=lambda row: row.p90,
        text=duration_text,
    ),
    Column(
        heading="p99",
        unit="ms",
        explanation="latency that 99% of the queries stay within",
        value=lambda row: row.p99,
        text=duration_text,
    ),
    Column(
        heading="p90 bound",
        unit="ms",
        explanation="MLPerf's early-stopping estimate: at 99% confidence, the 90th percentile is no higher",
        value=lambda row: row.p90_bound,
        text=duration_text,
        brief=False,
    ),
    Column(
        heading="Throughput",
        unit="images/s",
        explanation="of the best batch size, which stands beneath",
        value=lambda row: row.throughput,
        text=rate_text,
        detail=lambda row: "" if row.throughput_batch is None else f"batch {row.throughput_batch}",
        best=max,
    ),
    Column(
        heading="p50 ratio",
        explanation="median latency as a multiple of the baseline's on the same target, with its 95% interval; the"
        " baseline stands beneath",
        value=lambda row: row.ratio,
        text=lambda value: f"{value:.2f}×",
        detail=lambda row: "\n".join([_interval(row.ratio_interval, 2), f"of {row.baseline}"]).strip(),
        best=None,
    ),
    Column(
        heading="McNemar",
        unit="p",
        explanation="probability of a difference in top-1 from the baseline at least as large, were there none",
        value=lambda row: row.mcnemar_p,
        text=p_text,
        best=None,
    ),
    Column(
        heading="Robust",
        explanation="fraction of the attacked photos that get their class under the worst of all attacks, photo by"
        " photo, with its 95% Wilson interval; the eps, the smallest of all, stands beneath",
        value=lambda row: row.robust[1][1] if len(row.robust) > 1 else None,
        text=lambda value: f"{value:.3f}",
        detail=lambda row: (
            f"{_interval(row.robust[1][2:], 3)}\neps {row.robust[1][0]:g}/255" if len(row.robust) > 1 else ""
        ),
        best=None,
    ),
    Column(
        heading="Corrupted",
        explanation="fraction of the corrupted photos that get their class, over all corruptions and severities",
        value=lambda row: row.corrupted,
        text=lambda value: f"{value:.3f}",
        best=None,
    ),
    Column(
        heading="mCE",
        explanation="mean corruption error: errors on corrupted photos as a multiple of the float32 artifact's, with"
        " its 95% interval over the photos",
        value=lambda row: row.corruption_error,
        text=lambda value: f"{value:.2f}×",
        detail=lambda row: _interval(row.corruption_error_interval, 2),
        best=None,
    ),
    Column(
        heading="Memory",
        explanation="the process at its peak, above the bare interpreter with NumPy and Pillow",
        value=lambda row: row.peak_memory,
        text=size_text,
    ),
    Column(
        heading="Cold start",
        unit="ms",
        explanation="from the start of the process to its first answer",
        value=lambda row: row.cold_start,
        text=duration_text,
        brief=False,
    ),
    Column(
        heading="Load",
        unit="ms",
        explanation="from the model file to a model that is ready",
        value=lambda row: row.load_time,
        text=duration_text,
        brief=False,
    ),
    Column(
        heading="Energy",
        unit="mJ/image",
        explanation="as the machine reports it",
        value=lambda row: row.energy,
        text=lambda value: f"{value:.1f}",
    ),
)


def shown(rows: Sequence[Row]) -> list[Column]:
    """The columns in which something was measured."""
    return [column for column in COLUMNS if any(column.value(row) is not None for row in rows)]

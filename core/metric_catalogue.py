"""Every metric of a benchmark: its unit, and how tables show it.

To add a metric, declare it here and measure it (in ``bench.results.metrics`` or another room of bench). That is all:
``results.jsonl``, CSV and Parquet hold whatever was measured. A ``heading`` makes it a column of ``report.html`` and
``report.md``, and ``terminal`` one of the terminal's table, in the order of ``METRICS``; either also makes it a key of
the rows in JSON. Its unit decides how ``core.number_text`` writes its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

LOWER, HIGHER = "lower", "higher"

TIME_UNITS = ("ms", "images/s")
"""Units of metrics that depend on how busy the machine was."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric.

    Attributes:
        unit: of its values.
        scenario: how it is measured: "accuracy", "single-stream", "offline", "cold-start", "energy", "static",
            "robustness", "comparison" with another artifact of the same benchmark, or "parity" with another machine.
        heading: of its column in reports; empty for a metric without a column.
        explanation: what it says, as part of a sentence.
        better: LOWER or HIGHER: the best value of the column is marked; empty marks nothing.
        key: its name in rows for programs; empty for the metric's own name.
        interval: the column shows its 95% interval.
        note: what stands small beneath a value: a format string of the measurement's parameters.
        tolerance: another metric, shown beneath as "± 0.1".
        speed: its values are ratios of latencies, which tables write as "1.34× faster".
        brief: ``report.md`` shows the column; ``report.html`` shows all.
        terminal: heading in the terminal; empty for a column that the terminal leaves out.
    """

    unit: str
    scenario: str
    heading: str = ""
    explanation: str = ""
    better: str = ""
    key: str = ""
    interval: bool = False
    note: str = ""
    tolerance: str = ""
    speed: bool = False
    brief: bool = True
    terminal: str = ""

    def explained(self, explanation: str) -> Metric:
        """Returns the metric with its explanation, which is the longest part of a declaration."""
        return replace(self, explanation=explanation)


METRICS: Mapping[str, Metric] = {
    "file_size": Metric(
        unit="bytes", scenario="static", heading="Size", better=LOWER, key="size", terminal="size"
    ).explained("of the model file"),
    "top1": Metric(
        unit="fraction", scenario="accuracy", heading="Test top-1", better=HIGHER, interval=True, terminal="top-1"
    ).explained("fraction of the photos classified correctly, with its 95% Wilson interval"),
    "agreement": Metric(unit="fraction", scenario="accuracy", heading="Agrees", terminal="agrees").explained(
        "fraction of the photos for which the Keras model predicts the same class"
    ),
    "parity_class": Metric(unit="fraction", scenario="parity", heading="Same class", terminal="same class").explained(
        "fraction of the photos for which the same file predicts the same class on the workstation"
    ),
    "parity_bits": Metric(
        unit="fraction", scenario="parity", heading="Same bits", tolerance="parity_difference", terminal="same bits"
    ).explained(
        "fraction of the photos whose logits are bit-identical to those of the same file on the workstation;"
        " below it, the largest difference between logits"
    ),
    "parity_difference": Metric(unit="logits", scenario="parity", terminal="diff."),
    "latency_p50": Metric(
        unit="ms", scenario="single-stream", heading="p50", better=LOWER, key="p50", terminal="p50 ms"
    ).explained("median latency of one image"),
    "latency_p90": Metric(
        unit="ms", scenario="single-stream", heading="p90", better=LOWER, key="p90", terminal="p90 ms"
    ).explained("90% of the images took no longer"),
    "latency_p99": Metric(
        unit="ms", scenario="single-stream", heading="p99", better=LOWER, key="p99", terminal="p99 ms"
    ).explained("99% of the images took no longer"),
    "latency_p90_bound": Metric(
        unit="ms", scenario="single-stream", heading="p90 bound", better=LOWER, key="p90_bound", brief=False
    ).explained("MLPerf's early-stopping estimate: the 90th percentile is no higher, at 99% confidence"),
    "throughput": Metric(
        unit="images/s",
        scenario="offline",
        heading="Throughput",
        better=HIGHER,
        note="batch {batch}",
        terminal="images/s",
    ).explained("at the best batch size, which is shown below it"),
    "latency_ratio": Metric(
        unit="ratio",
        scenario="comparison",
        heading="Speed",
        key="ratio",
        interval=True,
        speed=True,
        note="than {against}",
    ).explained(
        "how many times faster or slower the file is than the baseline on the same target, if the 95% interval shows a"
        " difference; the baseline is named below it. The medians are compared within each round, so the ratio may"
        " differ from that of the p50 columns"
    ),
    "mcnemar": Metric(unit="p", scenario="comparison", heading="McNemar", key="mcnemar_p").explained(
        "p-value of McNemar's test: how likely a difference in accuracy at least this large would be if the file were"
        " as accurate as the baseline"
    ),
    "robust_accuracy": Metric(
        unit="fraction", scenario="robustness", heading="Robust", interval=True, note="eps {eps:g}/255"
    ).explained(
        "fraction of the attacked photos classified correctly under every attack, with its 95% Wilson interval, at the"
        " smallest eps of the benchmark, which is shown below it"
    ),
    "corrupted_accuracy": Metric(
        unit="fraction", scenario="robustness", heading="Corrupted", key="corrupted"
    ).explained("fraction of the corrupted photos classified correctly, over all corruptions and severities"),
    "mean_corruption_error": Metric(
        unit="ratio", scenario="robustness", heading="mCE", key="corruption_error", interval=True
    ).explained(
        "mean corruption error: errors on corrupted photos divided by those of the float32 artifact, with its 95%"
        " interval over the photos"
    ),
    "peak_memory": Metric(unit="bytes", scenario="static", heading="Memory", better=LOWER, terminal="memory").explained(
        "peak memory of the process, minus that of an interpreter with only NumPy and Pillow"
    ),
    "cold_start": Metric(unit="ms", scenario="cold-start", heading="Cold start", better=LOWER, brief=False).explained(
        "from the start of the process to its first prediction"
    ),
    "load_time": Metric(unit="ms", scenario="static", heading="Load", better=LOWER, brief=False).explained(
        "from the model file to a model that is ready to run"
    ),
    "energy": Metric(unit="mJ/image", scenario="energy", heading="Energy", better=LOWER, terminal="mJ/image").explained(
        "energy per image, as reported by the machine's own sensor"
    ),
    "attack_success_rate": Metric(unit="fraction", scenario="robustness"),
    "adversarial_distance": Metric(unit="pixel values", scenario="robustness"),
    "attack_queries": Metric(unit="queries/photo", scenario="robustness"),
    "attack_time": Metric(unit="s", scenario="robustness"),
    "robust_mcnemar": Metric(unit="p", scenario="robustness"),
}
"""Every metric by its name, in the order of columns."""

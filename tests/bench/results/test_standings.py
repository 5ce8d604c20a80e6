"""Which rows count as the best: only differences that the statistics support set rows apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from results_sample import cell_result, measurement

from tledge.bench.results.flags import UNTIMELY
from tledge.bench.results.rows import Row
from tledge.bench.results.standings import Evidence, best_rows, mark_best, pareto_front
from tledge.core.metric_catalogue import METRICS

pytestmark = pytest.mark.unit

PHOTOS = 269
LABELS = np.zeros(PHOTOS, np.intp)


def row(name: str, **values: float) -> Row:
    measured = {metric: measurement(metric, value, artifact=name) for metric, value in values.items()}
    return Row(artifact=name, target="litert:cpu:2", measured=measured)


def logits(wrong: Sequence[int]) -> Any:
    found = np.tile(np.float32([1, 0]), (PHOTOS, 1))
    found[list(wrong)] = [0, 1]
    return found


def judged(metric: str, *cells: tuple[float, dict[str, Any]], labels: Any = LABELS) -> list[int]:
    """Which of several rows are the best in a metric: each has a value, and the fields of its raw samples."""
    rows = [row(str(index), **{metric: value}) for index, (value, _) in enumerate(cells)]
    samples = {}
    for item, (_, fields) in zip(rows, cells, strict=True):
        samples[item.artifact, item.target] = cell_result(fields.pop("rounds", [[1.0]] * 5), **fields)
    return [int(item.artifact) for item in best_rows(metric, rows, Evidence(samples, labels))]


def latencies(*medians: float) -> tuple[float, dict[str, Any]]:
    return float(np.median(medians)), {"rounds": [[value] for value in medians]}


def test_a_difference_of_one_photo_is_no_difference() -> None:
    def accuracy(*wrong: int) -> tuple[float, dict[str, Any]]:
        return 1 - len(wrong) / PHOTOS, {"logits": logits(wrong)}

    assert judged("top1", accuracy(), accuracy(0), accuracy(0)) == []
    assert judged("top1", accuracy(), accuracy(0), accuracy(*range(10))) == [0, 1]
    assert judged("top1", accuracy(*range(10)), accuracy(*range(100, 110))) == []


def test_accuracies_are_judged_together() -> None:
    def accuracy(*wrong: int) -> tuple[float, dict[str, Any]]:
        return 1 - len(wrong) / PHOTOS, {"logits": logits(wrong)}

    six = accuracy(*range(6))  # p = 0.031 alone
    assert judged("top1", accuracy(), six) == [0]
    assert judged("top1", accuracy(), accuracy(*range(6)), accuracy(100)) == [], "0.031 is above 0.05 / 2"


def test_accuracy_without_predictions_shows_nothing() -> None:
    unknown: list[tuple[float, dict[str, Any]]] = [(1.0, {}), (0.5, {})]
    assert judged("top1", *unknown) == []
    other = np.zeros(3, np.intp)
    known = [(1.0, {"logits": logits([])}), (0.5, {"logits": logits(range(100))})]
    assert judged("top1", *known, labels=other) == [], "the labels are of other photos"


def test_a_latency_is_the_best_only_if_others_are_slower_in_all_rounds() -> None:
    fast, slow = latencies(1.0, 1.01, 0.99, 1.0, 1.0), latencies(1.5, 1.52, 1.49, 1.5, 1.51)
    noisy = latencies(1.0, 3.0, 0.6, 2.5, 1.01)
    assert judged("latency_p50", fast, slow) == [0]
    fast, slow = latencies(1.0, 1.01, 0.99, 1.0, 1.0), latencies(1.5, 1.52, 1.49, 1.5, 1.51)
    assert judged("latency_p50", fast, noisy, slow) == [0, 1], "the noisy one is not significantly slower"
    close = latencies(1.015, 1.025, 1.005, 1.015, 1.015)
    assert judged("latency_p50", latencies(1.0, 1.01, 0.99, 1.0, 1.0), close) == [], "less than 2% is no difference"


def test_one_round_shows_no_difference() -> None:
    assert judged("latency_p50", latencies(1.0), latencies(9.0)) == []
    assert judged("cold_start", (1.0, {"rounds": [[1.0]]}), (9.0, {"rounds": [[1.0]]})) == []


@pytest.mark.parametrize(
    ("metric", "field"),
    [
        ("load_time", "load_times"),
        ("cold_start", "cold_starts"),
        ("peak_memory", "peak_memories"),
        ("energy", "energies"),
    ],
)
def test_what_is_measured_once_per_round_is_judged_over_rounds(metric: str, field: str) -> None:
    low, high = np.array([10.0, 10.1, 9.9]), np.array([20.0, 20.1, 19.9])
    three: dict[str, Any] = {"rounds": [[1.0]] * 3}
    assert judged(metric, (20.0, {**three, field: high}), (10.0, {**three, field: low})) == [1]
    unknown = np.array([np.nan, 1.0, 1.0])
    assert judged(metric, (20.0, {**three, field: unknown}), (10.0, {**three, field: low})) == []


def test_throughput_is_compared_at_the_best_batch_sizes() -> None:
    def throughput(*rates: float) -> tuple[float, dict[str, Any]]:
        table = np.outer([1.0, 1.01, 0.99], rates)
        return max(rates), {"rounds": [[1.0]] * 3, "throughputs": table, "batch_sizes": np.arange(len(rates))}

    assert judged("throughput", throughput(50.0, 100.0), throughput(80.0, 60.0)) == [0]
    assert judged("throughput", throughput(50.0, 100.0), throughput(100.5, 60.0)) == []


def test_sizes_are_exact() -> None:
    assert judged("file_size", (100.0, {}), (101.0, {}), (100.0, {})) == [0, 2]
    assert judged("file_size", (100.0, {}), (100.0, {})) == [], "none is worse"
    assert judged("file_size", (0.0, {}), (100.0, {}), (101.0, {})) == [1], "an unknown size is not the smallest"


def test_flagged_times_are_not_compared() -> None:
    rounds = {"fast": [[1.0], [1.01], [0.99]], "slow": [[2.0], [2.01], [1.99]], "slower": [[3.0], [3.01], [2.99]]}
    rows = [row(name, latency_p50=found[0][0], file_size=100 * found[0][0]) for name, found in rounds.items()]
    evidence = Evidence({(name, "litert:cpu:2"): cell_result(found) for name, found in rounds.items()}, LABELS)

    def best(metric: str) -> list[str]:
        return [item.artifact for item in mark_best(rows, evidence) if metric in item.best]

    assert best("latency_p50") == ["fast"]
    for flag in UNTIMELY:
        rows[0] = replace(rows[0], flags=(flag,))
        assert best("latency_p50") == ["slow"]
        assert best("file_size") == ["fast"], "a flag says nothing about the size"
    rows[1] = replace(rows[1], flags=UNTIMELY[:1])
    assert best("latency_p50") == [], "nothing to compare it with"


def test_every_metric_with_a_best_value_is_judged() -> None:
    rows = [row("a", **dict.fromkeys(METRICS, 1.0)), row("b", **dict.fromkeys(METRICS, 2.0))]
    evidence = Evidence({}, LABELS)
    for name, metric in METRICS.items():
        if metric.better:
            best_rows(name, rows, evidence)


def front(*cells: tuple[str, Sequence[float], Sequence[int]]) -> list[str]:
    """The front of files with a median per round and photos that they mistake."""
    samples, rows = {}, []
    for name, medians, wrong in cells:
        found = row(name, top1=1 - len(wrong) / PHOTOS)
        p50 = measurement("latency_p50", float(np.median(medians)), interval=(1.0, 2.0) if len(medians) > 1 else None)
        rows.append(replace(found, measured={**found.measured, "latency_p50": p50}))
        samples[name, "litert:cpu:2"] = cell_result([[value] for value in medians], logits=logits(wrong))
    return [item.artifact for item in pareto_front(rows, Evidence(samples, LABELS))]


def test_the_front_counts_only_differences_that_are_shown() -> None:
    fast, slow = (1.0, 1.01, 0.99), (2.0, 2.01, 1.99)
    assert front(("fast", fast, [0]), ("slow", slow, [])) == ["fast"], "one photo is no difference"
    assert front(("fast", fast, range(20)), ("slow", slow, [])) == ["fast", "slow"]
    assert front(("fast", fast, range(20)), ("slow", slow, range(21))) == ["fast"]
    assert front(("a", fast, []), ("b", (1.01, 1.0, 1.0), [])) == ["a", "b"], "equal in both"


def test_one_round_has_no_front() -> None:
    assert front(("fast", (1.0,), []), ("slow", (2.0,), [])) == []

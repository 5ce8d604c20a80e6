"""Cells of different benchmarks, judged as one: only what two benchmarks can show counts as a difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stored_sample import PI, measurement, raw_samples, stored_cell, stored_results

from tledge.bench.leaderboard.joined_results import JoinedResults, Part, join
from tledge.bench.results.rows import Row
from tledge.bench.results.standings import best_rows
from tledge.bench.results.stored_results import StoredCell
from tledge.core.significance import FASTER, SLOWER, verdict

pytestmark = pytest.mark.unit

A, B, C = "a" * 64, "b" * 64, "c" * 64
STEADY = (0.999, 1.0, 1.001, 1.0)


def timed(median: float, sha256: str, *, artifact: str = "int8.tflite", memory: float = 1e6) -> StoredCell:
    samples = replace(
        raw_samples([median * factor for factor in STEADY], sha256=sha256), peak_memories=memory * np.array(STEADY)
    )
    found = {
        "latency_p50": median,
        "latency_p90": median * 1.2,
        "latency_p90_bound": median * 1.2,
        "peak_memory": memory,
    }
    return stored_cell(found, samples, artifact=artifact, sha256=sha256)


def joined(*benchmarks: tuple[StoredCell, ...]) -> JoinedResults:
    return join(
        [
            Part(benchmark=stored_results(*cells, name=f"{number}"), cells=cells, label=f"run {number}")
            for number, cells in enumerate(benchmarks, 1)
        ]
    )


def rows(results: JoinedResults) -> dict[str, Row]:
    return {row.artifact: row for row in results.rows}


def judged(results: JoinedResults, one: str, other: str, metric: str = "latency_p50") -> str:
    found = rows(results)
    return verdict(results.evidence.ratio(metric, found[one], found[other])[1])


@pytest.mark.parametrize(("factor", "expected"), [(1.04, ""), (1.08, SLOWER), (0.96, ""), (0.9, FASTER)])
def test_two_benchmarks_differ_by_3_percent_anyway(factor: float, expected: str) -> None:
    results = joined((timed(4.0, A),), (timed(4.0 * factor, B),))
    assert judged(results, "int8.tflite of run 2", "int8.tflite of run 1") == expected


def test_within_one_benchmark_the_rounds_are_pairs() -> None:
    """The same difference of 4% that two benchmarks do not show."""
    cells = (timed(4.0, A), timed(4.16, B, artifact="float32.tflite"))
    results = joined(cells, (timed(9.0, C),))
    assert judged(results, "float32.tflite of run 1", "int8.tflite of run 1") == SLOWER
    one, other = (rows(results)[f"{name}.tflite of run 1"] for name in ("float32", "int8"))
    alone = stored_results(*cells)
    expected = alone.evidence.ratio("latency_p50", *(replace(row, artifact=row.artifact[:-9]) for row in (one, other)))
    assert results.evidence.ratio("latency_p50", one, other) == expected


def test_the_change_of_an_unchanged_file_widens_the_interval() -> None:
    def unchanged(median: float) -> StoredCell:
        return timed(median, C, artifact="float32.tflite")

    steady = joined((timed(4.0, A), unchanged(8.0)), (timed(4.8, B), unchanged(8.0)))
    assert judged(steady, "int8.tflite of run 2", "int8.tflite of run 1") == SLOWER
    drifted = joined((timed(4.0, A), unchanged(8.0)), (timed(4.8, B), unchanged(10.0)))
    assert judged(drifted, "int8.tflite of run 2", "int8.tflite of run 1") == ""


@pytest.mark.parametrize(("unchanged", "expected"), [(1, ""), (2, ""), (3, SLOWER)])
def test_files_that_happen_to_agree_replace_the_3_percent_only_if_there_are_three(
    unchanged: int, expected: str
) -> None:
    """A difference of 4%, which two benchmarks show only if they are known to differ by less."""
    same = [timed(8.0, letter * 64, artifact=f"{letter}.tflite") for letter in "cde"[:unchanged]]
    results = joined((timed(4.0, A), *same), (timed(4.16, B), *same))
    assert judged(results, "int8.tflite of run 2", "int8.tflite of run 1") == expected


def test_the_same_file_never_differs_from_itself() -> None:
    results = joined((timed(4.0, A),), (timed(8.0, A),))
    assert judged(results, "int8.tflite of run 2", "int8.tflite of run 1") == ""
    assert best_rows("latency_p50", results.rows, results.evidence) == []


def test_one_round_shows_no_difference() -> None:
    single = stored_cell({"latency_p50": 8.0}, raw_samples([8.0], sha256=B), sha256=B)
    results = joined((timed(4.0, A),), (single,))
    assert judged(results, "int8.tflite of run 2", "int8.tflite of run 1") == ""


@pytest.mark.parametrize(("metric", "expected"), [("latency_p90_bound", SLOWER), ("peak_memory", SLOWER)])
def test_other_metrics_are_judged_across_benchmarks_too(metric: str, expected: str) -> None:
    """Otherwise the worst value of another benchmark would be marked as not significantly worse."""
    results = joined((timed(4.0, A),), (timed(8.0, B, memory=2e6),))
    assert judged(results, "int8.tflite of run 2", "int8.tflite of run 1", metric) == expected
    same = joined((timed(4.0, A),), (timed(4.0, B, memory=1.02e6),))
    assert judged(same, "int8.tflite of run 2", "int8.tflite of run 1", metric) == ""


def test_samples_of_another_file_are_left_out() -> None:
    stale = replace(timed(4.0, A), raw=raw_samples([4.0, 4.0], sha256=C))
    assert joined((stale,), (timed(4.0, B),)).raw_samples.keys() == {("int8.tflite of run 2", "litert:cpu:2")}


def test_files_and_their_baselines_have_names_of_their_own() -> None:
    compared = measurement("latency_ratio", 0.5, params={"against": "float32.tflite"})
    cell = timed(4.0, A)
    benchmark = stored_results(cell)
    measurements = (*benchmark.measurements, replace(compared, scenario="comparison", artifact_sha256=A))
    results = join([Part(benchmark=replace(benchmark, measurements=measurements), cells=(cell,), label="x")])
    (row,) = results.rows
    assert (row.artifact, row.baseline) == ("int8.tflite of x", "float32.tflite of x")
    assert join([Part(benchmark=benchmark, cells=(cell,))]).rows[0].artifact == "int8.tflite"
    assert results.cells[0].environment == PI

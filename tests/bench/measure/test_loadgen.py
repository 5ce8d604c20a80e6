"""MLPerf's LoadGen, where it is installed, on real work: what we call by its names is what it calls so."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tledge.core.statistics import early_stopping_estimate, percentile

loadgen = pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen has wheels for x86 only")

WORK = [bytes(20_000 + 1_997 * index) for index in range(32)]


@dataclass(frozen=True)
class LoadGenRun:
    """What LoadGen measured in nanoseconds, query by query, and what it says of that."""

    latencies: npt.NDArray[np.float64]
    summary: str

    def says(self, pattern: str) -> int:
        found = re.search(pattern, self.summary)
        assert found, self.summary
        return int(found[1])


def run_single_stream(folder: Path, queries: int) -> LoadGenRun:
    """LoadGen's single-stream scenario on hashing."""

    def issue(samples: list[Any]) -> None:
        for sample in samples:
            hashlib.sha256(WORK[sample.index]).digest()
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    settings = loadgen.TestSettings()
    settings.scenario = loadgen.TestScenario.SingleStream
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms = 0
    logs = loadgen.LogSettings()
    logs.enable_trace = True  # it holds the latency of each query
    output = loadgen.LogOutputSettings()
    output.outdir = str(folder)
    logs.log_output = output
    system = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(len(WORK), len(WORK), lambda _: None, lambda _: None)
    try:
        loadgen.StartTestWithLogSettings(system, library, settings, logs, "")
    finally:
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
    trace = (folder / "mlperf_log_trace.json").read_text()  # its JSON is not quite JSON
    latencies = [int(found) for found in re.findall(r'"name":"Sample".*"ph":"b".*"complete_ns":(\d+)', trace)]
    return LoadGenRun(np.array(latencies, np.float64), (folder / "mlperf_log_summary.txt").read_text())


@pytest.mark.unit
@pytest.mark.parametrize("queries", [1023, 1024])
def test_percentiles_are_loadgens(tmp_path: Path, queries: int) -> None:
    run = run_single_stream(tmp_path, queries)
    ordered = np.sort(run.latencies)
    assert len(ordered) == queries
    for percent in (50, 90, 99):
        ours = percentile(run.latencies, percent)[0]
        its = run.says(rf"{percent}\.00 percentile latency \(ns\) +: (\d+)")
        if queries * percent % 100:
            assert its == ours
        else:  # LoadGen takes the sample above the nearest rank
            rank = queries * percent // 100
            assert (ours, its) == (ordered[rank - 1], ordered[rank])


@pytest.mark.parametrize("queries", [64, 65, 200, 1024, 5000])
def test_the_early_stopping_estimate_is_loadgens(tmp_path: Path, queries: int) -> None:
    run = run_single_stream(tmp_path, queries)
    assert early_stopping_estimate(run.latencies) == run.says(r"stopping 90\.0th percentile estimate: (\d+)")
    higher = early_stopping_estimate(run.latencies, percent=99)
    if "Not enough queries processed for 99.0th" in run.summary:
        assert higher is None
    else:
        assert higher == run.says(r"stopping 99\.0th percentile estimate: (\d+)")


@pytest.mark.unit
def test_too_few_queries_for_loadgen_are_too_few_for_us(tmp_path: Path) -> None:
    run = run_single_stream(tmp_path, 63)
    assert run.says(r"Need to process at least (\d+) queries") == 64
    assert early_stopping_estimate(run.latencies) is None

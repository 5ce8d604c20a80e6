"""Our single-stream scenario against MLPerf's LoadGen on the same artifact, alternating in one run.

    python benchmarks/loadgen.py [--run runs/latest] [--artifact int8.tflite] [--target litert:cpu:1] [--rounds 15]

Both answer a query by ``Classifier.logits`` on the same test photos, after 10 queries that warm up; each round of each
is a fresh process, and every other round begins with the other one. Our percentiles are those of ``tledge bench``;
LoadGen's are read from its summary. Rounds are many and short, because on a shared machine a burst of other work spoils
one or two. To be within 3% of one another.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tledge.bench.measure.round_launcher import measure_in_own_process
from tledge.bench.results.cell_result import Specification, Timing
from tledge.core.run_directory import find_run
from tledge.core.statistics import percentile
from tledge.edge_runtime import Classifier

WARM_UP = 10
PHOTOS = 32
PERCENTS = (50, 90)
TARGET = 0.03
"""How far a ratio may be from 1."""


def measure_by_loadgen(artifact: str, target: str, queries: int, photos: Path, folder: Path) -> None:
    """Runs LoadGen's single-stream scenario in this process; its logs go into the folder."""
    import mlperf_loadgen as loadgen

    classifier = Classifier(artifact, target=target)
    pixels = np.load(photos)
    images = [pixels[index : index + 1] for index in range(len(pixels))]
    for index in range(WARM_UP):
        classifier.logits(images[index % len(images)])

    def issue(samples: list[Any]) -> None:
        for sample in samples:
            classifier.logits(images[sample.index])
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    settings = loadgen.TestSettings()
    settings.scenario = loadgen.TestScenario.SingleStream
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms = 0
    logs = loadgen.LogSettings()
    logs.enable_trace = False
    output = loadgen.LogOutputSettings()
    output.outdir = str(folder)
    logs.log_output = output
    system = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(len(images), len(images), lambda _: None, lambda _: None)
    loadgen.StartTestWithLogSettings(system, library, settings, logs, "")
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(system)


def run_loadgen(artifact: Path, target: str, queries: int, photos: Path) -> dict[int, float]:
    """LoadGen's percentiles in ms, of a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--measure", str(artifact), target, str(queries), str(photos), folder]
        subprocess.run(command, check=True, capture_output=True)
        summary = (Path(folder) / "mlperf_log_summary.txt").read_text()
    return {
        percent: int(re.findall(rf"{percent}\.00 percentile latency \(ns\) +: (\d+)", summary)[0]) / 1e6
        for percent in PERCENTS
    }


def run_ours(artifact: Path, target: str, queries: int, photos: Path) -> dict[int, float]:
    """Our percentiles in ms, of a fresh process."""
    specification = Specification(
        artifact=str(artifact),
        target=target,
        bare=False,
        pixels=str(photos),
        images=(),
        timing=Timing(warm_up=WARM_UP, minimum_queries=queries, minimum_seconds=0),
    )
    measured, _ = measure_in_own_process(specification, artifact.name)
    return {percent: percentile(measured.latencies, percent)[0] for percent in PERCENTS}


def main() -> None:
    """Measures both in turn and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run")
    parser.add_argument("--artifact", action="append", help="of the run; float32 and int8 of both formats without it")
    parser.add_argument("--target", help="one core of the artifact's runtime without it")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--queries", type=int, default=303, help="a round")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.measure:
        artifact, target, queries, photos, folder = told.measure
        measure_by_loadgen(artifact, target, int(queries), Path(photos), Path(folder))
        return
    run = find_run(told.run)
    splits = run.splits()
    paths = splits.paths(splits.test)[:PHOTOS]
    print(f"{told.rounds} rounds of {told.queries} queries each; a ratio is the median of the rounds' ratios")
    print("| artifact | target | percentile | ours ms | LoadGen ms | ratio | lowest, highest | within 3% |")
    print("|---|---|---:|---:|---:|---:|---:|---|")
    for name in told.artifact or ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx"):
        artifact = run.artifacts / name
        target = told.target or ("onnxruntime:cpu:1" if artifact.suffix == ".onnx" else "litert:cpu:1")
        ours: list[dict[int, float]] = []
        theirs: list[dict[int, float]] = []
        with tempfile.TemporaryDirectory() as folder, Classifier(artifact, target=target) as classifier:
            photos = Path(folder) / "photos.npy"
            np.save(photos, np.stack([classifier.load(path) for path in paths]))
            for number in range(told.rounds):
                for side in (0, 1) if number % 2 == 0 else (1, 0):
                    if side == 0:
                        ours.append(run_ours(artifact, target, told.queries, photos))
                    else:
                        theirs.append(run_loadgen(artifact, target, told.queries, photos))
        for percent in PERCENTS:
            ratios = [mine[percent] / its[percent] for mine, its in zip(ours, theirs, strict=True)]
            ratio = median(ratios)
            print(
                f"| {name} | {target} | p{percent} | {median(mine[percent] for mine in ours):.3f} |"
                f" {median(its[percent] for its in theirs):.3f} | {ratio:.3f} | {min(ratios):.3f}, {max(ratios):.3f} |"
                f" {'yes' if abs(ratio - 1) <= TARGET else 'no'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

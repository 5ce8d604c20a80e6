"""Benchmarking a run's artifacts: accuracy, agreement and latency of each on every target of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tledge.bench.cell import CellResult, Specification, Timing
from tledge.bench.metrics import to_measurements
from tledge.bench.summary import summarize, to_markdown
from tledge.core import atomic
from tledge.core.artifact import Artifact, read_artifact, read_exported
from tledge.core.cpu import mismatch
from tledge.core.errors import MeasurementError, OptionError
from tledge.core.measurement import Measurement, write_results
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, find_run
from tledge.core.splits import Splits
from tledge.edge_runtime.runtime import RUNTIMES, resolve, targets_of_this_machine
from tledge.edge_runtime.target import Target

WARM_UP = 10
MINIMUM_QUERIES = 100
CELL_TIMEOUT = 3600.0
"""Seconds after which a cell is taken for stuck."""


@dataclass(frozen=True)
class Skipped:
    """A cell that was not measured.

    Attributes:
        artifact: the file's name.
        target: where it should have run; "" where no target of this machine takes it.
        reason: why, and how to get it.
        failed: it was begun and ended in an error.
    """

    artifact: str
    target: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class BenchRecord:
    """What a benchmark wrote.

    Attributes:
        results: ``results.jsonl``.
        report: ``report.md``.
        measurements: the rows of ``results``.
        skipped: what was not measured, and why.
    """

    results: Path
    report: Path
    measurements: tuple[Measurement, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class _Cell:
    artifact: Artifact
    target: Target

    @property
    def name(self) -> str:
        return f"{self.artifact.name} on {self.target}"


def bench(
    *,
    run: str | Path | None = None,
    targets: str | Sequence[str] = (),
    seconds: float = 2.0,
    runs: str | Path = DEFAULT_RUNS,
    progress: Progress | None = None,
) -> BenchRecord:
    """Measures a run's Keras model and artifacts, each on each target in a process of its own.

    Args:
        run: a run directory or its name; without it, the newest finished run.
        targets: "runtime:device:threads"; without any, all of this machine.
        seconds: how long each cell is timed, at least; 100 queries are made at least.
        runs: the folder of runs.
        progress: is told what happens.

    Returns:
        The measurements, as ``bench/results.jsonl`` of the run directory holds them. Agreement is with the Keras
        model's answers of this benchmark, or of an earlier one of the same model, if it is not among the targets.

    Raises:
        TledgeError: no such run, no artifacts, an artifact of another run, a target that is not there, or no
            cell that could be measured.
    """
    if not 0 < seconds <= 3600:
        raise OptionError(f"--seconds must be above 0 and at most 3600; received {seconds}")
    progress = progress or Progress()
    timing = Timing(warm_up=WARM_UP, minimum_queries=MINIMUM_QUERIES, minimum_seconds=seconds)
    directory = find_run(run, Path(runs))
    splits = directory.splits()
    reference = read_artifact(directory.model)
    directory.check_model(reference.sha256)
    splits.check_unchanged(splits.test)
    artifacts = [reference, *(read_exported(path, reference) for path in directory.exported())]
    for artifact in artifacts:
        if mismatch(artifact.sidecar.cpu):
            progress.warn(f"{artifact.name}: {mismatch(artifact.sidecar.cpu)}")
    cells, skipped = _plan(artifacts, [targets] if isinstance(targets, str) else targets)
    measured: list[tuple[_Cell, CellResult]] = []
    with progress.step("Benchmark", len(cells), "cells") as step:
        for cell in cells:
            try:
                measured.append((cell, _measure_in_own_process(cell, splits, timing, directory)))
                step.advance(1, cell.name)
            except MeasurementError as error:
                skipped.append(Skipped(cell.artifact.name, str(cell.target), str(error), failed=True))
                step.advance(1, f"{cell.name} failed")
    if not measured:
        raise MeasurementError(f"no cell could be measured: {skipped[0].reason}")
    return _write(directory, splits, measured, skipped, timing)


def _plan(artifacts: Sequence[Artifact], wanted: Sequence[str]) -> tuple[list[_Cell], list[Skipped]]:
    """Which artifact to run where: on all targets that take it, of those asked for or of this machine."""
    asked = dict.fromkeys(resolve(Target.parse(text))[1] for text in wanted)
    chosen = list(asked) if asked else targets_of_this_machine()
    cells = [
        _Cell(artifact, target)
        for artifact in artifacts
        for target in chosen
        if artifact.format in RUNTIMES.load(target.runtime).formats
    ]
    if wanted:
        for target in chosen:
            if target not in {cell.target for cell in cells}:
                formats = " or .".join(RUNTIMES.load(target.runtime).formats)
                raise OptionError(f"nothing to run on '{target}': this run has no .{formats} file; export one")
        return cells, []
    placed = {cell.artifact.name for cell in cells}
    return cells, [
        Skipped(artifact.name, "", _why_no_target(artifact)) for artifact in artifacts if artifact.name not in placed
    ]


def _why_no_target(artifact: Artifact) -> str:
    takers = [RUNTIMES.load(name) for name in RUNTIMES.names()]
    reasons = [runtime.missing() for runtime in takers if artifact.format in runtime.formats]
    return "; ".join(reasons) or f"no runtime takes .{artifact.format} files"


def _measure_in_own_process(cell: _Cell, splits: Splits, timing: Timing, directory: RunDirectory) -> CellResult:
    specification = Specification(
        artifact=str(cell.artifact.path),
        target=str(cell.target),
        images=tuple(str(path) for path in splits.paths(splits.test)),
        timing=timing,
    )
    with tempfile.TemporaryDirectory() as folder:
        path, fresh = Path(folder) / "cell.json", Path(folder) / "samples.npz"
        specification.save(path)
        try:
            finished = subprocess.run(
                # -P: a file of the user's that is called like a library must not be imported instead of it.
                [sys.executable, "-P", "-m", "tledge.bench.cell", str(path), str(fresh)],
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=CELL_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MeasurementError(f"{cell.name} gave no answer for {CELL_TIMEOUT:.0f} s") from error
        sys.stderr.write(f"--- {cell.name}\n{finished.stderr}")  # for the log
        if finished.returncode != 0:
            raise MeasurementError(f"{cell.name} {_describe_end(finished)}")
        atomic.write_bytes(_samples_path(directory, cell.artifact, cell.target), fresh.read_bytes())
    return CellResult.load(_samples_path(directory, cell.artifact, cell.target))


def _describe_end(finished: subprocess.CompletedProcess[str]) -> str:
    last = (finished.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    if finished.returncode < 0:
        return f"was ended by {signal.Signals(-finished.returncode).name}: {last}"
    return f"ended with exit code {finished.returncode}: {last}"


def _samples_path(directory: RunDirectory, artifact: Artifact, target: Target) -> Path:
    return directory.bench / "samples" / f"{artifact.name}@{str(target).replace(':', '-')}.npz"


def _find_reference(directory: RunDirectory, measured: Sequence[tuple[_Cell, CellResult]]) -> CellResult | None:
    """The Keras model's answers: of this benchmark, or of an earlier one of the very same model."""
    for cell, result in measured:
        if cell.artifact.format == "keras":
            return result
    model = read_artifact(directory.model)
    earlier = _samples_path(directory, model, Target("keras", "cpu"))
    if earlier.exists():
        result = CellResult.load(earlier)
        if result.artifact_sha256 == model.sha256 and len(result.logits) == len(measured[0][1].logits):
            return result
    return None


def _write(
    directory: RunDirectory,
    splits: Splits,
    measured: Sequence[tuple[_Cell, CellResult]],
    skipped: Sequence[Skipped],
    timing: Timing,
) -> BenchRecord:
    labels = np.array([sample.label for sample in splits.test])
    reference = _find_reference(directory, measured)
    expected = None if reference is None else reference.logits.argmax(axis=1)
    measurements: list[Measurement] = []
    for cell, result in measured:
        atomic.write_json(directory.bench / "environments" / f"{result.environment_id}.json", result.environment)
        measurements += to_measurements(cell.artifact, cell.target, result, timing, labels=labels, expected=expected)
    results, report = directory.bench / "results.jsonl", directory.bench / "report.md"
    write_results(results, measurements)
    atomic.write_text(report, _report(directory, splits, measurements, skipped))
    return BenchRecord(results, report, tuple(measurements), tuple(skipped))


def _report(
    directory: RunDirectory, splits: Splits, measurements: Sequence[Measurement], skipped: Sequence[Skipped]
) -> str:
    lines = [
        f"# Benchmark of {directory.path.name}",
        "",
        f"{len(splits.test)} test images, {len(splits.class_names)} classes. Latency is of one image at a time,"
        " decoded beforehand, through the code that runs on the device.",
        "",
        to_markdown(summarize(measurements)),
    ]
    lines += [f"Not measured: {item.artifact} {item.target}: {item.reason}" for item in skipped]
    return "\n".join(lines)

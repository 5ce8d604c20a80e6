"""Benchmarking artifacts: accuracy, agreement, latency and memory of each, on every target of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Unpack

import numpy as np

from tledge.bench.compare.comparison import Comparison, compare
from tledge.bench.compare.earlier_files import PairedRuns, check_in_common, measure_earlier_in_turns
from tledge.bench.compare.gate import GateCondition, GateResult, check_conditions, check_rows, parse_conditions
from tledge.bench.measure.benchmark_lock import alone_on_this_machine
from tledge.bench.measure.durations import Duration, plan_duration
from tledge.bench.measure.keras_reference import find_reference, measure_reference
from tledge.bench.measure.rounds import RoundsResult
from tledge.bench.places.place import Place, find_place
from tledge.bench.profile.operator_profile import Profile
from tledge.bench.profile.operator_profile import profile_operators as profile_cell
from tledge.bench.results.cell_result import CellResult, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.flags import EMULATED
from tledge.bench.results.metrics import CellMetrics, Classes, find_baseline
from tledge.bench.results.results_folder import REFERENCE, ResultsFolder, samples_name, write
from tledge.bench.results.settings import BenchSettings, Skipped
from tledge.bench.results.stored_results import StoredResults, read_stored
from tledge.bench.results.workload import Workload, workload_of_files, workload_of_run
from tledge.bench.robustness.attack_plan import AttackOptions
from tledge.bench.robustness.corrupted_accuracy import DEFAULT_IMAGES
from tledge.bench.robustness.robustness_plan import RobustnessResult, measure_robustness, plan_robustness
from tledge.core import atomic
from tledge.core.cpu import mismatch
from tledge.core.environment import installed_versions
from tledge.core.errors import MeasurementError, OptionError, TledgeError
from tledge.core.extras import is_installed
from tledge.core.measurement import Measurement
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS, find_run

BATCH_SIZES = (1, 8)

DEFAULT_OUTPUT = Path("bench-results")
"""Where a benchmark of model files writes."""


@dataclass(frozen=True)
class BenchRecord:
    """What a benchmark wrote.

    Attributes:
        folder: where it stands.
        settings: what was measured and how.
        measurements: the rows of ``results.jsonl``.
        conclusions: what they say, in sentences.
        profiles: where the time goes in each artifact, where that was asked for.
        comparison: with an earlier benchmark, where that was asked for.
        gate: what became of the conditions; passed where there were none.
    """

    folder: ResultsFolder
    settings: BenchSettings
    measurements: tuple[Measurement, ...]
    conclusions: tuple[str, ...]
    profiles: tuple[Profile, ...] = ()
    comparison: Comparison | None = None
    gate: GateResult = field(default_factory=GateResult)

    @property
    def results(self) -> Path:
        """``results.jsonl``."""
        return self.folder.results

    @property
    def report(self) -> Path:
        """``report.html``, or ``report.md`` where the library for the former is missing."""
        return self.folder.html if self.folder.html.exists() else self.folder.markdown

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was not measured, and why."""
        return self.settings.skipped


@dataclass(frozen=True)
class Measured:
    """All that a benchmark measured.

    Attributes:
        outcome: of the rounds.
        duels: with the files of an earlier benchmark.
        robustness: on photos that were made harder.
        reference: the Keras model's answers; None where they are not known.
    """

    outcome: RoundsResult
    duels: PairedRuns
    robustness: RobustnessResult
    reference: CellResult | None = None


def bench(
    *,
    run: str | Path | None = None,
    files: Sequence[str | Path] = (),
    data: str | Path | None = None,
    output: str | Path | None = None,
    targets: str | Sequence[str] = (),
    rigor: str = "quick",
    seconds: float | None = None,
    rounds: int | None = None,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    profile: bool = False,
    corruptions: Sequence[str] = (),
    corruption_images: int = DEFAULT_IMAGES,
    against: str | Path | None = None,
    fail_on: Sequence[str] = (),
    on: str | None = None,
    ssh_config: str | Path | None = None,
    runs: str | Path = DEFAULT_RUNS,
    progress: Progress | None = None,
    **attack: Unpack[AttackOptions],
) -> BenchRecord:
    """Measures a run's Keras model and artifacts, or model files, each on each target in processes of its own.

    Args:
        run: a run directory or its name; without it and without files, the newest finished run.
        files: model files to measure instead of a run's.
        data: with files: a folder of photos, one folder per class, to judge them by.
        output: with files: where the results go; ``bench-results`` without it.
        targets: "runtime:device:threads"; without any, all of this machine.
        rigor: "quick" or "mlperf": the durations below.
        seconds: least duration of a cell's timed queries, of all rounds together.
        rounds: fresh processes a cell.
        batch_sizes: images a call in the offline scenario.
        profile: also find the slowest operators of each artifact, by its runtime's own profiler.
        corruptions: also classify photos corrupted by these, or by groups of them: "all", "imagenet-c", "edge".
        corruption_images: how many photos are corrupted, by each at every severity.
        against: an earlier ``results.jsonl``, or its folder, to compare with. Model files of it that are still there,
            and are others now, are measured again in turns with those of now.
        fail_on: conditions, as in "int8.tflite: p90_ms > 1.1x"; the record says which are broken.
        on: where the artifacts run instead of this machine: "emulated:pi5", or "ssh:USER@HOST". The results then
            go to a folder of their own beside that of this machine.
        ssh_config: a configuration for OpenSSH instead of the user's own.
        runs: the folder of runs.
        progress: is told what happens.
        attack: also attack the artifacts: the options of :class:`~tledge.bench.robustness.attack_plan.AttackPlan`.

    Returns:
        What was written. Agreement is with the Keras model's answers of this benchmark, or of the one before, if it
        was of the same model; there is none for files.

    Raises:
        TledgeError: no such run or file, no artifacts, an artifact of another run, a target that is not there, or no
            cell that could be measured.
        KeyboardInterrupt: it was stopped; what was measured until then is written.
    """
    progress = progress or Progress()
    place = find_place(on, None if ssh_config is None else Path(ssh_config))
    _check_suits(place, {"profile": profile, "corruptions": corruptions, **attack}, suits=place.here)
    sizes = tuple(batch_sizes) != BATCH_SIZES
    timed = {"seconds": seconds, "rounds": rounds, "rigor": rigor != "quick", "batch_sizes": sizes}
    _check_suits(place, timed, suits=place.times)
    duration = plan_duration(rigor, rounds=rounds, seconds=seconds, batch_sizes=batch_sizes)
    timing, count = duration.timing, duration.rounds
    conditions = parse_conditions(fail_on, compared=against is not None)
    old = None if against is None else read_stored(Path(against))  # first: what stands in the folder is set aside
    subject = _find_subject(run, files, data, output, runs)
    hardships = plan_robustness(subject, corruptions, corruption_images, attack)
    known = [ResultsFolder(subject.folder)]
    if place.here:
        _warn_of_other_cpus(subject, progress)
    else:
        subject = _elsewhere(subject, place, keep_folder=output is not None)
        known.append(ResultsFolder(subject.folder))
    with place, alone_on_this_machine(progress) if place.busy else nullcontext():
        cells, skipped = place.plan(subject.models, [targets] if isinstance(targets, str) else targets, progress)
        if old is not None:
            check_in_common(old, cells)
        check_rows(conditions, [(cell.model.name, str(cell.target)) for cell in cells], timed=place.times)
        began = datetime.now().astimezone().isoformat(timespec="seconds")
        outcome = place.measure(subject, cells, count=count, timing=timing, progress=progress)
        duels = _fight(old, place, outcome, duration, progress)
        robustness = RobustnessResult()
        if not (outcome.interrupted or duels.interrupted):
            robustness = measure_robustness(outcome.results, subject, hardships, progress)
        incomplete = outcome.interrupted or robustness.interrupted
        reference = find_reference(subject, outcome.results, known)
        if reference is None and outcome.results and not place.here and not incomplete:
            reference = _ask_reference(subject, progress)
        skipped += outcome.skipped + robustness.skipped
        if not outcome.results:
            if outcome.interrupted:
                raise KeyboardInterrupt("nothing was measured yet")
            raise MeasurementError(f"no cell could be measured: {skipped[0].reason}")
        settings = BenchSettings(
            version=installed_versions(["tledge"]).get("tledge", ""),
            began=began,
            run=subject.run,
            files=tuple(str(Path(path).resolve()) for path in files),
            data=subject.data,
            artifacts={cell.model.name: result.artifact_sha256 for cell, result in outcome.results.items()},
            targets=tuple(dict.fromkeys(str(cell.target) for cell in cells)),
            rigor=rigor,
            rounds=count if place.times else 0,
            seconds=duration.seconds if place.times else 0.0,
            queries=duration.queries if place.times else 0,
            batch_sizes=timing.batch_sizes if place.times else (),
            images=len(subject.photos),
            class_names=subject.class_names,
            photos=subject.fingerprint,
            skipped=tuple(skipped),
            interrupted=incomplete,
            corruptions=hardships.corruptions,
            corruption_images=hardships.corruption_images,
            attacks=hardships.attacks,
            attacked_with=hardships.attacked_with,
            on=place.name,
        )
        measured = Measured(outcome, duels, robustness, reference)
        record = _write(subject, settings, measured, timing, progress)
        stopped = incomplete or duels.interrupted
        if not stopped:
            record = _judge(record, old, duels, conditions)
        if profile and not stopped:
            record = replace(record, profiles=_profile(list(outcome.results), record.folder, progress))
    if stopped:
        raise KeyboardInterrupt(f"what was measured until then is in '{record.results}'")
    return record


def _fight(
    old: StoredResults | None, place: Place, outcome: RoundsResult, duration: Duration, progress: Progress
) -> PairedRuns:
    """Measures what an earlier benchmark measured in turns with what is there now, where that can be done."""
    if old is None or outcome.interrupted:
        return PairedRuns({})
    if not place.here:
        progress.note("Against", "what was measured then; files are measured in turns on this machine alone")
        return PairedRuns({})
    return measure_earlier_in_turns(
        old, outcome.results, timing=duration.timing, rounds=duration.rounds, progress=progress
    )


def _elsewhere(subject: Workload, place: Place, *, keep_folder: bool) -> Workload:
    """The same, with a title and, unless a person has chosen it, a folder that say where it was measured."""
    folder = subject.folder if keep_folder else place.folder(subject.folder)
    return replace(subject, folder=folder, title=f"{subject.title} on {place.name}")


def _ask_reference(subject: Workload, progress: Progress) -> CellResult | None:
    """The Keras model's answers; where they cannot be had, what was measured is written without agreement."""
    try:
        return measure_reference(subject, progress)
    except (TledgeError, KeyboardInterrupt) as error:
        progress.warn(f"agreement is not measured: {error or 'interrupted'}")
        return None


def _check_suits(place: Place, asked: Mapping[str, object], *, suits: bool) -> None:
    """Raises OptionError where something is asked for that a place cannot do."""
    for name, value in asked.items():
        if value and not suits:
            why = "it is measured on this machine alone" if place.times else "its answers alone are measured, untimed"
            raise OptionError(f"--{name.replace('_', '-')} does not go with --on {place.name}: {why}; leave it out")


def _find_subject(
    run: str | Path | None,
    files: Sequence[str | Path],
    data: str | Path | None,
    output: str | Path | None,
    runs: str | Path,
) -> Workload:
    if files:
        if run is not None:
            raise OptionError(f"both files and --run '{run}' were given; leave one of them out")
        folder = DEFAULT_OUTPUT if output is None else Path(output)
        if folder.exists() and not folder.is_dir():
            raise OptionError(f"--output '{folder}' is no folder; name one for the results")
        return workload_of_files([Path(path) for path in files], None if data is None else Path(data), folder)
    if data is not None or output is not None:
        name, value = ("--data", data) if data is not None else ("--output", output)
        raise OptionError(f"{name} '{value}' goes with model files; a run is judged by its own test split")
    return workload_of_run(find_run(run, Path(runs)))


def _warn_of_other_cpus(subject: Workload, progress: Progress) -> None:
    for model in subject.models:
        if model.artifact is not None and mismatch(model.artifact.sidecar.cpu):
            progress.warn(f"{model.name}: {mismatch(model.artifact.sidecar.cpu)}")


def _profile(cells: Sequence[Cell], folder: ResultsFolder, progress: Progress) -> tuple[Profile, ...]:
    """Where the time goes in each cell whose runtime has a profiler; also written as ``profile.json``."""
    profiles = []
    profiled = [cell for cell in cells if cell.target.runtime != "keras"]
    with progress.step("Profile", len(profiled), "cells") as step:
        for cell in profiled:
            try:
                profiles.append(profile_cell(cell.model.path, str(cell.target)))
            except TledgeError as error:
                progress.warn(f"{cell.name} was not profiled: {error}")
            step.advance(1, cell.name)
    atomic.write_json(folder.profiles, [item.to_dict() for item in profiles])
    return tuple(profiles)


def _write(
    subject: Workload, settings: BenchSettings, measured: Measured, timing: Timing, progress: Progress
) -> BenchRecord:
    outcome, duels, reference = measured.outcome, measured.duels, measured.reference
    folder = ResultsFolder(subject.folder)
    results = {cell.file_name: result for cell, result in outcome.results.items()}
    if reference is not None and not any(reference is result for result in outcome.results.values()):
        results[REFERENCE] = reference  # carried over
    measurements = [
        *_measurements(subject, outcome.results, reference, timing),
        *outcome.measurements,
        *measured.robustness.measurements,
    ]
    if not settings.rounds:
        measurements = [replace(item, flags=(*item.flags, EMULATED)) for item in measurements]
    with folder.replaced() as fresh:
        write(fresh, settings, measurements, results.items(), zip(subject.photos, subject.labels, strict=True))
        for model in {cell.model.name: cell.model for cell in outcome.results}.values():
            if model.format != "keras":
                fresh.keep(model.name, model.path)
        for cell, duel in duels.runs.items():
            duel.save(fresh.duels / samples_name(*cell))
        try:
            measured.robustness.save(fresh.adversarial, fresh.robustness, existing=folder.adversarial)
        except OSError as error:  # the numbers are worth more
            shutil.rmtree(fresh.adversarial, ignore_errors=True)
            progress.warn(f"the attacked photos could not be kept: {error}")
    conclusions = _write_reports(folder, subject, progress)
    return BenchRecord(folder, settings, tuple(measurements), conclusions)


def _judge(
    record: BenchRecord, old: StoredResults | None, duels: PairedRuns, conditions: Sequence[GateCondition]
) -> BenchRecord:
    """Adds the comparison with an earlier benchmark, and what became of the conditions."""
    if old is None and not conditions:
        return record
    results = read_stored(record.results)
    comparison = None if old is None else compare(results, old, duels.runs)
    return replace(record, comparison=comparison, gate=check_conditions(conditions, results, comparison))


def _measurements(
    subject: Workload, results: dict[Cell, CellResult], reference: CellResult | None, timing: Timing
) -> list[Measurement]:
    labels = np.array(subject.labels, np.intp)
    expected: Classes | None = None if reference is None else reference.logits.argmax(axis=1)
    photos = "test" if subject.run else "given"
    metrics = {cell: CellMetrics(cell, result, timing, labels, photos) for cell, result in results.items()}
    found: list[Measurement] = []
    for cell, of in metrics.items():
        found += of.all(expected)
        baseline = find_baseline(cell, list(metrics))
        if baseline is not None:
            found += of.against(metrics[baseline])
    return found


def _write_reports(folder: ResultsFolder, subject: Workload, progress: Progress) -> tuple[str, ...]:
    """Writes the reports that the installed libraries can make, and returns what they conclude."""
    from tledge.bench.report import conclude, write_html, write_markdown

    data = read_stored(folder.path, title=subject.title, complete=True)
    write_markdown(data, folder.markdown)
    if is_installed("jinja2"):
        write_html(data, folder.html)
    else:
        progress.note("Report", "report.html needs jinja2: pip install 'tledge[bench]'")
    return tuple(conclude(data))

"""Benchmarking artifacts: accuracy, agreement, latency and memory of each, on every target of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from tledge.bench.earlier.comparison import Comparison, compare_with_earlier
from tledge.bench.earlier.earlier_files import PairedRuns, check_in_common, measure_earlier_in_turns
from tledge.bench.earlier.gate import GateCondition, GateResult, check_conditions, check_rows, parse_conditions
from tledge.bench.measure.benchmark_lock import alone_on_this_machine
from tledge.bench.measure.durations import Duration, plan_duration
from tledge.bench.measure.keras_reference import find_reference, measure_reference
from tledge.bench.measure.preprocessing_trials import explain_predictions
from tledge.bench.measure.rounds import RoundsResult
from tledge.bench.places.measured_metrics import MeasuredMetrics
from tledge.bench.places.place import Place, find_place
from tledge.bench.profile.operator_profile import Profile
from tledge.bench.profile.operator_profile import profile_operators as profile_cell
from tledge.bench.report.conclusions import conclude
from tledge.bench.report.recommendation_card import RecommendationCard, recommendation_card
from tledge.bench.report.report_files import write_reports
from tledge.bench.results.bench_options import AttackOptions, BenchOptions
from tledge.bench.results.budget import parse_budget
from tledge.bench.results.cell_result import CellResult, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.flags import EMULATED
from tledge.bench.results.metrics import CellMetrics, Classes, find_baseline
from tledge.bench.results.recommendation import Recommendation
from tledge.bench.results.results_folder import REFERENCE, ResultsFolder, samples_name, write
from tledge.bench.results.rows import RowTable
from tledge.bench.results.settings import BenchSettings, Skipped
from tledge.bench.results.stored_results import StoredResults, read_stored
from tledge.bench.results.workload import Workload
from tledge.bench.results.workload_lookup import find_workload
from tledge.bench.robustness.robustness_plan import (
    RobustnessPlan,
    RobustnessResult,
    measure_robustness,
    plan_robustness,
)
from tledge.core import atomic
from tledge.core.cpu import mismatch
from tledge.core.environment import installed_versions
from tledge.core.errors import MeasurementError, OptionError, TledgeError
from tledge.core.folder_contents import finish_replacement
from tledge.core.html_text import html_text
from tledge.core.interrupt_delay import InterruptDelay
from tledge.core.measurement import Measurement
from tledge.core.options import as_tuple, given_options, option_names, takes
from tledge.core.progress import Progress, progress_or_default
from tledge.core.run_directory import RunDirectory
from tledge.core.temporary_files import check_writable
from tledge.edge_runtime.delegation import SLOWER, WITHOUT_XNNPACK
from tledge.edge_runtime.target import Target

TIMED = ("rigor", "seconds", "rounds", "batch_sizes")
"""Options that a place without timing cannot take."""

HERE_ONLY = ("profile", "corruptions", *sorted(option_names(AttackOptions)))
"""Options that only this machine can take."""


@dataclass(frozen=True)
class BenchRecord:
    """What a benchmark wrote.

    Attributes:
        folder: the folder of the results.
        settings: the settings of the benchmark.
        measurements: the rows of ``results.jsonl``.
        rows: the rows of tables, with the best of each column marked.
        recommendation: which file to ship.
        card: the recommendation in words, as reports begin.
        conclusions: sentences that summarize the rest.
        profiles: the slowest operators of each artifact, with ``profile``.
        comparison: with an earlier benchmark, with ``against``.
        gate: the result of the conditions in ``fail_on``; passed where there are none.
    """

    folder: ResultsFolder
    settings: BenchSettings = field(repr=False)
    measurements: tuple[Measurement, ...] = field(repr=False)
    rows: RowTable = field(repr=False)
    recommendation: Recommendation = field(repr=False)
    card: RecommendationCard
    conclusions: tuple[str, ...]
    profiles: tuple[Profile, ...] = field(default=(), repr=False)
    comparison: Comparison | None = field(default=None, repr=False)
    gate: GateResult = field(default_factory=GateResult)

    @property
    def results(self) -> Path:
        """``results.jsonl``."""
        return self.folder.results

    @property
    def report(self) -> Path:
        """``report.html``, or ``report.md`` if the library that writes HTML is missing."""
        return self.folder.html if self.folder.html.exists() else self.folder.markdown

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was not measured, and why."""
        return self.settings.skipped

    def _repr_html_(self) -> str:
        """The recommendation, the conclusions and the main columns, as Jupyter shows them."""
        sentences = "".join(f"<p>{html_text(sentence)}</p>" for sentence in (*self.card.why, *self.conclusions))
        title = f"<p><strong>{html_text(self.card.title)}</strong></p>"
        return f"{title}{sentences}{self.rows._repr_html_()}<p>Report: {html_text(str(self.report))}</p>"


class BenchInterrupted(KeyboardInterrupt):
    """Ctrl-C, or a signal that is treated like it, ended a benchmark.

    Attributes:
        record: what was measured and written until then.
    """

    def __init__(self, record: BenchRecord) -> None:
        super().__init__(f"results measured so far are in '{record.report}'")
        self.record = record


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a benchmark will do; every option is checked.

    Attributes:
        conditions: of ``fail_on``.
        earlier: the results to compare with; None without ``against``.
        reference_folders: results that may hold the Keras model's predictions.
    """

    options: BenchOptions
    place: Place
    workload: Workload
    duration: Duration
    conditions: tuple[GateCondition, ...]
    earlier: StoredResults | None
    robustness: RobustnessPlan
    reference_folders: tuple[ResultsFolder, ...]


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """Everything that a benchmark measured.

    Attributes:
        began: local time with its offset, ISO 8601.
        cells: what was to be measured.
        paired: the measurements that alternate with the files of an earlier benchmark.
        reference: the Keras model's predictions; None if they are not known.
        doubts: what was found about predictions that look wrong.
        stopped: whether it was interrupted after everything was measured.
    """

    began: str
    cells: tuple[Cell, ...]
    skipped: tuple[Skipped, ...]
    rounds: RoundsResult
    paired: PairedRuns
    robustness: RobustnessResult
    reference: CellResult | None
    doubts: tuple[str, ...] = ()
    stopped: bool = False

    @property
    def incomplete(self) -> bool:
        """Whether the measurement of this benchmark's own artifacts was interrupted."""
        return self.rounds.interrupted or self.robustness.interrupted

    @property
    def interrupted(self) -> bool:
        """Whether any of it was interrupted."""
        return self.incomplete or self.paired.interrupted or self.stopped


@takes(BenchOptions)
def bench(options: BenchOptions) -> BenchRecord:
    """Measures a run's Keras model and artifacts, or model files, each on every target, in fresh processes.

    Returns:
        What was written. Agreement is with the Keras model's predictions in this benchmark, or in the previous one of
        the same model. Model files have no agreement.

    Raises:
        TledgeError: no such run or file, no artifacts, an artifact of another run, a target that does not exist, or no
            cell that could be measured.
        BenchInterrupted: Ctrl-C ended the benchmark; results measured so far are saved.
    """
    progress = progress_or_default(options.progress)
    plan = _plan(options, progress)
    record = None
    try:
        with plan.place, alone_on_this_machine(progress) if plan.place.busy else nullcontext():
            measured = _examine(plan, _measure(plan, progress), progress)
            with InterruptDelay() as delay:  # what was measured is written first
                record, written = _write(plan, _settings(plan, measured), measured, progress)
                interrupted = delay.take() or measured.interrupted
            if not interrupted:
                record = _compare(record, written, plan, measured)
            if options.profile and not interrupted:
                record = replace(record, profiles=_profile(list(measured.rounds.results), record.folder, progress))
        if plan.workload.run and not measured.incomplete:
            _write_card(written, progress)
    except KeyboardInterrupt as interrupt:
        if record is None:
            raise
        raise BenchInterrupted(record) from interrupt
    if interrupted:
        raise BenchInterrupted(record)
    return record


def _plan(options: BenchOptions, progress: Progress) -> _Plan:
    """Checks the options, and finds what they name; measures nothing yet. Raises TledgeError if that fails."""
    for text in as_tuple(options.targets):
        Target.parse(text)
    place = find_place(options.on, None if options.ssh_config is None else Path(options.ssh_config))
    _check_place(place, options)
    duration = plan_duration(options)
    conditions = parse_conditions(as_tuple(options.fail_on), compared=options.against is not None)
    budget = parse_budget(as_tuple(options.budget))
    # Read before the run is looked at: writing new results moves the old ones aside.
    earlier = None if options.against is None else read_stored(Path(options.against), progress=progress)
    workload = find_workload(options, progress)
    robustness = plan_robustness(workload, options)
    folders = [ResultsFolder(workload.folder)]
    if place.here:
        for model in workload.models:
            if model.artifact is not None and mismatch(model.artifact.sidecar.cpu):
                progress.warn(f"{model.name}: {mismatch(model.artifact.sidecar.cpu)}")
    else:
        folder = workload.folder if options.output is not None else place.folder(workload.folder)
        workload = replace(workload, folder=folder)
        folders.append(ResultsFolder(folder))
    finish_replacement(workload.folder, progress)
    check_writable(workload.folder)
    MeasuredMetrics(
        place=place,
        workload=workload,
        robustness=robustness,
        targets=as_tuple(options.targets),
        folders=tuple(folders),
    ).check(budget)
    return _Plan(
        options=options,
        place=place,
        workload=workload,
        duration=duration,
        conditions=conditions,
        earlier=earlier,
        robustness=robustness,
        reference_folders=tuple(folders),
    )


def _measure(plan: _Plan, progress: Progress) -> _Measured:
    """Measures the cells, the files of an earlier benchmark, and the robustness.

    Raises:
        MeasurementError: no cell could be measured.
        KeyboardInterrupt: interrupted before anything was measured.
    """
    place, workload = plan.place, plan.workload
    cells, skipped = place.plan(workload.measured, as_tuple(plan.options.targets), progress)
    if plan.earlier is not None:
        check_in_common(plan.earlier, cells)
    check_rows(plan.conditions, [(cell.model.name, str(cell.target)) for cell in cells], timed=place.times)
    began = datetime.now().astimezone().isoformat(timespec="seconds")
    rounds = place.measure(workload, cells, count=plan.duration.rounds, timing=plan.duration.timing, progress=progress)
    for cell, result in rounds.results.items():
        if result.provider == WITHOUT_XNNPACK:
            progress.warn(f"{cell.name}: {SLOWER}")
    paired = _measure_pairs(plan, rounds, progress)
    robustness = RobustnessResult()
    if not (rounds.interrupted or paired.interrupted):
        robustness = measure_robustness(rounds.results, workload, plan.robustness, progress)
    skipped = [*skipped, *rounds.skipped, *robustness.skipped]
    if not rounds.results:
        if rounds.interrupted:
            raise KeyboardInterrupt("nothing was measured yet")
        raise MeasurementError(f"nothing could be measured: {skipped[0].reason}")
    measured = _Measured(
        began=began,
        cells=tuple(cells),
        skipped=tuple(skipped),
        rounds=rounds,
        paired=paired,
        robustness=robustness,
        reference=find_reference(workload, rounds.results, plan.reference_folders),
    )
    if measured.reference is not None or place.here or measured.incomplete:
        return measured
    try:
        return replace(measured, reference=measure_reference(workload, progress))
    except (TledgeError, KeyboardInterrupt) as error:
        progress.warn(f"agreement is not measured: {error or 'interrupted'}")
        return replace(measured, stopped=isinstance(error, KeyboardInterrupt))


def _measure_pairs(plan: _Plan, rounds: RoundsResult, progress: Progress) -> PairedRuns:
    """Measures the files of an earlier benchmark alternating with the present ones, if that is possible."""
    if plan.earlier is None or rounds.interrupted:
        return PairedRuns({})
    if not plan.place.here:
        progress.note("Against", "compared with the stored results; old files are measured again only on this machine")
        return PairedRuns({})
    return measure_earlier_in_turns(
        plan.earlier, rounds.results, timing=plan.duration.timing, rounds=plan.duration.rounds, progress=progress
    )


def _settings(plan: _Plan, measured: _Measured) -> BenchSettings:
    """Returns what ``run.json`` records."""
    timed, duration, workload = plan.place.times, plan.duration, plan.workload
    return BenchSettings(
        version=installed_versions(["tledge"]).get("tledge", ""),
        began=measured.began,
        run=workload.run,
        files=() if workload.run else tuple(str(model.path.resolve()) for model in workload.models),
        data=workload.data,
        artifacts={cell.model.name: result.artifact_sha256 for cell, result in measured.rounds.results.items()},
        targets=tuple(dict.fromkeys(str(cell.target) for cell in measured.cells)),
        selected=as_tuple(plan.options.artifacts),
        left_out=as_tuple(plan.options.skip),
        budget=as_tuple(plan.options.budget),
        rigor=plan.options.rigor,
        rounds=duration.rounds if timed else 0,
        seconds=duration.seconds if timed else 0.0,
        queries=duration.queries if timed else 0,
        batch_sizes=duration.timing.batch_sizes if timed else (),
        images=len(workload.photos),
        class_names=workload.class_names,
        photos=workload.fingerprint,
        seen_photos=plan.options.seen_photos,
        overlap=workload.overlap,
        doubts=measured.doubts,
        skipped=measured.skipped,
        interrupted=measured.incomplete,
        not_repeated=measured.rounds.not_repeated,
        corruptions=plan.robustness.corruptions,
        corruption_images=plan.robustness.corruption_images,
        attacks=plan.robustness.attacks,
        attacked_with=plan.robustness.attacked_with,
        on=plan.place.name,
        input_size=plan.options.input_size or "",
    )


def _examine(plan: _Plan, measured: _Measured, progress: Progress) -> _Measured:
    """Looks into predictions that look wrong. Whatever fails there is a warning: the results are not written yet."""
    if measured.interrupted:
        return measured
    here = plan.place.here
    try:
        found = explain_predictions(measured.rounds.results, plan.workload, here=here, progress=progress)
        return replace(measured, doubts=tuple(found))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no failure here may cost the results
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
        progress.warn(f"why predictions may look wrong was not examined: {reason}")
        return replace(measured, stopped=isinstance(error, KeyboardInterrupt))


def _check_place(place: Place, options: BenchOptions) -> None:
    """Raises OptionError for an option that the place cannot take."""
    given = given_options(options)
    for names, possible in ((HERE_ONLY, place.here), (TIMED, place.times)):
        wrong = [name for name in names if name in given]
        if wrong and not possible:
            there = "only predictions are measured there, nothing is timed"
            why = "it runs only on this machine" if place.times else there
            raise OptionError(f"`{wrong[0]}` cannot be combined with `on='{place.name}'`: {why}; leave it out")


def _profile(cells: Sequence[Cell], folder: ResultsFolder, progress: Progress) -> tuple[Profile, ...]:
    """Profiles each cell whose runtime has a profiler, and writes ``profile.json``."""
    profiles = []
    profiled = [cell for cell in cells if cell.target.runtime != "keras"]
    with progress.step("Profile", len(profiled), "cells") as step:
        for cell in profiled:
            step.begin(cell.name)
            try:
                profiles.append(_profile_cell(cell))
            except TledgeError as error:
                progress.warn(f"{cell.name} was not profiled: {error}")
            step.advance()
    atomic.write_json(folder.profiles, [item.to_dict() for item in profiles])
    return tuple(profiles)


def _profile_cell(cell: Cell) -> Profile:
    """Profiles one cell, at the input size that was measured."""
    artifact = cell.model.artifact
    size = cell.model.input_size if artifact is None else artifact.sidecar.input_size
    return profile_cell(cell.model.path, str(cell.target), input_size=size)


def _write(
    plan: _Plan, settings: BenchSettings, measured: _Measured, progress: Progress
) -> tuple[BenchRecord, StoredResults]:
    """Writes the results and the reports; returns the record, and the results as they were written."""
    workload, rounds, reference = plan.workload, measured.rounds, measured.reference
    folder = ResultsFolder(workload.folder)
    results = {cell.file_name: result for cell, result in rounds.results.items()}
    if reference is not None and not any(reference is result for result in rounds.results.values()):
        results[REFERENCE] = reference  # of an earlier benchmark
    measurements = [
        *_measurements(workload, rounds.results, reference, plan.duration.timing),
        *rounds.measurements,
        *measured.robustness.measurements,
    ]
    if not settings.rounds:
        measurements = [replace(item, flags=(*item.flags, EMULATED)) for item in measurements]
    with folder.replaced(progress) as fresh:
        write(fresh, settings, measurements, results.items(), zip(workload.photos, workload.labels, strict=True))
        for model in {cell.model.name: cell.model for cell in rounds.results}.values():
            if model.format != "keras":
                fresh.keep(model.name, model.path)
        for cell, paired_run in measured.paired.runs.items():
            paired_run.save(fresh.paired_runs / samples_name(*cell))
        try:
            measured.robustness.save(fresh.adversarial, fresh.robustness, existing=folder.adversarial)
        except OSError as error:  # keep the numbers
            shutil.rmtree(fresh.adversarial, ignore_errors=True)
            progress.warn(f"the attacked photos could not be saved: {error}")
        failure = _try_reports(read_stored(fresh.path, title=workload.title, complete=True), progress)
    if failure is not None:
        raise failure
    written = read_stored(folder.path, title=workload.title, complete=True)
    return BenchRecord(
        folder=folder,
        settings=settings,
        measurements=tuple(measurements),
        rows=written.rows,
        recommendation=written.recommendation,
        card=recommendation_card(written, written.recommendation),
        conclusions=tuple(conclude(written)),
    ), written


def _compare(record: BenchRecord, written: StoredResults, plan: _Plan, measured: _Measured) -> BenchRecord:
    """Adds the comparison with an earlier benchmark, and the result of the conditions."""
    if plan.earlier is None and not plan.conditions:
        return record
    comparison = None if plan.earlier is None else compare_with_earlier(written, plan.earlier, measured.paired.runs)
    return replace(record, comparison=comparison, gate=check_conditions(plan.conditions, written, comparison))


def _measurements(
    workload: Workload, results: Mapping[Cell, CellResult], reference: CellResult | None, timing: Timing
) -> list[Measurement]:
    labels = np.array(workload.labels, np.intp)
    expected: Classes | None = None if reference is None else reference.logits.argmax(axis=1)
    split = workload.overlap.split
    metrics = {cell: CellMetrics(cell, result, timing, labels, split) for cell, result in results.items()}
    found: list[Measurement] = []
    for cell, of in metrics.items():
        found += of.all(expected)
        baseline = find_baseline(cell, list(metrics))
        if baseline is not None:
            found += of.against(metrics[baseline])
    return found


def _try_reports(data: StoredResults, progress: Progress) -> BaseException | None:
    """Writes the reports; returns what ended that instead of raising it, since the results must be kept."""
    try:
        write_reports(data, progress)
    except BaseException as error:  # noqa: BLE001 - raised once the results are in their place
        return error
    return None


def _write_card(data: StoredResults, progress: Progress) -> None:
    """Writes the main figures into the model card of the run; warns if that fails, since all else is written."""
    from tledge.bench.report import write_card_section

    run = RunDirectory(data.folder.path.parent)
    try:
        write_card_section(data, run, data.folder.path)
    except (OSError, UnicodeError) as error:
        progress.warn(f"the figures were not written into '{run.model_card}': {error}")

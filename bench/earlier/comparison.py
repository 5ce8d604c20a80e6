"""Compares a benchmark with an earlier one, cell by cell: of another commit, version or device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tledge.bench.earlier.cell_match import is_unchanged, match
from tledge.bench.earlier.environment_changes import find_changes
from tledge.bench.earlier.metric_change import (
    COMPARED_METRICS,
    LATENCIES,
    BenchmarkVariation,
    MetricChange,
    find_change,
    find_paired_change,
)
from tledge.bench.measure.paired_run import PairedRun
from tledge.bench.results.flags import MEANINGS, UNTIMELY
from tledge.bench.results.metrics import discordant
from tledge.bench.results.stored_results import CellName, StoredCell, StoredResults
from tledge.core.errors import MeasurementError
from tledge.core.number_text import flag_text
from tledge.core.significance import SIGNIFICANT, mcnemar, verdict

BETTER, WORSE = "better", "worse"
TOO_FEW_ROUNDS = "which does not show the variation between processes"
UNCHANGED = "the same file with the same software on the same kind of machine: any difference is noise"


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One artifact on one target in both benchmarks.

    Attributes:
        old_target: the target in the earlier one; may differ in the number of threads.
        unchanged: file, software, provider and kind of machine are the same.
        other_machine: the kind of machine or the number of threads differs.
        no_latency_verdict: why latency has no verdict; empty if the interval decides.
        no_times_verdict: the same for throughput, cold start and load time, which are never measured alternately.
        mcnemar_p: p-value that both are right equally often on the same photos; None if the photos differ.
        same_photos: both classified the same photos.
        same_attacks: both were attacked in the same way, by the same versions of the attacks, on the same photos.
        again: the earlier model file was measured again, alternating with the new one; the latencies are from then.
    """

    artifact: str
    target: str
    old_target: str
    changes: Mapping[str, MetricChange]
    unchanged: bool
    other_machine: bool
    no_latency_verdict: str = ""
    no_times_verdict: str = ""
    mcnemar_p: float | None = None
    same_photos: bool = False
    same_attacks: bool = False
    again: bool = False

    @property
    def name(self) -> str:
        """The artifact and target, as messages name the row."""
        return f"{self.artifact} on {self.target}"

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The verdicts of all metrics: some of "faster", "slower", "better", "worse"."""
        return tuple(change.verdict for change in self.changes.values() if change.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Returns a dictionary that JSON can hold."""
        return {
            **vars(self),
            "changes": {metric: change.to_dict() for metric, change in self.changes.items()},
            "verdicts": list(self.verdicts),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two benchmarks.

    Attributes:
        rows: the cells that both measured.
        only_old, only_new: artifact and target of the cells that only one of them measured.
        environments: differences between the machines, a line each.
    """

    old: Path
    new: Path
    rows: tuple[ComparedRow, ...]
    only_old: tuple[CellName, ...]
    only_new: tuple[CellName, ...]
    environments: tuple[str, ...]

    def of(self, artifact: str, target: str) -> ComparedRow | None:
        """Returns the row of a cell of the new benchmark; None if there is none."""
        return next((row for row in self.rows if (row.artifact, row.target) == (artifact, target)), None)

    def to_dict(self) -> dict[str, Any]:
        """Returns a dictionary that JSON can hold."""
        return {
            "old": str(self.old),
            "new": str(self.new),
            "rows": [row.to_dict() for row in self.rows],
            "only_old": [list(cell) for cell in self.only_old],
            "only_new": [list(cell) for cell in self.only_new],
            "environments": list(self.environments),
        }


def compare_with_earlier(
    new: StoredResults, old: StoredResults, paired_runs: Mapping[CellName, PairedRun] | None = None
) -> Comparison:
    """Compares two benchmarks cell by cell.

    Args:
        new, old: both benchmarks. Read the old one before measuring: a benchmark sets aside the results in its folder.
        paired_runs: model files of both, measured alternately, by artifact and target. They replace the latencies,
            because the machine's drift cancels out in their ratios.

    Raises:
        MeasurementError: the benchmarks have no cell in common.
    """
    pairs = match(old.cells, new.cells)
    if not pairs:
        raise MeasurementError(
            f"'{old.path}' has no artifact and target in common with '{new.path}': it measured"
            f" {_listed(old.cells)}; the new one measured {_listed(new.cells)}"
        )
    benchmarks = _Benchmarks(old, new, tuple(pair for pair in pairs if is_unchanged(*pair)))
    rows = [
        _compare_row(before, after, benchmarks, _find_paired_run(before, after, paired_runs or {}))
        for before, after in pairs
    ]
    olds, news = {id(before) for before, _ in pairs}, {id(after) for _, after in pairs}
    texts = [find_changes(before.environment, after.environment).text for before, after in pairs]
    return Comparison(
        old=old.path,
        new=new.path,
        rows=tuple(rows),
        only_old=tuple((cell.artifact, cell.target) for cell in old.cells if id(cell) not in olds),
        only_new=tuple((cell.artifact, cell.target) for cell in new.cells if id(cell) not in news),
        environments=tuple(text for text in dict.fromkeys(texts) if text),
    )


@dataclass(frozen=True)
class _Benchmarks:
    """Both benchmarks, and the pairs of cells that have not changed."""

    old: StoredResults
    new: StoredResults
    unchanged: tuple[tuple[StoredCell, StoredCell], ...]

    @property
    def same_photos(self) -> bool:
        return bool(self.new.photos) and self.old.photos == self.new.photos and self.old.labels == self.new.labels

    @property
    def same_attacks(self) -> bool:
        first, second = self.old.settings, self.new.settings
        if first is None or second is None or not first.attacks or first.attack_versions != second.attack_versions:
            return False
        if {**first.attacks, "versions": {}} != {**second.attacks, "versions": {}}:
            return False
        return first.attacked_with == second.attacked_with and self.old.photos == self.new.photos


def _compare_row(
    before: StoredCell, after: StoredCell, benchmarks: _Benchmarks, paired_run: PairedRun | None
) -> ComparedRow:
    environment = find_changes(before.environment, after.environment)
    other_machine = bool(environment.machine) or before.target != after.target
    others = [pair for pair in benchmarks.unchanged if pair[1] is not after]
    variation = None if other_machine else BenchmarkVariation.of(others)
    found = {metric: find_change(metric, before, after, variation=variation) for metric in COMPARED_METRICS}
    changes = {metric: change for metric, change in found.items() if change is not None}
    same = any(pair[1] is after for pair in benchmarks.unchanged)
    no_latency = no_times = UNCHANGED if same else _why_no_verdict(before, after, changes.get("latency_p50"))
    if paired_run is not None:
        changes |= {metric: find_paired_change(metric, paired_run) for metric in LATENCIES}
        no_latency = "" if len(paired_run.new) > 1 else f"one round, {TOO_FEW_ROUNDS}"
    p_value = _mcnemar(before, after, benchmarks)
    if not no_latency and "latency_p50" in changes:
        change = changes["latency_p50"]
        changes["latency_p50"] = replace(change, verdict=verdict(change.interval))
    if "top1" in changes:
        changes["top1"] = _judged_top1(changes["top1"], before, after, p_value)
    return ComparedRow(
        artifact=after.artifact,
        target=after.target,
        old_target=before.target,
        changes=changes,
        unchanged=same,
        other_machine=other_machine,
        no_latency_verdict=no_latency,
        no_times_verdict=no_times,
        mcnemar_p=p_value,
        same_photos=benchmarks.same_photos,
        same_attacks=benchmarks.same_attacks,
        again=paired_run is not None,
    )


def _find_paired_run(
    before: StoredCell, after: StoredCell, paired_runs: Mapping[CellName, PairedRun]
) -> PairedRun | None:
    """Returns the paired run of exactly these files; None if they were not measured alternately."""
    found = paired_runs.get((after.artifact, after.target))
    hashes = None if found is None else (found.old_sha256, found.new_sha256)
    return found if hashes == (before.sha256, after.sha256) else None


def _why_no_verdict(old: StoredCell, new: StoredCell, p50: MetricChange | None) -> str:
    """Returns why latency and other times cannot be judged; empty if they can."""
    if p50 is None or p50.old is None or p50.new is None:
        return "one of the benchmarks did not measure latency"
    for when, cell in (("before", old), ("now", new)):
        measurement = cell.find("latency_p50")
        for flag in () if measurement is None else measurement.flags:
            if flag in UNTIMELY:
                return f"{flag_text(flag)} {when}: {MEANINGS[flag]}"
    for when, cell in (("before", old), ("now", new)):
        if cell.samples is None:
            return f"no raw samples {when}"
        if len(cell.samples.conditions) < 2:
            return f"one round {when}, {TOO_FEW_ROUNDS}"
    return "" if p50.interval is not None else "too few samples"


def _judged_top1(change: MetricChange, old: StoredCell, new: StoredCell, p_value: float | None) -> MetricChange:
    """Judges top-1 by McNemar's test if both classified the same photos, otherwise by whether the intervals overlap."""
    before, after = old.find("top1"), new.find("top1")
    if before is None or after is None or before.value == after.value:
        return change
    differs = p_value is not None and p_value < SIGNIFICANT
    if p_value is None and before.interval is not None and after.interval is not None:
        differs = before.interval[1] < after.interval[0] or after.interval[1] < before.interval[0]
    return replace(change, verdict=BETTER if after.value > before.value else WORSE) if differs else change


def _mcnemar(before: StoredCell, after: StoredCell, benchmarks: _Benchmarks) -> float | None:
    if before.samples is None or after.samples is None or not benchmarks.same_photos:
        return None
    if not len(before.samples.logits) == len(after.samples.logits) == len(benchmarks.new.labels):
        return None
    labels = np.array(benchmarks.new.labels)
    was, is_ = (item.logits.argmax(axis=1) == labels for item in (before.samples, after.samples))
    return mcnemar(*discordant(is_, was))


def _listed(cells: Sequence[StoredCell]) -> str:
    return ", ".join(cell.name for cell in cells[:4]) + (" and more" if len(cells) > 4 else "")

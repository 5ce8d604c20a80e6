"""A benchmark against an earlier one, cell by cell: of another commit, another version, another device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tledge.bench.compare.cell_match import is_unchanged, match
from tledge.bench.compare.environment_changes import find_changes
from tledge.bench.compare.metric_change import LATENCIES, METRICS, Drift, MetricChange, find_change, find_paired_change
from tledge.bench.measure.paired_run import PairedRun
from tledge.bench.results.flags import MEANINGS, UNTIMELY
from tledge.bench.results.stored_results import CellName, StoredCell, StoredResults
from tledge.core.errors import MeasurementError
from tledge.core.significance import SIGNIFICANT, mcnemar, verdict

BETTER, WORSE = "better", "worse"
ONE_ROUND = "which does not tell what differs from process to process"
UNCHANGED = "the same file with the same software on the same kind of machine: what differs is the machine's"


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One artifact on one target, before and now.

    Attributes:
        artifact: the file's name.
        target: where it runs now.
        old_target: where it ran before; the same but for the thread count.
        changes: by metric.
        unchanged: file, software, provider and kind of machine are the same.
        other_machine: it is not one kind of machine, or not one thread count.
        no_latency_verdict: why nothing is said of its latency, in words; empty where the interval speaks for itself.
        no_times_verdict: the same of throughput, cold start and load time, which are never measured in turns.
        mcnemar_p: of both being right equally often on the same photos; None where they classified others.
        same_photos: both classified the same ones.
        same_attacks: both were attacked in the same way, on the same photos.
        again: the model file of before was measured again, in turns with that of now; the latencies are those.
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
        """What people call it."""
        return f"{self.artifact} on {self.target}"

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What is said of it: some of "faster", "slower", "better", "worse"."""
        return tuple(change.verdict for change in self.changes.values() if change.verdict)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {
            **vars(self),
            "changes": {metric: change.to_dict() for metric, change in self.changes.items()},
            "verdicts": list(self.verdicts),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two benchmarks.

    Attributes:
        old, new: the results files.
        rows: the cells that both have.
        only_old, only_new: those that one of them has, artifact and target.
        environments: in what the machines differ, a line each.
    """

    old: Path
    new: Path
    rows: tuple[ComparedRow, ...]
    only_old: tuple[CellName, ...]
    only_new: tuple[CellName, ...]
    environments: tuple[str, ...]

    def of(self, artifact: str, target: str) -> ComparedRow | None:
        """The row of a cell of the new benchmark."""
        return next((row for row in self.rows if (row.artifact, row.target) == (artifact, target)), None)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {
            "old": str(self.old),
            "new": str(self.new),
            "rows": [row.to_dict() for row in self.rows],
            "only_old": [list(cell) for cell in self.only_old],
            "only_new": [list(cell) for cell in self.only_new],
            "environments": list(self.environments),
        }


def compare(new: StoredResults, old: StoredResults, duels: Mapping[CellName, PairedRun] | None = None) -> Comparison:
    """Compares cell by cell.

    Cells are matched by artifact and target; what then is left, by artifact, runtime and device, where that is
    unambiguous: another machine has another number of threads.

    Args:
        new: the later benchmark.
        old: the earlier one. Read it before measuring: a benchmark sets aside what stands in its folder.
        duels: model files of both, measured in turns, by artifact and target: the latencies are then those, and what
            the machine does by itself drops out of their ratios.

    Raises:
        MeasurementError: they have no cell in common.
    """
    pairs = match(old.cells, new.cells)
    if not pairs:
        raise MeasurementError(
            f"'{old.path}' has no artifact and target in common with '{new.path}': it measured"
            f" {_listed(old.cells)}; this, {_listed(new.cells)}"
        )
    unchanged = [pair for pair in pairs if is_unchanged(*pair)]
    rows = [
        _compare_row(before, after, old, new, unchanged, _find_duel(before, after, duels or {}))
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


def _compare_row(  # noqa: PLR0917 - before, after, and what both stand in
    before: StoredCell,
    after: StoredCell,
    old: StoredResults,
    new: StoredResults,
    unchanged: Sequence[tuple[StoredCell, StoredCell]],
    duel: PairedRun | None,
) -> ComparedRow:
    environment = find_changes(before.environment, after.environment)
    other_machine = bool(environment.machine) or before.target != after.target
    others = [pair for pair in unchanged if pair[1] is not after]
    drift = None if other_machine else Drift.of(others)
    changes = {
        metric: change for metric in METRICS if (change := find_change(metric, before, after, drift=drift)) is not None
    }
    same = any(pair[1] is after for pair in unchanged)
    reason = of_times = UNCHANGED if same else _why_no_latency_verdict(before, after, changes.get("latency_p50"))
    if duel is not None:
        changes |= {metric: find_paired_change(metric, duel) for metric in LATENCIES}
        reason = "" if len(duel.new) > 1 else f"one round, {ONE_ROUND}"
    p_value = _mcnemar(before, after, old, new)
    if not reason and "latency_p50" in changes:
        changes["latency_p50"] = _judged_latency(changes["latency_p50"])
    if "top1" in changes:
        changes["top1"] = _judged_top1(changes["top1"], before, after, p_value)
    return ComparedRow(
        artifact=after.artifact,
        target=after.target,
        old_target=before.target,
        changes=changes,
        unchanged=same,
        other_machine=other_machine,
        no_latency_verdict=reason,
        no_times_verdict=of_times,
        mcnemar_p=p_value,
        same_photos=_same_photos(old, new),
        same_attacks=_same_attacks(old, new),
        again=duel is not None,
    )


def _find_duel(before: StoredCell, after: StoredCell, duels: Mapping[CellName, PairedRun]) -> PairedRun | None:
    """That of these very files; None where they were not measured in turns."""
    found = duels.get((after.artifact, after.target))
    fought = None if found is None else (found.old_sha256, found.new_sha256)
    return found if fought == (before.sha256, after.sha256) else None


def _why_no_latency_verdict(old: StoredCell, new: StoredCell, p50: MetricChange | None) -> str:
    """What keeps a latency from being judged; empty where nothing does."""
    if p50 is None or p50.old is None or p50.new is None:
        return "the latency of one of the two was not measured"
    for when, cell in (("before", old), ("now", new)):
        measurement = cell.find("latency_p50")
        for flag in () if measurement is None else measurement.flags:
            if flag in UNTIMELY:
                return f"{flag} {when}: {MEANINGS.get(flag, 'not timed on the device itself')}"
    for when, cell in (("before", old), ("now", new)):
        if cell.samples is None:
            return f"the raw samples of {when} are not there"
        if len(cell.samples.conditions) < 2:
            return f"one round {when}, {ONE_ROUND}"
    return "" if p50.interval is not None else "too few samples"


def _judged_latency(change: MetricChange) -> MetricChange:
    return replace(change, verdict=verdict(change.interval))


def _judged_top1(change: MetricChange, old: StoredCell, new: StoredCell, p_value: float | None) -> MetricChange:
    """By McNemar's test where both classified the same photos, else by whether the intervals have nothing in common."""
    before, after = old.find("top1"), new.find("top1")
    if before is None or after is None or before.value == after.value:
        return change
    if p_value is not None:
        differs = p_value < SIGNIFICANT
    elif before.interval is not None and after.interval is not None:
        differs = before.interval[1] < after.interval[0] or after.interval[1] < before.interval[0]
    else:
        differs = False
    if not differs:
        return change
    return replace(change, verdict=BETTER if after.value > before.value else WORSE)


def _same_photos(old: StoredResults, new: StoredResults) -> bool:
    return bool(new.photos) and old.photos == new.photos and old.labels == new.labels


def _same_attacks(old: StoredResults, new: StoredResults) -> bool:
    first, second = old.settings, new.settings
    if first is None or second is None or not first.attacks or first.attacks != second.attacks:
        return False
    return first.attacked_with == second.attacked_with and old.photos == new.photos


def _mcnemar(before: StoredCell, after: StoredCell, old: StoredResults, new: StoredResults) -> float | None:
    if before.samples is None or after.samples is None or not _same_photos(old, new):
        return None
    if not len(before.samples.logits) == len(after.samples.logits) == len(new.labels):
        return None
    labels = np.array(new.labels)
    was, is_ = (item.logits.argmax(axis=1) == labels for item in (before.samples, after.samples))
    return mcnemar(int((is_ & ~was).sum()), int((was & ~is_).sum()))


def _listed(cells: Sequence[StoredCell]) -> str:
    return ", ".join(cell.name for cell in cells[:4]) + (" and more" if len(cells) > 4 else "")

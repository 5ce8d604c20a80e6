"""All that makes photos harder, one after the other: corruptions, then attacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tledge.bench.bench_options import BenchOptions
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Workload
from tledge.bench.robustness.artifact_attacks import AttackInputs, AttackResults, attack_artifacts, find_attack_inputs
from tledge.bench.robustness.attack_examples import RobustnessRecord, choose_examples
from tledge.bench.robustness.attack_metrics import JudgedAttack, judge_attack
from tledge.bench.robustness.attack_plan import plan_attacks
from tledge.bench.robustness.corrupted_accuracy import (
    CorruptedAccuracy,
    check_photos,
    measure_corrupted_accuracy,
    parse_corruptions,
)
from tledge.core.measurement import Measurement
from tledge.core.options import as_tuple
from tledge.core.progress import Progress


@dataclass(frozen=True)
class RobustnessPlan:
    """What was asked for, and can be done.

    Attributes:
        corruptions: their names.
        corruption_images: how many photos are corrupted by each.
        targets: what the attacks' plan finds; None where nothing is attacked.
    """

    corruptions: tuple[str, ...]
    corruption_images: int
    targets: AttackInputs | None

    @property
    def attacked_with(self) -> str:
        """What else decides what is shown: the fingerprint of a set, or the SHA-256 of a surrogate."""
        if self.targets is None:
            return ""
        if self.targets.attack_set is not None:
            return self.targets.attack_set.fingerprint
        surrogate = self.targets.plan.surrogate and self.targets.gradients
        return surrogate.sha256 if surrogate else ""

    @property
    def attacks(self) -> dict[str, Any]:
        """The attacks' plan for the record; empty without one."""
        return {} if self.targets is None else self.targets.plan.to_dict()


@dataclass(frozen=True)
class RobustnessResult:
    """What artifacts made of harder photos.

    Attributes:
        corrupted: of corrupted ones.
        attacked: of attacked ones.
        judged: what that leaves of them.
    """

    corrupted: CorruptedAccuracy = field(default_factory=lambda: CorruptedAccuracy(()))
    attacked: AttackResults = field(default_factory=AttackResults)
    judged: JudgedAttack = field(default_factory=JudgedAttack)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Rows of ``results.jsonl``."""
        return self.corrupted.measurements + self.judged.measurements

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The artifacts that could not answer, and why."""
        return self.corrupted.skipped + self.attacked.skipped

    @property
    def interrupted(self) -> bool:
        """Whether a person stopped it."""
        return self.corrupted.interrupted or self.attacked.interrupted

    def save(self, adversarial: Path, record: Path, *, stands: Path) -> None:
        """Writes the attacked photos and what a report shows of them.

        Of photos that came from another folder, only what the report shows is written.

        Args:
            adversarial: the folder of the photos.
            record: the file ``robustness.json``.
            stands: where the folder of photos of the benchmark before stands, which is set aside.

        Raises:
            OSError: they cannot be written.
        """
        attack_set = self.attacked.attack_set
        if attack_set is None:
            return
        exhibits = choose_examples(self.attacked)
        RobustnessRecord(exhibits, dict(self.judged.flags)).save(record)
        if attack_set.fingerprint and attack_set.folder != stands.resolve():
            attack_set.save_files(adversarial, {name for item in exhibits for name in item.files})
        else:
            attack_set.save(adversarial)


def plan_robustness(subject: Workload, options: BenchOptions) -> RobustnessPlan:
    """Checks the options of corruptions and attacks before anything is measured.

    Args:
        subject: what is benchmarked.
        options: those of the benchmark.

    Raises:
        TledgeError: something of it cannot be done.
    """
    names = parse_corruptions(as_tuple(options.corruptions))
    if names:
        check_photos(subject)
    plan = plan_attacks(options)
    targets = None if plan is None else find_attack_inputs(plan, subject)
    images = min(options.corruption_images, len(subject.photos)) if names else 0
    return RobustnessPlan(names, images, targets)


def measure_robustness(
    results: Mapping[Cell, CellResult], subject: Workload, hardships: RobustnessPlan, progress: Progress
) -> RobustnessResult:
    """Corrupts and attacks; each artifact answers on the first of its targets that was measured."""
    corrupted, attacked = CorruptedAccuracy(()), AttackResults()
    if hardships.corruptions:
        corrupted = measure_corrupted_accuracy(
            results, subject, hardships.corruptions, hardships.corruption_images, progress
        )
    if hardships.targets is not None and not corrupted.interrupted:
        attacked = attack_artifacts(results, subject, hardships.targets, progress)
    return RobustnessResult(corrupted, attacked, judge_attack(attacked))

"""The robustness part of a benchmark: corruptions, then attacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tledge.attacks.gradient_masking import MaskingSign
from tledge.bench.results.bench_options import BenchOptions
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Workload
from tledge.bench.robustness.artifact_attacks import attack_artifacts
from tledge.bench.robustness.attack_examples import RobustnessRecord, choose_examples
from tledge.bench.robustness.attack_inputs import AttackInputs, find_attack_inputs
from tledge.bench.robustness.attack_metrics import measure_attacks
from tledge.bench.robustness.attack_plan import plan_attacks
from tledge.bench.robustness.attacked_artifact import AttackResults
from tledge.bench.robustness.corrupted_accuracy import (
    CorruptedAccuracy,
    check_photos,
    measure_corrupted_accuracy,
    parse_corruptions,
)
from tledge.core.errors import OptionError
from tledge.core.measurement import Measurement
from tledge.core.options import as_tuple, given_options
from tledge.core.progress import Progress


@dataclass(frozen=True)
class RobustnessPlan:
    """The planned corruptions and attacks, checked.

    Attributes:
        corruptions: names of corruptions.
        corruption_images: number of photos for each.
        attack_inputs: the attacks with their files; None where nothing is attacked.
    """

    corruptions: tuple[str, ...]
    corruption_images: int
    attack_inputs: AttackInputs | None

    @property
    def attacked_with(self) -> str:
        """The file that the attacked photos depend on: fingerprint of the attack set, or SHA-256 of the surrogate."""
        inputs = self.attack_inputs
        if inputs is None:
            return ""
        if inputs.attack_set is not None:
            return inputs.attack_set.fingerprint
        return inputs.gradient_model.sha256 if inputs.plan.surrogate and inputs.gradient_model else ""

    @property
    def attacks(self) -> dict[str, Any]:
        """The attack plan for the record, and the versions of the attacks above 1; empty without attacks."""
        if self.attack_inputs is None:
            return {}
        plan = self.attack_inputs.plan
        versions = {attack.name: attack.version for attack in plan.attacks if attack.version > 1}
        return {**plan.to_dict(), "versions": versions}


@dataclass(frozen=True)
class RobustnessResult:
    """The results on corrupted and attacked photos.

    Attributes:
        skipped: the artifacts that failed, and why.
        attacked: the logits on attacked photos.
        masking_signs: signs of gradient masking, by artifact.
    """

    measurements: tuple[Measurement, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    interrupted: bool = False
    attacked: AttackResults = field(default_factory=AttackResults)
    masking_signs: Mapping[str, tuple[MaskingSign, ...]] = field(default_factory=dict)

    def save(self, adversarial: Path, record: Path, *, existing: Path) -> None:
        """Writes the attacked photos into ``adversarial``, and the record for the report.

        Of an attack set in another folder than the one that will be replaced, only the photos of the report are copied.

        Raises:
            OSError: the files cannot be written.
        """
        attack_set = self.attacked.attack_set
        if attack_set is None:
            return
        examples = choose_examples(self.attacked)
        RobustnessRecord(examples, self.masking_signs).save(record)
        if attack_set.fingerprint and attack_set.folder != existing.resolve():
            attack_set.save_files(adversarial, {name for item in examples for name in (item.original, item.attacked)})
        else:
            attack_set.save(adversarial)


def plan_robustness(workload: Workload, options: BenchOptions) -> RobustnessPlan:
    """Checks the options of corruptions and attacks before anything is measured.

    Raises:
        TledgeError: a part of the plan cannot be carried out.
    """
    names = parse_corruptions(as_tuple(options.corruptions))
    if names:
        check_photos(workload)
    elif "corruption_images" in given_options(options):
        raise OptionError("`corruption_images` chooses photos to corrupt; name corruptions with `corruptions`")
    plan = plan_attacks(options)
    inputs = None if plan is None else find_attack_inputs(plan, workload)
    images = min(options.corruption_images, len(workload.photos)) if names else 0
    return RobustnessPlan(names, images, inputs)


def measure_robustness(
    results: Mapping[Cell, CellResult], workload: Workload, plan: RobustnessPlan, progress: Progress
) -> RobustnessResult:
    """Corrupts and attacks photos; each artifact classifies them on the first target that it was measured on."""
    corrupted, attacked = CorruptedAccuracy(()), AttackResults()
    if plan.corruptions:
        corrupted = measure_corrupted_accuracy(results, workload, plan.corruptions, plan.corruption_images, progress)
    if plan.attack_inputs is not None and not corrupted.interrupted:
        attacked = attack_artifacts(results, workload, plan.attack_inputs, progress)
    rows, signs = measure_attacks(attacked)
    return RobustnessResult(
        measurements=(*corrupted.measurements, *rows),
        skipped=corrupted.skipped + attacked.skipped,
        interrupted=corrupted.interrupted or attacked.interrupted,
        attacked=attacked,
        masking_signs=signs,
    )

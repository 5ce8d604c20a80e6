"""Attacks every artifact, and shows it the photos of attacks on the Keras model that it was exported from.

There are two kinds of attack on an artifact: **transfer** attacks, whose images follow the gradients of its Keras model
or of a surrogate; and **direct** attacks on the artifact itself, through its runtime, without gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tledge.attacks.attack import Attack
from tledge.attacks.goal import Goal
from tledge.attacks.gradient_masking import check_scores
from tledge.attacks.model_probe import probe
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.rows import DIRECT, TRANSFER
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Workload
from tledge.bench.robustness.attack_inputs import AttackInputs
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.attack_set import AttackSet
from tledge.bench.robustness.attacked_artifact import AttackedArtifact, AttackedLogits, AttackResults
from tledge.bench.robustness.attacked_photos import AttackedPhotos, PhotoSet
from tledge.bench.robustness.robustness_cells import RobustnessCell, find_robustness_cells
from tledge.bench.robustness.white_box import WhiteBoxResults, attack_keras
from tledge.core.artifact import Artifact
from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import TledgeError
from tledge.core.image_batches import batches
from tledge.core.progress import Progress
from tledge.core.temporary_files import temporary_folder
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.batched_logits import BATCH_SIZE, batched_logits


def attack_artifacts(
    results: Mapping[Cell, CellResult], workload: Workload, inputs: AttackInputs, progress: Progress
) -> AttackResults:
    """Attacks each artifact, on the first target that it was measured on.

    Returns:
        All results, also where an attack failed or Ctrl-C ended it early.
    """
    cells = find_robustness_cells(results)
    bare = dict.fromkeys(cell.model.name for cell in results if cell.model.artifact is None)
    reason = "its classes are unknown: add a sidecar with `tledge adopt`"
    attacked = _attack(results, cells, workload, inputs, progress) if cells else AttackResults()
    return replace(attacked, skipped=(*(Skipped(name, "", reason) for name in bare), *attacked.skipped))


def _attack(
    results: Mapping[Cell, CellResult],
    cells: Sequence[RobustnessCell],
    workload: Workload,
    inputs: AttackInputs,
    progress: Progress,
) -> AttackResults:
    if inputs.attack_set is not None:
        return _AttackRun(inputs.attack_set.photos, inputs.plan, progress).show_set(cells, inputs.attack_set)
    white_box = WhiteBoxResults()
    try:
        photos = _choose_photos(workload, cells, inputs.plan)
        if inputs.gradient_model is not None:
            with temporary_folder() as folder:
                white_box = attack_keras(inputs.gradient_model, photos, inputs.plan, folder, progress)
    except KeyboardInterrupt:
        return AttackResults(interrupted=True)
    except (TledgeError, OSError) as error:  # the measurements made so far must not be lost
        return AttackResults(skipped=(Skipped("attacks", "", str(error), failed=True),))
    run = _AttackRun(photos, inputs.plan, progress, white_box, inputs.gradient_model)
    keras = _find_keras(results, inputs.gradient_model)
    if keras is not None:
        run.add_keras(keras)
    return run.attack(cells)


@dataclass
class _AttackRun:
    """Attacks artifacts, one after the other."""

    photos: PhotoSet
    plan: AttackPlan
    progress: Progress
    white_box: WhiteBoxResults = field(default_factory=WhiteBoxResults)
    gradient_model: Artifact | None = None
    made: list[AttackedPhotos] = field(default_factory=list)
    artifacts: list[AttackedArtifact] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add_keras(self, cell: RobustnessCell) -> None:
        """Adds the Keras model itself, which was attacked with its own gradients."""
        clean = self.white_box.clean
        if clean is not None:
            logits = [AttackedLogits(attacked, DIRECT, logits) for attacked, logits in self.white_box.attacked]
            complete = not self.white_box.failure and not self.white_box.interrupted
            signs = list(self.white_box.signs)
            self.artifacts.append(AttackedArtifact(cell, clean, logits, signs, complete=complete))

    def attack(self, cells: Sequence[RobustnessCell]) -> AttackResults:
        """Shows the photos of white-box attacks to each artifact, and attacks each directly."""
        transferred = [attacked for attacked, _ in self.white_box.attacked]
        self.made += transferred
        if self.gradient_model is not None and self.white_box.failure:
            self.skipped.append(Skipped(self.gradient_model.name, "", self.white_box.failure, failed=True))
        interrupted = not self._attack_each(cells, transferred, probed=True)
        attack_set = AttackSet(self.photos, tuple(self.made))
        return AttackResults(attack_set, tuple(self.artifacts), tuple(self.skipped), interrupted)

    def show_set(self, cells: Sequence[RobustnessCell], attack_set: AttackSet) -> AttackResults:
        """Shows an existing attack set to each artifact."""
        interrupted = not self._attack_each(cells, attack_set.attacked, probed=False)
        return AttackResults(attack_set, tuple(self.artifacts), tuple(self.skipped), interrupted)

    def _attack_each(self, cells: Sequence[RobustnessCell], shown: Sequence[AttackedPhotos], *, probed: bool) -> bool:
        """Returns whether all had their turn; False if Ctrl-C ended the run."""
        if self.white_box.interrupted:
            return False
        for number, cell in enumerate(cells):
            self.progress.note("Attack", f"{cell.name} on {cell.target} ({number + 1} of {len(cells)})")
            try:
                with cell.load() as classifier:
                    artifact = self._classify_originals(cell, classifier, probed=probed)
                    self._show(artifact, classifier, shown)
                    self.artifacts.append(artifact)
                    for attack in self.plan.black_box:
                        self._attack_directly(artifact, classifier, attack)
                    artifact.complete = not self.white_box.failure
            except TledgeError as error:
                self.skipped.append(cell.failure(error))
            except KeyboardInterrupt:
                return False
        return True

    def _classify_originals(self, cell: RobustnessCell, classifier: Classifier, *, probed: bool) -> AttackedArtifact:
        photos, goal = self.photos.pixels, self.photos.goal
        artifact = AttackedArtifact(cell, batched_logits(classifier.logits, photos))
        if self.gradient_model is not None and artifact.comes_from(self.gradient_model.sha256):
            artifact.model_signs += self.white_box.signs
        if probed and artifact.correct_clean(goal).any():
            artifact.model_signs += probe(
                classifier.logits, photos, goal.labels, seed=self.plan.seed, progress=self.progress
            )
        return artifact

    def _show(self, artifact: AttackedArtifact, classifier: Classifier, shown: Sequence[AttackedPhotos]) -> None:
        if not shown:
            return
        total = len(shown) * len(self.photos)
        with self.progress.step("Attacked photos", total, "photos") as step:
            for item in shown:
                setting = DIRECT if item.source_sha256 == artifact.cell.result.artifact_sha256 else TRANSFER
                logits = batched_logits(classifier.logits, item.shown(self.photos.pixels))
                artifact.attacked_logits.append(AttackedLogits(item, setting, logits))
                step.advance(len(self.photos), f"{item.attack} {item.threat}")

    def _attack_directly(self, artifact: AttackedArtifact, classifier: Classifier, attack: Attack) -> None:
        """Makes a black-box attack at each eps.

        An image within a small eps is also within each larger one, so photos already fooled are not attacked again.
        """
        photos = self.photos
        images, queries = photos.pixels.copy(), np.zeros(len(photos), np.intp)
        made_at, seconds = np.full(len(photos), np.inf), 0.0
        for threat in self.plan.threats:
            left = np.flatnonzero(np.isinf(made_at))
            if len(left):
                found = attack.run(
                    classifier.logits,
                    photos.pixels[left],
                    photos.goal.select(left),
                    threat=threat,
                    seed=self.plan.seed,
                    progress=self.progress,
                )
                fooled = left[found.success]
                images[fooled], made_at[fooled] = found.adversarial[found.success], threat.eps
                artifact.model_signs += check_scores(f"{attack.name} ({threat})", found.unjudged, len(photos))
                queries[left] += found.queries
                seconds += found.seconds
            item = AttackedPhotos(
                attack=attack.name,
                white_box=False,
                source=artifact.cell.name,
                source_sha256=artifact.cell.result.artifact_sha256,
                threat=threat,
                steps=attack.length,
                seed=self.plan.seed,
                images=images,
                made_at=np.where(made_at <= threat.eps, made_at, np.inf),
                queries=queries.copy(),
                seconds=seconds,
            )
            self.made.append(item)
            logits = batched_logits(classifier.logits, item.shown(photos.pixels))
            artifact.attacked_logits.append(AttackedLogits(item, DIRECT, logits))


def _choose_photos(workload: Workload, cells: Sequence[RobustnessCell], plan: AttackPlan) -> PhotoSet:
    """Chooses a balanced sample of the photos; in a targeted attack, without those of the target class."""
    target_class = workload.class_names.index(plan.attack_target) if plan.attack_target else None
    usable = [index for index, label in enumerate(workload.labels) if label != target_class]
    labels = [workload.labels[index] for index in usable]
    indices = choose_balanced(usable, labels, plan.attack_images, plan.seed)
    paths = [workload.photos[index] for index in indices]
    sidecar = cells[0].sidecar
    chosen = np.array([workload.labels[index] for index in indices], np.intp)
    return PhotoSet(
        pixels=np.concatenate(list(batches(paths, sidecar.input_size, sidecar.resize, BATCH_SIZE))),
        goal=Goal(chosen, None if target_class is None else np.full(len(chosen), target_class, np.intp)),
        class_names=workload.class_names,
        sources=tuple(str(path) for path in paths),
    )


def _find_keras(results: Mapping[Cell, CellResult], model: Artifact | None) -> RobustnessCell | None:
    """Returns the Keras model's own cell, if it was both measured and attacked."""
    for cell, result in results.items():
        artifact = cell.model.artifact
        if model is not None and artifact is not None and result.artifact_sha256 == model.sha256:
            return RobustnessCell(cell, result, artifact.sidecar)
    return None

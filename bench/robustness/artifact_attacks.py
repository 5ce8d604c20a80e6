"""What attacks leave of each artifact: shown what was made on the Keras model, and attacked itself by its answers.

Two roads lead to an artifact: **transfer**, images made by the gradients of the Keras model that it comes from, or of
a surrogate; and **direct**, images made on the artifact itself, through the runtime that ships, without gradients.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tledge.attacks.attack import Attack
from tledge.attacks.goal import Goal
from tledge.attacks.gradient_masking import MaskingSign
from tledge.attacks.model_probe import probe
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.param_names import DIRECT, TRANSFER
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Workload
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.attack_set import AttackedPhotos, AttackSet, PhotoSet
from tledge.bench.robustness.robustness_cells import BATCH_SIZE, RobustnessCell, find_robustness_cells
from tledge.bench.robustness.white_box import WhiteBox, attack_keras
from tledge.core.artifact import Artifact, read_artifact
from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import OptionError, TledgeError
from tledge.core.extras import keras_backend, require
from tledge.core.image_batches import batches
from tledge.core.progress import Progress
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.tensor import Logits


@dataclass(frozen=True, eq=False)
class AttackedLogits:
    """An artifact's answers to attacked photos.

    Attributes:
        attacked: the photos.
        road: "transfer", or "direct" where they were made on this very file.
        logits: float32 (N, classes).
    """

    attacked: AttackedPhotos
    road: str
    logits: Logits


@dataclass(eq=False)
class AttackedArtifact:
    """An artifact and what became of it.

    Attributes:
        who: it.
        clean: float32 (N, classes), its answers to the originals.
        answered: its answers to what attacks made of them.
        seen: signs of hidden gradients that it or the Keras model showed.
        complete: all that was asked for was done to it.
    """

    who: RobustnessCell
    clean: Logits
    answered: list[AttackedLogits] = field(default_factory=list)
    seen: list[MaskingSign] = field(default_factory=list)
    complete: bool = False

    def is_made_from(self, source_sha256: str) -> bool:
        """Whether it is that model, or was exported from it."""
        return source_sha256 in (self.who.result.artifact_sha256, self.who.sidecar.source_sha256)


@dataclass(frozen=True, eq=False)
class AttackResults:
    """What was done.

    Attributes:
        attack_set: the photos; None where nothing was attacked.
        victims: in the order in which they were measured.
        skipped: the artifacts that could not answer, and why.
        interrupted: a person stopped it.
    """

    attack_set: AttackSet | None = None
    victims: tuple[AttackedArtifact, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True)
class AttackInputs:
    """What a plan finds in a subject.

    Attributes:
        plan: what was asked for.
        gradients: the Keras model that attacks with gradients are made on; None where there are none of these.
        attack_set: the one to show; None where attacks are made.
    """

    plan: AttackPlan
    gradients: Artifact | None = None
    attack_set: AttackSet | None = None


def find_attack_inputs(plan: AttackPlan, subject: Workload) -> AttackInputs:
    """Checks that a plan can be carried out, before anything is measured.

    Raises:
        OptionError: no photos, no such class, artifacts of several input sizes, no Keras model for attacks with
            gradients, a surrogate or an attack set for other photos or classes.
        DataError: an attack set that cannot be read.
        MissingExtraError: Keras is needed and not installed.
    """
    artifacts = [model.artifact for model in subject.models if model.artifact is not None and model.format != "keras"]
    if not artifacts:
        raise OptionError("there is no artifact with a sidecar to attack; export one, or describe it by 'tledge adopt'")
    if plan.attack_set:
        attack_set = AttackSet.load(Path(plan.attack_set))
        for artifact in artifacts:
            _check_set(attack_set, artifact, plan)
        return AttackInputs(plan, attack_set=attack_set)
    first = artifacts[0].sidecar
    for artifact in artifacts:
        if (artifact.sidecar.input_size, artifact.sidecar.resize) != (first.input_size, first.resize):
            raise OptionError(
                f"'{artifact.path}' takes photos of another size, or resized in another way, than"
                f" '{artifacts[0].path}': attack models of one size at a time"
            )
    if not subject.photos:
        raise OptionError("--attack needs photos whose class is known: name a folder of them with --data")
    if plan.attack_target and plan.attack_target not in subject.class_names:
        raise OptionError(
            f"--attack-target '{plan.attack_target}' is no class of this model: {', '.join(subject.class_names[:12])}"
        )
    for attack in plan.attacks:
        attack.check(len(subject.class_names), bool(plan.attack_target))
    return AttackInputs(plan, _find_gradients(plan, subject, artifacts) if plan.with_gradients else None)


def attack_artifacts(
    results: Mapping[Cell, CellResult], subject: Workload, targets: AttackInputs, progress: Progress
) -> AttackResults:
    """Shows attacked photos to every artifact, on the first of its targets that was measured.

    Args:
        results: the cells that were measured.
        subject: the photos.
        targets: what to attack with.
        progress: is told of it.
    """
    answerers = find_robustness_cells(results)
    bare = dict.fromkeys(cell.model.name for cell in results if cell.model.artifact is None)
    why = "nobody knows what its classes are: 'tledge adopt' writes a sidecar"
    attacked = _attack(results, answerers, subject, targets, progress) if answerers else AttackResults()
    return replace(attacked, skipped=(*(Skipped(name, "", why) for name in bare), *attacked.skipped))


def _attack(
    results: Mapping[Cell, CellResult],
    answerers: Sequence[RobustnessCell],
    subject: Workload,
    targets: AttackInputs,
    progress: Progress,
) -> AttackResults:
    if targets.attack_set is not None:
        return _AttackRun(targets.attack_set.photos, targets.plan, progress).run(answerers, targets.attack_set)
    white_box = WhiteBox()
    try:
        photos = _choose_photos(subject, answerers, targets.plan)
        if targets.gradients is not None:
            with tempfile.TemporaryDirectory(prefix="tledge-") as folder:
                white_box = attack_keras(targets.gradients, photos, targets.plan, Path(folder), progress)
    except KeyboardInterrupt:
        return AttackResults(interrupted=True)
    except (TledgeError, OSError) as error:  # all that was measured before is worth more than these attacks
        return AttackResults(skipped=(Skipped("attacks", "", str(error), failed=True),))
    siege = _AttackRun(photos, targets.plan, progress, white_box, targets.gradients)
    keras = _find_keras(results, targets.gradients)
    if keras is not None:
        siege.add_keras(keras)
    return siege.run(answerers, None)


class _AttackRun:
    """All artifacts, one after the other."""

    def __init__(
        self,
        photos: PhotoSet,
        plan: AttackPlan,
        progress: Progress,
        white_box: WhiteBox | None = None,
        gradients: Artifact | None = None,
    ) -> None:
        self._photos = photos
        self._plan = plan
        self._progress = progress
        self._white_box = white_box or WhiteBox()
        self._gradients = gradients
        self._made = [attacked for attacked, _ in self._white_box.attacked]
        self._victims: list[AttackedArtifact] = []

    def add_keras(self, who: RobustnessCell) -> None:
        """The Keras model itself, which was attacked by its own gradients."""
        clean = self._white_box.clean
        if clean is not None:
            answered = [AttackedLogits(attacked, DIRECT, logits) for attacked, logits in self._white_box.attacked]
            whole = not self._white_box.failure and not self._white_box.interrupted
            self._victims.append(AttackedArtifact(who, clean, answered, list(self._white_box.flags), complete=whole))

    def run(self, answerers: Sequence[RobustnessCell], frozen: AttackSet | None) -> AttackResults:
        """Shows what was made to each artifact, and attacks each; or shows a frozen set."""
        skipped, interrupted = [], self._white_box.interrupted
        if self._gradients is not None and self._white_box.failure:
            skipped.append(Skipped(self._gradients.name, "", self._white_box.failure, failed=True))
        shown = list(self._made if frozen is None else frozen.attacked)
        for number, who in enumerate(answerers):
            if interrupted:
                break
            self._progress.note("Attack", f"{who.name} on {who.cell.target} ({number + 1} of {len(answerers)})")
            try:
                with who.load() as classifier:
                    victim = self._begin(who, classifier, look_for_signs=frozen is None)
                    self._show(victim, classifier, shown)
                    self._victims.append(victim)
                    for attack in self._plan.with_answers:
                        self._attack(victim, classifier, attack)
                    victim.complete = not self._white_box.failure
            except TledgeError as error:
                skipped.append(Skipped(who.name, str(who.cell.target), str(error), failed=True))
            except KeyboardInterrupt:
                interrupted = True
        attack_set = AttackSet(self._photos, tuple(self._made)) if frozen is None else frozen
        return AttackResults(attack_set, tuple(self._victims), tuple(skipped), interrupted)

    def _begin(self, who: RobustnessCell, classifier: Classifier, *, look_for_signs: bool) -> AttackedArtifact:
        photos, labels = self._photos.pixels, self._photos.goal.labels
        victim = AttackedArtifact(who, _answer(classifier, photos))
        if self._gradients is not None and victim.is_made_from(self._gradients.sha256):
            victim.seen += self._white_box.flags
        if look_for_signs and (victim.clean.argmax(axis=1) == labels).any():
            victim.seen += probe(classifier.logits, photos, labels, seed=self._plan.seed, progress=self._progress)
        return victim

    def _show(self, victim: AttackedArtifact, classifier: Classifier, shown: Sequence[AttackedPhotos]) -> None:
        total = len(shown) * len(self._photos)
        with self._progress.step("Attacked photos", total, "photos") as step:
            for item in shown:
                road = DIRECT if item.source_sha256 == victim.who.result.artifact_sha256 else TRANSFER
                logits = _answer(classifier, item.shown(self._photos.pixels))
                victim.answered.append(AttackedLogits(item, road, logits))
                step.advance(len(self._photos), f"{item.attack} {item.threat}")

    def _attack(self, victim: AttackedArtifact, classifier: Classifier, attack: Attack) -> None:
        """An attack that needs answers alone, with each eps.

        What fools the artifact within a small eps does so within each larger one: such photos are left alone.
        """
        photos = self._photos
        images, queries = photos.pixels.copy(), np.zeros(len(photos), np.intp)
        made_at, seconds = np.full(len(photos), np.inf), 0.0
        for threat in self._plan.threats:
            left = np.flatnonzero(np.isinf(made_at))
            if len(left):
                found = attack.run(
                    classifier.logits,
                    photos.pixels[left],
                    photos.goal.select(left),
                    threat=threat,
                    seed=self._plan.seed,
                    progress=self._progress,
                )
                fooled = left[found.success]
                images[fooled], made_at[fooled] = found.adversarial[found.success], threat.eps
                queries[left] += found.queries
                seconds += found.seconds
            item = AttackedPhotos(
                attack=attack.name,
                white_box=False,
                source=victim.who.name,
                source_sha256=victim.who.result.artifact_sha256,
                threat=threat,
                steps=attack.length,
                seed=self._plan.seed,
                images=images,
                made_at=np.where(made_at <= threat.eps, made_at, np.inf),
                queries=queries.copy(),
                seconds=seconds,
            )
            self._made.append(item)
            logits = _answer(classifier, item.shown(photos.pixels))
            victim.answered.append(AttackedLogits(item, DIRECT, logits))


def _answer(classifier: Classifier, pixels: npt.NDArray[np.uint8]) -> Logits:
    parts = [classifier.logits(pixels[place : place + BATCH_SIZE]) for place in range(0, len(pixels), BATCH_SIZE)]
    return np.concatenate(parts)


def _choose_photos(subject: Workload, answerers: Sequence[RobustnessCell], plan: AttackPlan) -> PhotoSet:
    """Photos as many of each class as can be; of a targeted attack, those of other classes than the target."""
    target = subject.class_names.index(plan.attack_target) if plan.attack_target else None
    usable = [place for place, label in enumerate(subject.labels) if label != target]
    labels = [subject.labels[place] for place in usable]
    places = choose_balanced(usable, labels, plan.attack_images, plan.seed)
    paths = [subject.photos[place] for place in places]
    sidecar = answerers[0].sidecar
    chosen = np.array([subject.labels[place] for place in places], np.intp)
    return PhotoSet(
        pixels=np.concatenate(list(batches(paths, sidecar.input_size, sidecar.resize, BATCH_SIZE))),
        goal=Goal(chosen, None if target is None else np.full(len(chosen), target, np.intp)),
        class_names=subject.class_names,
        sources=tuple(str(path) for path in paths),
    )


def _find_gradients(plan: AttackPlan, subject: Workload, artifacts: Sequence[Artifact]) -> Artifact:
    """The Keras model to attack by its gradients."""
    remaining = ", ".join(attack.name for attack in plan.with_answers) or "square"
    purpose = f"attacking by gradients (--attack {remaining} does without)"
    require("keras", keras_backend(), extra="train", purpose=purpose)
    if plan.surrogate:
        surrogate = read_artifact(Path(plan.surrogate))
        if surrogate.format != "keras":
            raise OptionError(f"--surrogate '{plan.surrogate}' is no Keras model, and only these have gradients")
        _check_same_photos(surrogate, artifacts[0])
        return surrogate
    own = [model.artifact for model in subject.models if model.format == "keras" and model.artifact is not None]
    strangers: list[Artifact] = []
    for model in own:
        strangers = [artifact for artifact in artifacts if artifact.sidecar.source_sha256 != model.sha256]
        if not strangers:
            return model
    names = ", ".join(attack.name for attack in plan.with_gradients)
    why = f"'{strangers[0].path}' was made from another one" if strangers else "it is not here"
    raise OptionError(
        f"{names} needs the Keras model that all these artifacts were made from, and {why}: add its .keras file to the"
        f" files, name another model with --surrogate, or attack without gradients (--attack {remaining})"
    )


def _check_same_photos(surrogate: Artifact, artifact: Artifact) -> None:
    mine, other = surrogate.sidecar, artifact.sidecar
    if mine.class_names != other.class_names:
        raise OptionError(
            f"the surrogate '{surrogate.path}' tells apart {', '.join(mine.class_names[:5])}; '{artifact.name}'"
            f" {', '.join(other.class_names[:5])}: a surrogate must know the same classes in the same order"
        )
    if mine.input_size != other.input_size:
        raise OptionError(
            f"the surrogate '{surrogate.path}' takes photos of {mine.input_size[0]} x {mine.input_size[1]} px,"
            f" '{artifact.name}' of {other.input_size[0]} x {other.input_size[1]}: train one with"
            f" --image-size {other.input_size[0]}"
        )


def _check_set(attack_set: AttackSet, artifact: Artifact, plan: AttackPlan) -> None:
    photos, sidecar = attack_set.photos, artifact.sidecar
    if photos.class_names != sidecar.class_names:
        raise OptionError(
            f"the attack set '{plan.attack_set}' is of {', '.join(photos.class_names[:5])}; '{artifact.path}' tells"
            f" apart {', '.join(sidecar.class_names[:5])}"
        )
    height, width = photos.pixels.shape[1:3]
    if (height, width) != sidecar.input_size:
        raise OptionError(
            f"the attack set '{plan.attack_set}' is of {height} x {width} px, and '{artifact.path}' takes"
            f" {sidecar.input_size[0]} x {sidecar.input_size[1]}: what attacks change must not be resized"
        )


def _find_keras(results: Mapping[Cell, CellResult], model: Artifact | None) -> RobustnessCell | None:
    """The Keras model's own cell, where it was measured and attacked."""
    for cell, result in results.items():
        artifact = cell.model.artifact
        if model is not None and artifact is not None and result.artifact_sha256 == model.sha256:
            return RobustnessCell(cell, result, artifact.sidecar)
    return None

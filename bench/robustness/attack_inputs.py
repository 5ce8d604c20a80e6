"""The inputs that an attack plan needs, checked before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.bench.results.workload import Workload
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.attack_set import AttackSet
from tledge.core.artifact import Artifact, read_artifact
from tledge.core.errors import OptionError
from tledge.core.extras import keras_backend, require


@dataclass(frozen=True)
class AttackInputs:
    """A plan with the files that it needs.

    Attributes:
        gradient_model: the Keras model whose gradients white-box attacks follow; None where there are no such attacks.
        attack_set: the attacked photos to show; None where attacks are made.
    """

    plan: AttackPlan
    gradient_model: Artifact | None = None
    attack_set: AttackSet | None = None


def find_attack_inputs(plan: AttackPlan, workload: Workload) -> AttackInputs:
    """Checks that a plan can be carried out.

    Raises:
        OptionError: there are no photos, the target class is unknown, the artifacts differ in input size, white-box
            attacks have no Keras model, or a surrogate or an attack set does not fit the artifacts.
        DataError: the attack set cannot be read.
        MissingExtraError: Keras is needed and not installed.
    """
    artifacts = [model.artifact for model in workload.models if model.artifact is not None and model.format != "keras"]
    if not artifacts:
        raise OptionError("no artifact has a sidecar, which attacks need: export one, or add it with `tledge adopt`")
    if plan.attack_set:
        attack_set = AttackSet.load(Path(plan.attack_set))
        for artifact in artifacts:
            _check_set(attack_set, artifact, plan)
        return AttackInputs(plan, attack_set=attack_set)
    first = artifacts[0].sidecar
    for artifact in artifacts:
        if (artifact.sidecar.input_size, artifact.sidecar.resize) != (first.input_size, first.resize):
            raise OptionError(
                f"'{artifact.path}' and '{artifacts[0].path}' differ in input size or resize rule: attack models of"
                " one size at a time"
            )
    if not workload.photos:
        raise OptionError("`attack` needs photos of known classes: name a folder of them with `data`")
    if plan.attack_target and plan.attack_target not in workload.class_names:
        raise OptionError(
            f"`attack_target='{plan.attack_target}'` is not a class of this model; its classes:"
            f" {', '.join(workload.class_names[:12])}"
        )
    for attack in plan.attacks:
        attack.check(len(workload.class_names), bool(plan.attack_target))
    return AttackInputs(plan, _find_gradient_model(plan, workload, artifacts) if plan.white_box else None)


def _find_gradient_model(plan: AttackPlan, workload: Workload, artifacts: Sequence[Artifact]) -> Artifact:
    remaining = ",".join(attack.name for attack in plan.black_box) or "square"
    purpose = f"white-box attacks (`attack='{remaining}'` works without it)"
    require("keras", keras_backend(), extra="train", purpose=purpose)
    if plan.surrogate:
        surrogate = read_artifact(Path(plan.surrogate))
        if surrogate.format != "keras":
            raise OptionError(f"`surrogate='{plan.surrogate}'` is not a Keras model; only Keras models have gradients")
        _check_surrogate(surrogate, artifacts[0])
        return surrogate
    own = [model.artifact for model in workload.models if model.format == "keras" and model.artifact is not None]
    unrelated: list[Artifact] = []
    for model in own:
        unrelated = [artifact for artifact in artifacts if artifact.sidecar.source_sha256 != model.sha256]
        if not unrelated:
            return model
    names = ", ".join(attack.name for attack in plan.white_box)
    reason = f"'{unrelated[0].path}' was made from another one" if unrelated else "it was not found"
    raise OptionError(
        f"{names} needs the Keras model that all these artifacts were made from, but {reason}: add its .keras file to"
        f" the files, name another model with `surrogate`, or attack without gradients: `attack='{remaining}'`"
    )


def _check_surrogate(surrogate: Artifact, artifact: Artifact) -> None:
    surrogate_sidecar, sidecar = surrogate.sidecar, artifact.sidecar
    if surrogate_sidecar.class_names != sidecar.class_names:
        raise OptionError(
            f"the surrogate '{surrogate.path}' has the classes {', '.join(surrogate_sidecar.class_names[:5])};"
            f" '{artifact.name}' has {', '.join(sidecar.class_names[:5])}: they must be the same, in the same order"
        )
    if surrogate_sidecar.input_size != sidecar.input_size:
        (height, width), (own_height, own_width) = surrogate_sidecar.input_size, sidecar.input_size
        raise OptionError(
            f"the surrogate '{surrogate.path}' takes photos of {height} x {width} px, '{artifact.name}' of"
            f" {own_height} x {own_width} px: train a surrogate of that size, `train(image_size={own_height})`"
        )


def _check_set(attack_set: AttackSet, artifact: Artifact, plan: AttackPlan) -> None:
    photos, sidecar = attack_set.photos, artifact.sidecar
    if photos.class_names != sidecar.class_names:
        raise OptionError(
            f"the attack set '{plan.attack_set}' has the classes {', '.join(photos.class_names[:5])};"
            f" '{artifact.path}' has {', '.join(sidecar.class_names[:5])}"
        )
    height, width = photos.pixels.shape[1:3]
    if (height, width) != sidecar.input_size:
        raise OptionError(
            f"the attack set '{plan.attack_set}' has photos of {height} x {width} px, but '{artifact.path}' takes"
            f" {sidecar.input_size[0]} x {sidecar.input_size[1]} px: attacked photos must not be resized"
        )

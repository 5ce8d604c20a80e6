"""Attacks by the gradients of a Keras model, in a process of its own, since TensorFlow changes what runs beside it.

The process (``white_box_process``) is told its work by ``work.json`` in a folder, with ``photos.npy`` beside it, and
writes there what it made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tledge.attacks.gradient_masking import MaskingSign
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.attack_set import AttackedPhotos, PhotoSet
from tledge.core.artifact import Artifact
from tledge.core.progress import Progress
from tledge.core.relayed_progress import run_relayed
from tledge.core.worker import describe_end
from tledge.edge_runtime.tensor import Logits

WORK, PHOTOS, CLEAN, FLAGS = "work.json", "photos.npy", "clean.npz", "flags.json"


@dataclass(frozen=True, eq=False)
class WhiteBox:
    """What was made on a Keras model.

    Attributes:
        clean: float32 (N, classes), its answers to the originals; None where it was stopped before.
        attacked: by attack and eps, each with the model's answers to it, float32 (N, classes).
        flags: signs of hidden gradients.
        failure: why it ended before all was made; empty where it did not.
        interrupted: a person stopped it.
    """

    clean: Logits | None = None
    attacked: tuple[tuple[AttackedPhotos, Logits], ...] = ()
    flags: tuple[MaskingSign, ...] = ()
    failure: str = ""
    interrupted: bool = False


def attack_keras(model: Artifact, photos: PhotoSet, plan: AttackPlan, folder: Path, progress: Progress) -> WhiteBox:
    """Attacks photos by a model's gradients.

    Args:
        model: a Keras model file, of the photos' size and classes.
        photos: what is attacked.
        plan: by what; only its attacks with gradients are made.
        folder: an empty one, for what the processes tell each other.
        progress: is told of it.

    Returns:
        What was made, also where the process failed or a person stopped it half-way.
    """
    goal = photos.goal
    np.save(folder / PHOTOS, photos.pixels)
    work = {
        "model": str(model.path.resolve()),
        "labels": goal.labels.tolist(),
        "targets": None if goal.targets is None else goal.targets.tolist(),
        "plan": plan.to_dict(),
    }
    (folder / WORK).write_text(json.dumps(work), encoding="utf-8")
    failure, interrupted = "", False
    try:
        code, printed = run_relayed("tledge.bench.robustness.white_box_worker", folder, progress=progress)
        if code != 0:
            failure = f"the process that follows its gradients {describe_end(code, printed)}"
    except KeyboardInterrupt:
        interrupted = True
    clean = _load(folder / CLEAN)["logits"] if (folder / CLEAN).exists() else None
    flags = json.loads((folder / FLAGS).read_text(encoding="utf-8")) if (folder / FLAGS).exists() else []
    return WhiteBox(
        clean=clean,
        attacked=tuple(_read(model, plan, folder)),
        flags=tuple(MaskingSign(*pair) for pair in flags),
        failure=failure,
        interrupted=interrupted,
    )


def _read(model: Artifact, plan: AttackPlan, folder: Path) -> list[tuple[AttackedPhotos, Logits]]:
    found = []
    for attack in plan.with_gradients:
        for threat in plan.threats:
            path = folder / made_name(attack.name, threat.eps)
            if not path.exists():
                continue
            arrays = _load(path)
            attacked = AttackedPhotos(
                attack=attack.name,
                white_box=not plan.surrogate,
                source=model.name,
                source_sha256=model.sha256,
                threat=threat,
                steps=attack.length,
                seed=plan.seed,
                images=arrays["images"],
                made_at=np.full(len(arrays["images"]), threat.eps),
                queries=arrays["queries"],
                seconds=float(arrays["seconds"]),
            )
            found.append((attacked, arrays["logits"]))
    return found


def _load(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def made_name(attack: str, eps: float) -> str:
    """What the file of an attack with an eps is called."""
    return f"{attack}-{eps:g}.npz"

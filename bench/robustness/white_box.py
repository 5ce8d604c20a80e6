"""White-box attacks on a Keras model, in a process of their own: TensorFlow would slow down what runs beside it.

The request to the process (``white_box_worker``) names a folder. It holds ``photos.npy``, and the process writes there
each array as soon as it is finished, so that an interrupt loses only the attack that is running.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tledge.attacks.gradient_masking import MaskingSign
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.attacked_photos import AttackedPhotos, PhotoSet
from tledge.core.array_file import load_array, open_arrays
from tledge.core.artifact import Artifact
from tledge.core.bounded_json import parse_json
from tledge.core.errors import MeasurementError
from tledge.core.progress import Progress
from tledge.core.worker import python_module, run_worker
from tledge.edge_runtime.tensor import Logits

PHOTOS, CLEAN, SIGNS = "photos.npy", "clean.npy", "signs.json"


@dataclass(frozen=True, eq=False)
class WhiteBoxResults:
    """The results of white-box attacks on a Keras model.

    Attributes:
        clean: float32 (N, classes), its logits on the originals; None where it ended before they were computed.
        attacked: for each attack and eps, the photos and the model's logits on them, float32 (N, classes).
        signs: signs of gradient masking in the model.
        failure: why the attacks ended early; empty where they did not.
        interrupted: whether Ctrl-C ended them early.
    """

    clean: Logits | None = None
    attacked: tuple[tuple[AttackedPhotos, Logits], ...] = ()
    signs: tuple[MaskingSign, ...] = ()
    failure: str = ""
    interrupted: bool = False


def attack_keras(
    model: Artifact, photos: PhotoSet, plan: AttackPlan, folder: Path, progress: Progress
) -> WhiteBoxResults:
    """Makes a plan's white-box attacks with a Keras model of the photos' size and classes; the folder must be empty.

    Returns:
        All finished results, also where the process failed or Ctrl-C ended it early.
    """
    goal = photos.goal
    np.save(folder / PHOTOS, photos.pixels)
    request = {
        "folder": str(folder),
        "model": str(model.path.resolve()),
        "labels": goal.labels.tolist(),
        "target_classes": None if goal.target_classes is None else goal.target_classes.tolist(),
        "plan": plan.to_dict(),
    }
    failure, interrupted = "", False
    try:
        command = python_module("tledge.bench.robustness.white_box_worker")
        run_worker(command, request, name=f"the attack on {model.name}", progress=progress)
    except MeasurementError as error:
        failure = str(error)
    except KeyboardInterrupt:
        interrupted = True
    signs = parse_json((folder / SIGNS).read_bytes()) if (folder / SIGNS).exists() else []
    return WhiteBoxResults(
        clean=load_array(folder / CLEAN) if (folder / CLEAN).exists() else None,
        attacked=tuple(_read(model, plan, folder)),
        signs=tuple(MaskingSign(*pair) for pair in signs),
        failure=failure,
        interrupted=interrupted,
    )


def _read(model: Artifact, plan: AttackPlan, folder: Path) -> list[tuple[AttackedPhotos, Logits]]:
    found = []
    for attack in plan.white_box:
        for threat in plan.threats:
            path = folder / attacked_name(attack.name, threat.eps)
            if not path.exists():
                continue
            with open_arrays(path) as arrays:
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


def attacked_name(attack: str, eps: float) -> str:
    """Returns the name of the file of an attack at an eps."""
    return f"{attack}-{eps:g}.npz"

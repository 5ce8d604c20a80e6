"""The process that attacks photos with the gradients of a Keras model; see ``white_box``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tledge.attacks.goal import Goal, Indices
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.white_box import CLEAN, PHOTOS, SIGNS, attacked_name
from tledge.core import atomic
from tledge.core.array_file import load_array
from tledge.core.progress import Progress
from tledge.core.worker_child import serve


def _attack(request: Any, progress: Progress) -> None:
    import keras

    from tledge.attacks.loss_gradients import GradientModel
    from tledge.attacks.model_probe import probe

    folder, plan = Path(request["folder"]), AttackPlan.from_dict(request["plan"], "the request")
    pixels, target_classes = load_array(folder / PHOTOS), request["target_classes"]
    goal = Goal(_indices(request["labels"]), None if target_classes is None else _indices(target_classes))
    model = GradientModel(keras.saving.load_model(request["model"], compile=False))
    clean = model.logits(pixels)
    with atomic.replacing(folder / CLEAN) as temporary, temporary.open("wb") as file:
        np.save(file, clean)
    if (clean.argmax(axis=1) == goal.labels).any():
        signs = probe(model, pixels, goal.labels, seed=plan.seed, progress=progress)
        atomic.write_json(folder / SIGNS, [[sign.name, sign.sentence] for sign in signs])
    for attack in plan.white_box:
        for threat in plan.threats:
            found = attack.run(model, pixels, goal, threat=threat, seed=plan.seed, progress=progress)
            path = folder / attacked_name(attack.name, threat.eps)
            with atomic.replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(
                    file,
                    images=found.adversarial,
                    queries=found.queries,
                    seconds=np.float64(found.seconds),
                    logits=model.logits(found.adversarial),
                )


def _indices(values: list[int]) -> Indices:
    return np.array(values, np.intp)


if __name__ == "__main__":
    raise SystemExit(serve(_attack))

"""The process that attacks photos by the gradients of a Keras model; see ``white_box``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tledge.attacks.goal import Goal, Indices
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.white_box import CLEAN, FLAGS, PHOTOS, WORK, made_name
from tledge.core import atomic
from tledge.core.errors import TledgeError
from tledge.core.progress import Progress
from tledge.core.relayed_progress import RelayedProgress


def main() -> int:
    """Does the work that the folder of the argument tells."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a native library prints is no line
    try:
        _attack(Path(sys.argv[1]), RelayedProgress(lines))
    except TledgeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _attack(folder: Path, progress: Progress) -> None:
    import keras

    from tledge.attacks.loss_gradients import GradientModel
    from tledge.attacks.model_probe import probe

    work = json.loads((folder / WORK).read_text(encoding="utf-8"))
    plan, pixels = AttackPlan.from_dict(work["plan"], "the work"), np.load(folder / PHOTOS)
    goal = Goal(_indices(work["labels"]), None if work["targets"] is None else _indices(work["targets"]))
    model = GradientModel(keras.saving.load_model(work["model"], compile=False))
    clean = model.logits(pixels)
    _save(folder / CLEAN, logits=clean)
    if (clean.argmax(axis=1) == goal.labels).any():
        flags = probe(model, pixels, goal.labels, seed=plan.seed, progress=progress)
        atomic.write_json(folder / FLAGS, [[flag.name, flag.sentence] for flag in flags])
    for attack in plan.with_gradients:
        for threat in plan.threats:
            found = attack.run(model, pixels, goal, threat=threat, seed=plan.seed, progress=progress)
            _save(
                folder / made_name(attack.name, threat.eps),
                images=found.adversarial,
                queries=found.queries,
                seconds=np.float64(found.seconds),
                logits=model.logits(found.adversarial),
            )


def _indices(values: list[int]) -> Indices:
    return np.array(values, np.intp)


def _save(path: Path, **arrays: Any) -> None:
    """Writes an ``.npz`` wholly or not at all: the process may be ended at any time."""
    with atomic.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


if __name__ == "__main__":
    raise SystemExit(main())

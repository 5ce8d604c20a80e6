"""Our attacks against adversarial-robustness-toolbox's (ART), on the same model, photos, eps, and steps or queries.

    python benchmarks/attacks_reference.py [--run runs/latest] [--photos 200] [--eps 1] [--square-eps 4]

Photos go through both in portions, now through the one first and now through the other. Of each attack it prints the
robust accuracy that each side leaves (ours of 8-bit images; ART's of the images as it gives them, and as bytes), the
photos a second, and their ratio: as the attacks are run, where ours leave a photo alone once it is fooled, and with
every step made, which is the speed of the steps themselves. ART has the Keras model as a ``TensorFlowV2Classifier``
for gradients, and the artifact as a ``BlackBoxClassifierNeuralNetwork`` for Square. To be at most 0.01 above ART's
robust accuracy, at 2.5 times its photos a second for the gradient attacks; Square's own work, at most 0.10 of the time
that the artifact's inferences take.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from art.attacks.evasion import AutoProjectedGradientDescent, ProjectedGradientDescent, SquareAttack
from art.estimators.classification import BlackBoxClassifierNeuralNetwork, TensorFlowV2Classifier

from tledge.attacks.attack import Attack, Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.methods.apgd import Apgd
from tledge.attacks.methods.pgd import REACH, Pgd
from tledge.attacks.methods.square import Square
from tledge.attacks.threat_model import L2, LINF, ThreatModel
from tledge.core import images
from tledge.core.balanced_sample import choose_balanced
from tledge.core.images import Pixels
from tledge.core.run_directory import RunDirectory, find_run
from tledge.edge_runtime import Classifier

PORTION = 40
SEED = 0
NORMS = {LINF: np.inf, L2: 2}

EARLY, LATE, ART = "as run", "every step", "ART"

AT_MOST_ABOVE, AT_LEAST_RATIO, AT_MOST_OWN = 0.01, 2.5, 0.10

Attacked = tuple[Any, Any]
"""Which photos stayed right, as the images were given and as bytes."""


@dataclass
class Contest:
    """An attack of both sides.

    Attributes:
        name: of it.
        sides: each attacks some photos with their labels; ART's is the last.
        seconds: by side.
        right: by side, of each photo, whether it stayed right.
    """

    name: str
    sides: dict[str, Callable[[Pixels, Any], Attacked]]
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    right: dict[str, list[Attacked]] = field(default_factory=lambda: defaultdict(list))

    def run(self, photos: Pixels, labels: Any, turn: int) -> None:
        """One portion, by all sides."""
        for side in list(self.sides) if turn % 2 == 0 else reversed(self.sides):
            began = time.perf_counter()
            found = self.sides[side](photos, labels)
            self.seconds[side] += time.perf_counter() - began
            self.right[side].append(found)

    def robust(self, side: str, form: int) -> float:
        """Robust accuracy of images as given (0) or as bytes (1)."""
        return float(np.concatenate([part[form] for part in self.right[side]]).mean())

    def report(self, photos: int) -> None:
        """Prints a row of the table for each of our sides."""
        given, rounded = (self.robust(ART, form) for form in (0, 1))
        theirs = photos / self.seconds[ART]
        for side in self.sides:
            if side == ART:
                continue
            mine, speed = self.robust(side, 1), photos / self.seconds[side]
            held = mine <= given + AT_MOST_ABOVE and ("square" in self.name or speed / theirs >= AT_LEAST_RATIO)
            print(
                f"| {self.name}, {side} | {mine:.3f} | {given:.3f} | {rounded:.3f} | {speed:.2f} | {theirs:.2f} |"
                f" {speed / theirs:.2f} | {'yes' if held else 'no'} |",
                flush=True,
            )


class Timed:
    """A model's answers, and the seconds that it takes over them."""

    def __init__(self, answer: Callable[[Pixels], Any]) -> None:
        self._answer = answer
        self.seconds = 0.0
        self.images = 0

    def __call__(self, pixels: Pixels) -> Any:
        began = time.perf_counter()
        answers = self._answer(pixels)
        self.seconds += time.perf_counter() - began
        self.images += len(pixels)
        return answers


def our_side(attack: Attack, model: Any, threat: ThreatModel) -> Callable[[Pixels, Any], Attacked]:
    """Ours, whose images are bytes."""

    def attacked(photos: Pixels, labels: Any) -> Attacked:
        result = attack.run(model, photos, Goal(labels), threat=threat, seed=SEED)
        return ~result.success, ~result.success

    return attacked


def art_side(
    generate: Callable[..., Any], answer: Callable[[Any], Any], threat: ThreatModel
) -> Callable[[Pixels, Any], Attacked]:
    """ART's, whose images are floats."""

    def attacked(photos: Pixels, labels: Any) -> Attacked:
        given = generate(x=photos.astype(np.float32), y=np.eye(2, dtype=np.float32)[labels])
        return answer(given).argmax(axis=1) == labels, answer(threat.round(given, photos)).argmax(axis=1) == labels

    return attacked


def gradient_contests(model: GradientModel, told: argparse.Namespace) -> list[Contest]:
    """PGD and APGD, ours with early stopping and without."""
    estimator = TensorFlowV2Classifier(
        model=lambda pixels, training=False: model.model(pixels, training=training),
        nb_classes=model.classes,
        input_shape=model.model.input_shape[1:],
        loss_object=keras.losses.CategoricalCrossentropy(from_logits=True),
        clip_values=(0.0, 255.0),
    )
    contests = []
    for norm, eps in ((LINF, told.eps), (L2, told.l2_eps)):
        threat = ThreatModel(norm, eps)
        size = REACH * eps / told.steps
        shared = {
            "norm": NORMS[norm],
            "eps": eps,
            "max_iter": told.steps,
            "batch_size": told.art_batch,
            "verbose": False,
        }
        pgd = ProjectedGradientDescent(estimator, eps_step=size, num_random_init=1, **shared)
        apgd = AutoProjectedGradientDescent(estimator, eps_step=2 * eps, nb_random_init=1, **shared)
        ours: tuple[tuple[Pgd | Apgd, Any], ...] = ((Pgd(told.steps), pgd), (Apgd(told.steps), apgd))
        for attack, theirs in ours:
            sides = {
                EARLY: our_side(attack, model, threat),
                LATE: our_side(replace(attack, early_stop=False), model, threat),
                ART: art_side(theirs.generate, model.logits, threat),
            }
            contests.append(Contest(f"{attack.name}-{told.steps} {threat}", sides))
    return contests


def square_contest(classifier: Classifier, ours: Timed, told: argparse.Namespace) -> Contest:
    """Square against an artifact."""
    threat = ThreatModel(LINF, told.square_eps)

    def answer(pixels: Any) -> Any:
        return classifier.logits(np.rint(pixels).astype(np.uint8))

    estimator = BlackBoxClassifierNeuralNetwork(
        answer,
        input_shape=(*classifier.input_size, 3),
        nb_classes=len(classifier.class_names),
        channels_first=False,
        clip_values=(0, 255),
    )
    square = SquareAttack(
        estimator, norm=np.inf, max_iter=told.queries - 1, eps=told.square_eps, p_init=0.8, nb_restarts=1, verbose=False
    )
    name = f"square-{told.queries} {threat} on {told.artifact}"
    sides = {EARLY: our_side(Square(told.queries), ours, threat), ART: art_side(square.generate, answer, threat)}
    return Contest(name, sides)


def load_photos(run: RunDirectory, count: int) -> tuple[Pixels, Any]:
    """Photos of the test split, as many of each class as can be, and their labels."""
    splits, manifest = run.splits(), run.manifest()
    chosen = choose_balanced(range(len(splits.test)), [sample.label for sample in splits.test], count, SEED)
    samples = tuple(splits.test[index] for index in chosen)
    pixels = [images.load_pixels(path, manifest.input_size, manifest.resize) for path in splits.paths(samples)]
    return np.stack(pixels), np.array([sample.label for sample in samples])


def main() -> None:
    """Runs both sides and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--eps", type=float, default=1.0)
    parser.add_argument("--l2-eps", type=float, default=128.0)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--artifact", default="int8.tflite")
    parser.add_argument("--square-eps", type=float, default=4.0)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--art-batch", type=int, default=32, help="ART's default is 32")
    parser.add_argument("--only", default="", help="contests whose name holds this")
    told = parser.parse_args()
    run = find_run(told.run)
    photos, labels = load_photos(run, told.photos)
    model = GradientModel(keras.saving.load_model(run.model, compile=False))
    classifier = Classifier(run.artifacts / told.artifact)
    timed = Timed(classifier.logits)
    contests = [*gradient_contests(model, told), square_contest(classifier, timed, told)]
    contests = [contest for contest in contests if told.only in contest.name]
    for goal in (Goal(labels[:2]), Goal(labels[:2], 1 - labels[:2])):
        model.gradients(photos[:2], goal)  # traces, as ART's first call does
    print(f"{len(photos)} photos, {int((model.logits(photos).argmax(axis=1) == labels).sum())} of them right")
    for turn, begin in enumerate(range(0, len(photos), PORTION)):
        for contest in contests:
            contest.run(photos[begin : begin + PORTION], labels[begin : begin + PORTION], turn)
    print("| attack | robust, ours | ART's | ART's as bytes | photos/s, ours | ART's | ratio | held |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    for contest in contests:
        contest.report(len(photos))
    for contest in contests:
        if contest.name.startswith("square"):
            own = (contest.seconds[EARLY] - timed.seconds) / timed.seconds
            print(
                f"square's own work: {own:.1%} of the {timed.seconds:.1f} s that the artifact took over"
                f" {timed.images:,} images (at most {AT_MOST_OWN:.0%}: {'yes' if own <= AT_MOST_OWN else 'no'})"
            )


if __name__ == "__main__":
    main()

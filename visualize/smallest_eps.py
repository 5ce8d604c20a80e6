"""The smallest L-infinity eps at which a targeted attack works, photo by photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tledge.attacks.goal import Goal, Indices
from tledge.attacks.loss_gradients import GradientModel, Gradients
from tledge.attacks.losses import CROSS_ENTROPY
from tledge.attacks.methods.pgd import Pgd
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Floats, Pixels
from tledge.core.progress import Progress
from tledge.edge_runtime.tensor import softmax

MOST_PHOTOS = 64


@dataclass(frozen=True)
class SmallestEps:
    """The result for one photo.

    Attributes:
        eps: smallest successful eps, in 1/255; None if none succeeded.
        image: uint8 (height, width, 3), the attacked photo at that eps, or at the largest eps tried.
        scores: softmax scores of the target at that eps, for the photo and after each step.
        by_eps: scores of the target for the attacked image at eps 0, 1, 2, … up to that eps.
    """

    eps: int | None
    image: Pixels
    scores: tuple[float, ...]
    by_eps: tuple[float, ...]


class _RecordingModel(GradientModel):
    """A model that keeps the logits of each gradient call in ``recorded``."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.recorded: list[Floats] = []

    def gradients(self, images: Pixels | Floats, goal: Goal, loss: str = CROSS_ENTROPY) -> Gradients:
        found = super().gradients(images, goal, loss)
        self.recorded.append(found.logits)
        return found


def smallest_eps(
    model: Any,
    photos: Pixels,
    labels: Indices,
    targets: Indices,
    *,
    largest: int,
    steps: int,
    seed: int,
    progress: Progress,
) -> list[SmallestEps]:
    """Attacks photos by PGD at eps 1, 2, 3, … until each is classified as its target.

    The attack continues after success: an image with a higher target score transfers better to other models.

    Args:
        model: ``keras.Model`` from pixel values 0 to 255, (N, height, width, 3), to logits.
        photos: uint8 (N, height, width, 3), at most 64, attacked as one batch.
        labels, targets: (N,), the class that the model predicts for each photo, and its target class.
        largest: largest eps to try, in 1/255.
        steps: attack steps at each eps.
        seed: seed of the random starts.
        progress: reports each query.

    Raises:
        OptionError: a target is the photo's predicted class, or there are too many photos.
    """
    attack = Pgd(steps=steps, early_stop=False)
    if not 1 <= len(photos) <= MOST_PHOTOS:
        raise OptionError(f"between 1 and {MOST_PHOTOS} photos can be attacked at a time; received {len(photos)}")
    recording = _RecordingModel(model)
    count = len(photos)
    every_index = np.arange(count)
    before = softmax(recording.logits(photos))[every_index, targets]
    by_eps = [[float(score)] for score in before]
    images, found_at = photos.copy(), np.zeros(count, np.intp)
    scores: list[tuple[float, ...]] = [() for _ in photos]
    todo = every_index
    for eps in range(1, largest + 1):
        recording.recorded.clear()
        goal = Goal(labels[todo], targets[todo])
        result = attack.run(
            recording, photos[todo], goal, threat=ThreatModel("linf", eps), seed=seed, progress=progress
        )
        after = softmax(recording.logits(result.adversarial))
        steps_taken = np.stack([softmax(logits) for logits in recording.recorded], axis=1)
        for row, photo in enumerate(todo):
            target = targets[photo]
            images[photo] = result.adversarial[row]
            by_eps[photo].append(float(after[row, target]))
            scores[photo] = (by_eps[photo][0], *map(float, steps_taken[row, :, target]), float(after[row, target]))
        found_at[todo[result.success]] = eps
        todo = todo[~result.success]
        if not len(todo):
            break
    return [
        SmallestEps(int(eps) or None, image, step_scores, tuple(eps_scores))
        for eps, image, step_scores, eps_scores in zip(found_at, images, scores, by_eps, strict=True)
    ]

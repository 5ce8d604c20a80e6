"""The smallest L-infinity eps at which a targeted attack works, photo by photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.attacks.attack import Goal
from tledge.attacks.loss_gradients import Floats, GradientModel, Gradients
from tledge.attacks.losses import CROSS_ENTROPY
from tledge.attacks.methods.pgd import Pgd
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.edge_runtime.classifier import softmax

LARGEST_EPS = 255
MOST_PHOTOS = 64


@dataclass(frozen=True)
class SmallestEps:
    """What became of one photo.

    Attributes:
        eps: the smallest that worked, in 1/255; None where none did.
        image: uint8 (height, width, 3), that which reached the target at that eps, or came nearest at the largest.
        scores: the target's softmax score of the photo and of the image after each step, at that eps.
        by_eps: the target's score of the attacked image at 0, 1, 2, … up to that eps.
    """

    eps: int | None
    image: Pixels
    scores: tuple[float, ...]
    by_eps: tuple[float, ...]


class _Watched(GradientModel):
    """A model that remembers what it answered where it was asked for a gradient: ``answers``, call by call."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.answers: list[Floats] = []

    def gradients(self, images: Pixels | Floats, goal: Goal, loss: str = CROSS_ENTROPY) -> Gradients:
        found = super().gradients(images, goal, loss)
        self.answers.append(found.logits)
        return found


def smallest_eps(
    model: Any,
    photos: Pixels,
    labels: npt.NDArray[np.intp],
    targets: npt.NDArray[np.intp],
    *,
    largest: int,
    steps: int,
    seed: int,
    progress: Progress,
) -> list[SmallestEps]:
    """Attacks photos by PGD at eps 1, 2, 3, … until each is taken for its target.

    The attack goes on after it succeeded: the image that went the farthest is the one that fools other models, too.

    Args:
        model: ``keras.Model`` from pixel values 0 to 255, (N, height, width, 3), to logits.
        photos: uint8 (N, height, width, 3), 64 at most: all are attacked at a time.
        labels: (N,), what the model takes them for.
        targets: (N,), what they are to be taken for.
        largest: eps that is tried, in 1/255.
        steps: of the attack, at each eps.
        seed: of its random starts.
        progress: is told of each query.

    Raises:
        OptionError: a target is the photo's present class, or an option that an attack cannot take.
    """
    if not 1 <= largest <= LARGEST_EPS:
        raise OptionError(f"--max-eps must be between 1 and {LARGEST_EPS}, in 1/255; received {largest}")
    attack = Pgd(steps=steps, early_stop=False)
    if not 1 <= len(photos) <= MOST_PHOTOS:
        raise OptionError(f"from 1 to {MOST_PHOTOS} photos are attacked at a time; received {len(photos)}")
    watched = _Watched(model)
    count = len(photos)
    everyone = np.arange(count)
    before = softmax(watched.logits(photos))[everyone, targets]
    by_eps = [[float(score)] for score in before]
    images, found_at = photos.copy(), np.zeros(count, np.intp)
    scores: list[tuple[float, ...]] = [() for _ in photos]
    todo = everyone
    for eps in range(1, largest + 1):
        watched.answers.clear()
        goal = Goal(labels[todo], targets[todo])
        result = attack.run(watched, photos[todo], goal, threat=ThreatModel("linf", eps), seed=seed, progress=progress)
        after = softmax(watched.logits(result.adversarial))
        way = np.stack([softmax(logits) for logits in watched.answers], axis=1)
        for place, photo in enumerate(todo):
            target = targets[photo]
            images[photo] = result.adversarial[place]
            by_eps[photo].append(float(after[place, target]))
            scores[photo] = (by_eps[photo][0], *map(float, way[place, :, target]), float(after[place, target]))
        found_at[todo[result.success]] = eps
        todo = todo[~result.success]
        if not len(todo):
            break
    return [
        SmallestEps(int(eps) or None, image, way, tuple(along))
        for eps, image, way, along in zip(found_at, images, scores, by_eps, strict=True)
    ]

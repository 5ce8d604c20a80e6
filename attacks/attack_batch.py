"""What a method sees of its work: some photos, and a model that counts what it is shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tledge.attacks.goal import Goal, Indices
from tledge.attacks.loss_gradients import GradientModel, Gradients
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import ModelError
from tledge.core.images import Pixels
from tledge.core.progress import Step

Floats = npt.NDArray[np.float32]
Logits = Callable[[Pixels], Floats]
"""How an artifact or a model answers: uint8 (n, height, width, 3) -> float32 (n, classes)."""

SHOWN_AT_ONCE = 64
"""Photos in one call of an artifact."""


class QueryCounter:
    """A model under attack; every photo that it is shown is counted.

    Args:
        model: what is attacked.
        photos: how many there are in all.

    Attributes:
        queries: (photos,), how often each was shown.
        step: is told of each photo shown.
    """

    def __init__(self, model: Logits | GradientModel, photos: int) -> None:
        self._model = model
        self.queries: npt.NDArray[np.int_] = np.zeros(photos, np.int_)
        self.step = Step()

    def logits(self, pixels: Pixels, photos: Indices) -> Floats:
        """Answers to images of these photos: float32 (n, classes). Raises ModelError if they are not finite."""
        parts = [
            np.asarray(self._model(pixels[begin : begin + SHOWN_AT_ONCE]), np.float32)
            for begin in range(0, len(pixels), SHOWN_AT_ONCE)
        ]
        self._count(photos)
        return _check_finite(np.concatenate(parts))

    def gradients(self, pixels: Pixels, photos: Indices, goal: Goal, loss: str) -> Gradients:
        """One gradient for each image, which counts as one query."""
        if not isinstance(self._model, GradientModel):
            raise TypeError("gradients were asked for of a model that has none")
        found = self._model.gradients(pixels, goal, loss)
        self._count(photos)
        _check_finite(found.logits)
        return found

    def _count(self, photos: Indices) -> None:
        self.queries[photos] += 1
        self.step.advance(len(photos))


class AttackBatch:
    """Photos that a method works on at a time; ``places`` below are indices into them.

    Attributes:
        originals: uint8 (n, height, width, 3).
        goal: of each.
        threat: what may be changed.
    """

    def __init__(
        self, model: QueryCounter, originals: Pixels, goal: Goal, *, photos: Indices, threat: ThreatModel, seed: int
    ) -> None:
        self._model = model
        self._photos = photos
        self._seed = seed
        self.originals = originals
        self.goal = goal
        self.threat = threat
        self._pixels = originals.copy()
        self._margins = np.full(len(originals), np.inf, np.float32)
        self._reached = np.zeros(len(originals), np.bool_)

    def __len__(self) -> int:
        return len(self.originals)

    @property
    def all(self) -> Indices:
        """The places of all photos."""
        return np.arange(len(self))

    @property
    def best(self) -> Pixels:
        """The image of each photo that came nearest to the goal, or went the farthest beyond it."""
        return self._pixels

    def rng(self, place: int, use: int = 0) -> np.random.Generator:
        """Random numbers that depend on the seed, the photo and the use alone, not on how photos are grouped."""
        return np.random.default_rng((self._seed, int(self._photos[place]), use))

    def draw_starts(self, places: Indices, use: int) -> Floats:
        """Random images within the ball: float32 (n, height, width, 3)."""
        originals = self.originals[places]
        drawn = [self.threat.draw(image, self.rng(place, use)) for image, place in zip(originals, places, strict=True)]
        return self.project(np.stack(drawn), places)

    def project(self, pixels: Floats, places: Indices) -> Floats:
        """The nearest images within the ball."""
        return self.threat.project(pixels, self.originals[places])

    def round(self, pixels: Floats, places: Indices) -> Pixels:
        """The images of 8 bits that these stand for."""
        return self.threat.round(pixels, self.originals[places])

    def logits(self, pixels: Pixels, places: Indices) -> Floats:
        """The model's answers to images of these photos, which are kept where they are the best so far."""
        answers = self._model.logits(pixels, self._photos[places])
        self._keep(pixels, places, answers)
        return answers

    def gradients(self, pixels: Pixels, places: Indices, loss: str) -> Gradients:
        """Gradients at images of these photos, which are kept where they are the best so far."""
        found = self._model.gradients(pixels, self._photos[places], self.goal.select(places), loss)
        self._keep(pixels, places, found.logits)
        return found

    def missed(self, places: Indices) -> npt.NDArray[np.bool_]:
        """Of which of these photos no image has reached the goal yet: (n,)."""
        return ~self._reached[places]

    def _keep(self, pixels: Pixels, places: Indices, answers: Floats) -> None:
        goal = self.goal.select(places)
        reached, margins = goal.reached(answers), goal.margins(answers)
        better = (margins < self._margins[places]) | (reached & ~self._reached[places])
        better &= reached | ~self._reached[places]  # a margin of 0 may be either, by the order of the classes
        self._reached[places] |= reached
        self._pixels[places[better]] = pixels[better]
        self._margins[places[better]] = margins[better]


def _check_finite(logits: Floats) -> Floats:
    if not np.isfinite(logits).all():
        raise ModelError("the attacked model answered with numbers that are not finite; its file may be broken")
    return logits

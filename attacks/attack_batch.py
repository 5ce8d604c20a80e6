"""The photos that an attack method works on, and a model that counts its queries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tledge.attacks.goal import Goal, Indices
from tledge.attacks.loss_gradients import GradientModel, Gradients
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import ModelError
from tledge.core.images import Floats, Pixels
from tledge.core.progress import Step
from tledge.edge_runtime.batched_logits import LogitsFn, batched_logits
from tledge.edge_runtime.tensor import Logits

BATCH_SIZE = 64
"""Images per call of a model without gradients."""


class QueryCounter:
    """A model under attack that counts each image shown to it.

    Args:
        model: the attacked model.
        photos: number of photos.

    Attributes:
        queries: int (photos,), the images of each photo that were shown.
        step: advances by one for each image, for the first ``most`` of each photo.
    """

    def __init__(self, model: LogitsFn | GradientModel, photos: int) -> None:
        self._model = model
        self.queries: npt.NDArray[np.int_] = np.zeros(photos, np.int_)
        self.step, self.most = Step(), 0

    def logits(self, pixels: Pixels, photos: Indices) -> Logits:
        """Returns the logits of one image of each given photo: float32 (n, classes). Raises ModelError."""
        logits = batched_logits(self._model, pixels, batch_size=BATCH_SIZE)
        self._count(photos)
        return _check_finite(logits)

    def gradients(self, pixels: Pixels, photos: Indices, goal: Goal, loss: str) -> Gradients:
        """Returns the gradient at one image of each given photo; each counts as one query."""
        if not isinstance(self._model, GradientModel):
            raise TypeError("this model has no gradients")
        gradients = self._model.gradients(pixels, goal, loss)
        self._count(photos)
        _check_finite(gradients.logits)
        return gradients

    def _count(self, photos: Indices) -> None:
        self.queries[photos] += 1
        self.step.advance(int((self.queries[photos] <= self.most).sum()))


class AttackBatch:
    """The photos that a method attacks at the same time; methods take ``indices`` into them.

    Attributes:
        originals: uint8 (n, height, width, 3).
        goal: the goal of each photo.
        threat: the allowed changes.
        best: the image of each photo that came nearest to the goal, or went farthest beyond it.
        ties: int (n,), queries whose scores were too flat to judge the image by; a method counts them.
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
        self.best = originals.copy()
        self.ties: npt.NDArray[np.int_] = np.zeros(len(originals), np.int_)
        self._margins = np.full(len(originals), np.inf, np.float32)
        self._reached = np.zeros(len(originals), np.bool_)

    def __len__(self) -> int:
        return len(self.originals)

    @property
    def all(self) -> Indices:
        """The indices of all photos."""
        return np.arange(len(self))

    def rng(self, index: int, stream: int = 0) -> np.random.Generator:
        """Returns random numbers that depend only on the seed, the photo and the stream, not on the batch."""
        return np.random.default_rng((self._seed, int(self._photos[index]), stream))

    def draw_starts(self, indices: Indices, stream: int) -> Floats:
        """Draws random images in the ball: float32 (n, height, width, 3)."""
        originals = self.originals[indices]
        drawn = [
            self.threat.draw(image, self.rng(index, stream)) for image, index in zip(originals, indices, strict=True)
        ]
        return self.project(np.stack(drawn), indices)

    def project(self, pixels: Floats, indices: Indices) -> Floats:
        """Returns the nearest images in the ball."""
        return self.threat.project(pixels, self.originals[indices])

    def round(self, pixels: Floats, indices: Indices) -> Pixels:
        """Returns the 8-bit images in the ball that stand for these."""
        return self.threat.round(pixels, self.originals[indices])

    def logits(self, pixels: Pixels, indices: Indices) -> Logits:
        """Returns the logits of one image of each photo, and keeps the images that are the best so far."""
        logits = self._model.logits(pixels, self._photos[indices])
        self._keep(pixels, indices, logits)
        return logits

    def gradients(self, pixels: Pixels, indices: Indices, loss: str) -> Gradients:
        """Returns the gradient at one image of each photo, and keeps the images that are the best so far."""
        gradients = self._model.gradients(pixels, self._photos[indices], self.goal.select(indices), loss)
        self._keep(pixels, indices, gradients.logits)
        return gradients

    def unreached(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """Returns whether no image of these photos has reached the goal yet: bool (n,)."""
        return ~self._reached[indices]

    def _keep(self, pixels: Pixels, indices: Indices, logits: Logits) -> None:
        goal = self.goal.select(indices)
        reached, margins = goal.reached(logits), goal.margins(logits)
        better = (margins < self._margins[indices]) | (reached & ~self._reached[indices])
        better &= reached | ~self._reached[indices]  # a margin of 0 can be either, depending on the order of classes
        self._reached[indices] |= reached
        self.best[indices[better]] = pixels[better]
        self._margins[indices[better]] = margins[better]


def _check_finite(logits: Logits) -> Logits:
    if not np.isfinite(logits).all():
        raise ModelError("the attacked model returned logits that are not finite; its file may be broken")
    return logits

"""What all attacks share: checks, groups of photos, counting, and the verdict on 8-bit images.

No attack marks its own homework: a method returns images, and the base class puts them into the ball, rounds them, and
shows them to the model once more.
"""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tledge.attacks.attack_batch import AttackBatch, Logits, QueryCounter
from tledge.attacks.goal import Goal, Indices
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.threat_model import NORMS, ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Pixels
from tledge.core.progress import Progress, Step
from tledge.core.registry import Registry

__all__ = ["ATTACKS", "Attack", "AttackResult", "Goal", "Logits"]

GROUP_VALUES = 2**26
"""Pixel values of the photos that are worked on at a time; a method keeps a few float32 arrays of so many."""


@dataclass(frozen=True)
class AttackResult:
    """What became of N photos.

    Attributes:
        adversarial: uint8 (N, height, width, 3), within the ball; the original where nothing came nearer to the goal.
        success: bool (N,), whether the attacked model's answer to that image is what was wanted.
        clean: bool (N,), whether its answer to the original was so, without an attack.
        queries: int (N,), how often the model was shown an image of that photo, with or without a gradient; the
            original and the verdict are counted.
        seconds: of the whole attack.
    """

    adversarial: Pixels
    success: npt.NDArray[np.bool_]
    clean: npt.NDArray[np.bool_]
    queries: npt.NDArray[np.int_]
    seconds: float

    @property
    def robust_accuracy(self) -> float:
        """The share of photos on which the attack failed."""
        return float(1 - self.success.mean())


class Attack(ABC):
    """A way to search for adversarial images; subclasses are frozen dataclasses of its parameters.

    Attributes:
        needs_gradients: whether it attacks a ``GradientModel``; else anything that answers with logits.
        norms: those of ``threat_model.NORMS`` that it can search in.
        targeted: whether it can aim at a class.
        reference: the paper.
    """

    needs_gradients: ClassVar[bool]
    norms: ClassVar[tuple[str, ...]] = NORMS
    targeted: ClassVar[bool] = True
    reference: ClassVar[str]

    @property
    def name(self) -> str:
        """The name of its module."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def parameters(self) -> Mapping[str, int | float | str | bool | None]:
        """What it was set to, for the record."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    @property
    def length(self) -> int:
        """Steps of each restart, or queries: what papers quote beside its name."""
        return int(self.parameters.get("steps") or self.budget)

    @property
    @abstractmethod
    def budget(self) -> int:
        """The most images of one photo that :meth:`search` shows to the model."""

    @abstractmethod
    def search(self, search: AttackBatch) -> Pixels:
        """Looks for an adversarial image of each photo: uint8 (n, height, width, 3)."""

    def check(self, classes: int, targeted: bool) -> None:
        """Raises OptionError where a model of so many classes cannot be attacked so; subclasses may ask for more."""
        if targeted and not self.targeted:
            raise OptionError(f"{self.name} cannot aim at a class; leave the targets out")

    def run(
        self,
        model: GradientModel | Logits,
        images: Pixels,
        goal: Goal,
        *,
        threat: ThreatModel,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> AttackResult:
        """Attacks photos.

        Those whose original already gets the wanted answer count as successes and stay as they are.

        Args:
            model: a ``GradientModel`` where the attack needs gradients; else also any function from uint8
                (n, height, width, 3) to float32 logits (n, classes), such as ``edge_runtime.Classifier.logits``.
            images: uint8 (N, height, width, 3), RGB, of the model's input size.
            goal: what shall become of each.
            threat: what may be changed.
            seed: 0 or more; the same seed finds the same images.
            progress: is told of each query.

        Raises:
            OptionError: images, goal, norm, model or seed that the attack cannot take.
            UnknownNameError: a parameter that names nothing.
            ModelError: the model's answers are not finite.
        """
        began = time.perf_counter()
        self._check_options(model, images, goal, threat, seed)
        counted = QueryCounter(model, len(images))
        everyone = np.arange(len(images))
        before = counted.logits(images, everyone)
        goal.check_classes(before.shape[1])
        self.check(before.shape[1], goal.targeted)
        clean = goal.reached(before)
        adversarial, success = images.copy(), clean.copy()
        todo = np.flatnonzero(~clean)
        label = f"{self.name} {threat}"
        with (progress or Progress()).step(label, len(todo) * (self.budget + 1), "queries") as step:
            counted.step = step
            for photos in _groups(todo, images[0].size):
                shown = int(counted.queries[photos].sum())
                originals, aim = images[photos], goal.select(photos)
                found = self.search(AttackBatch(counted, originals, aim, photos=photos, threat=threat, seed=seed))
                found = threat.round(found, originals)
                after = counted.logits(found, photos)
                success[photos] = aim.reached(after)
                nearer = success[photos] | (aim.margins(after) < aim.margins(before[photos]))
                adversarial[photos[nearer]] = found[nearer]
                shown = int(counted.queries[photos].sum()) - shown
                _advance(step, len(photos) * (self.budget + 1) - shown, f"{success.mean():.1%} reached the goal")
        return AttackResult(adversarial, success, clean, counted.queries, time.perf_counter() - began)

    def _check_options(
        self, model: GradientModel | Logits, images: Pixels, goal: Goal, threat: ThreatModel, seed: int
    ) -> None:
        if self.needs_gradients and not isinstance(model, GradientModel):
            others = [name for name in ATTACKS.names() if not ATTACKS.load(name).needs_gradients]
            raise OptionError(
                f"{self.name} needs the gradients of a Keras model, and this one only answers; without gradients there"
                f" is {', '.join(others)}"
            )
        shape, dtype = np.shape(images), np.asarray(images).dtype
        if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise OptionError(
                f"photos to attack must be uint8 (N, height, width, 3), N at least 1; received {dtype} {shape}"
            )
        if len(goal) != len(images):
            raise OptionError(f"received {len(goal)} labels for {len(images)} photos; give one each")
        if threat.norm not in self.norms:
            raise OptionError(
                f"{self.name} does not search in the norm {threat.norm}; it does in {', '.join(self.norms)}"
            )
        if seed < 0:
            raise OptionError(f"seed must be 0 or more; received {seed}")


ATTACKS = Registry[Attack](package="tledge.attacks.methods", kind="attack", attribute="ATTACK", base=Attack)
"""Each module of ``attacks/methods``, with an attack of the parameters that are usual."""


def _groups(photos: Indices, values: int) -> Iterator[Indices]:
    """Cuts photos of so many pixel values each into groups that fit into memory."""
    size = max(1, GROUP_VALUES // values)
    for begin in range(0, len(photos), size):
        yield photos[begin : begin + size]


def _advance(step: Step, count: int, detail: str) -> None:
    """Queries that need not be made any more."""
    if count > 0:
        step.advance(count, detail)


def check_at_least(least: float, **values: float) -> None:
    """Raises OptionError for a parameter that is too small."""
    for name, value in values.items():
        if not value >= least:
            raise OptionError(f"{name} must be {least:g} or more; received {value:g}")

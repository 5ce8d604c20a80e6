"""The base class of all attacks: input checks, batches, query counts and the verdict on 8-bit images.

A method only searches. The base class projects its images into the ball, rounds them, and classifies them once more.
"""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tledge.attacks.attack_batch import AttackBatch, QueryCounter
from tledge.attacks.goal import Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.threat_model import NORMS, ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.core.registry import Registry
from tledge.edge_runtime.batched_logits import LogitsFn

__all__ = ["ATTACKS", "Attack", "AttackResult", "Goal"]

GROUP_VALUES = 2**26
"""Pixel values of the photos in one batch; a method keeps a few float32 arrays of that size."""


@dataclass(frozen=True)
class AttackResult:
    """The outcome of an attack on N photos.

    Attributes:
        adversarial: uint8 (N, height, width, 3), in the ball; the original where no image came nearer to the goal.
        success: bool (N,), whether the model's prediction for that image reaches the goal.
        clean_success: bool (N,), whether its prediction for the original already reaches the goal.
        queries: int (N,), the images of each photo shown to the model, with or without a gradient, including the
            original and the final image.
        ties: int (N,), the queries of each photo whose scores were too flat to judge the image by.
        seconds: duration of the whole attack.
    """

    adversarial: Pixels
    success: npt.NDArray[np.bool_]
    clean_success: npt.NDArray[np.bool_]
    queries: npt.NDArray[np.int_]
    ties: npt.NDArray[np.int_]
    seconds: float

    @property
    def robust_accuracy(self) -> float:
        """The fraction of photos on which the attack failed."""
        return float(1 - self.success.mean())

    @property
    def unjudged(self) -> int:
        """The photos on which the attack failed because most of its queries got scores that were too flat."""
        return int((~self.success & (2 * self.ties > self.queries)).sum())


class Attack(ABC):
    """An attack method; subclasses are frozen dataclasses of its parameters.

    Attributes:
        needs_gradients: whether it needs a ``GradientModel``; if not, it attacks any function that returns logits.
        norms: the norms of ``threat_model.NORMS`` that it supports.
        targeted: whether it can aim at a class.
        reference: the paper.
        version: raised when the same parameters find other images, so that results of both are not compared.
    """

    needs_gradients: ClassVar[bool]
    norms: ClassVar[tuple[str, ...]] = NORMS
    targeted: ClassVar[bool] = True
    reference: ClassVar[str]
    version: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """The name of its module."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def parameters(self) -> Mapping[str, int | float | str | bool | None]:
        """Its parameters, for the record."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    @property
    def length(self) -> int:
        """Steps of each restart, or queries: the number that papers quote."""
        return int(self.parameters.get("steps") or self.budget)

    @property
    @abstractmethod
    def budget(self) -> int:
        """The most images of one photo that :meth:`search` shows to the model, unless their scores tell nothing."""

    @abstractmethod
    def search(self, batch: AttackBatch) -> Pixels:
        """Searches for an adversarial image of each photo: uint8 (n, height, width, 3)."""

    def check(self, classes: int, targeted: bool) -> None:
        """Raises OptionError if the attack cannot be run on a model with that many classes; subclasses add to it."""
        if targeted and not self.targeted:
            raise OptionError(f"{self.name} cannot aim at a class; leave out the target classes")

    def run(
        self,
        model: GradientModel | LogitsFn,
        images: Pixels,
        goal: Goal,
        *,
        threat: ThreatModel,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> AttackResult:
        """Attacks photos. Those that already reach the goal count as successes and stay unchanged.

        Args:
            model: a ``GradientModel``; for attacks without gradients also any function from uint8
                (n, height, width, 3) to float32 logits (n, classes), such as ``edge_runtime.Classifier.logits``.
            images: uint8 (N, height, width, 3), RGB, of the model's input size.
            goal: the goal of each photo.
            threat: the allowed changes.
            seed: 0 or more; the same seed finds the same images.
            progress: shows the queries.

        Raises:
            OptionError: the attack does not support the images, goal, norm, model or seed.
            UnknownNameError: a parameter has an unknown name.
            ModelError: the model's logits are not finite.
        """
        started = time.perf_counter()
        self._check_options(model, images, goal, threat, seed)
        counter = QueryCounter(model, len(images))
        before = counter.logits(images, np.arange(len(images)))
        goal.check_classes(before.shape[1])
        self.check(before.shape[1], goal.targeted)
        clean_success = goal.reached(before)
        adversarial, success, ties = images.copy(), clean_success.copy(), np.zeros(len(images), np.int_)
        attacked = np.flatnonzero(~clean_success)
        label = f"{self.name} {threat}"
        with (progress or Progress()).step(label, len(attacked) * (self.budget + 1), "queries") as step:
            counter.step, counter.most = step, self.budget + 2  # with the first and the last query
            size = max(1, GROUP_VALUES // images[0].size)
            for photos in (attacked[begin : begin + size] for begin in range(0, len(attacked), size)):
                originals, group_goal = images[photos], goal.select(photos)
                batch = AttackBatch(counter, originals, group_goal, photos=photos, threat=threat, seed=seed)
                found = threat.round(self.search(batch), originals)
                after, ties[photos] = counter.logits(found, photos), batch.ties
                success[photos] = group_goal.reached(after)
                nearer = success[photos] | (group_goal.margins(after) < group_goal.margins(before[photos]))
                adversarial[photos[nearer]] = found[nearer]
                unused = counter.most - np.minimum(counter.queries[photos], counter.most)  # counts as done
                step.advance(int(unused.sum()), f"{success.mean():.1%} success")
        return AttackResult(adversarial, success, clean_success, counter.queries, ties, time.perf_counter() - started)

    def _check_options(
        self, model: GradientModel | LogitsFn, images: Pixels, goal: Goal, threat: ThreatModel, seed: int
    ) -> None:
        if self.needs_gradients and not isinstance(model, GradientModel):
            others = [name for name in ATTACKS.names() if not ATTACKS.load(name).needs_gradients]
            raise OptionError(
                f"{self.name} needs the gradients of a Keras model; attacks that need only logits: {', '.join(others)}"
            )
        shape, dtype = np.shape(images), np.asarray(images).dtype
        if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise OptionError(
                f"photos to attack must be uint8 (N, height, width, 3), N at least 1; received {dtype} {shape}"
            )
        if len(goal) != len(images):
            raise OptionError(f"received {len(goal)} labels for {len(images)} photos; give one each")
        if threat.norm not in self.norms:
            raise OptionError(f"{self.name} supports the norms {', '.join(self.norms)}; received {threat.norm}")
        if seed < 0:
            raise OptionError(f"seed must be 0 or more; received {seed}")


ATTACKS = Registry[Attack](package="tledge.attacks.methods", kind="attack", attribute="ATTACK", base=Attack)
"""The modules of ``attacks/methods``, each with an attack in its usual setting."""


def check_at_least(least: float, **values: float) -> None:
    """Raises OptionError for a parameter that is too small."""
    for name, value in values.items():
        if not value >= least:
            raise OptionError(f"{name} must be {least:g} or more; received {value:g}")

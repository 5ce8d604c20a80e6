"""The attacks of a benchmark, checked before anything is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from tledge.attacks.attack import ATTACKS, Attack
from tledge.attacks.threat_model import LINF, ThreatModel
from tledge.core.errors import OptionError
from tledge.core.records import Record

DEFAULT_EPS = (1.0, 2.0, 4.0, 8.0)
DEFAULT_IMAGES = 100
DEFAULT_QUERIES = 200
"""Queries of a black-box attack on each photo; it is repeated on every artifact."""


class AttackOptions(TypedDict, total=False):
    """The attack parameters of ``bench()``, under the same names; see :class:`AttackPlan`."""

    attack: str | Sequence[str]
    eps: Sequence[float]
    norm: str
    attack_images: int
    attack_steps: int | None
    attack_queries: int | None
    attack_target: str
    surrogate: str | Path
    attack_set: str | Path


@dataclass(frozen=True, kw_only=True)
class AttackPlan(Record):
    """Attacks with their parameters and threat models.

    Attributes:
        attack: names of attacks; empty with ``attack_set``.
        eps: radii of the balls, in pixel values, smallest first.
        norm: the norm of the balls.
        attack_images: number of photos to attack.
        attack_steps: steps of a white-box attack; None for its default.
        attack_queries: queries of a black-box attack; None for its default.
        attack_target: name of the target class; empty for any wrong class.
        surrogate: a Keras model file whose gradients are used instead of those of the artifacts' own model.
        attack_set: a folder of attacked photos to show instead of attacking.
        seed: seed of all random numbers.

    Raises:
        UnknownNameError: an attack or the norm is unknown.
        OptionError: no attack supports a value, or values contradict one another.
    """

    attack: tuple[str, ...] = ()
    eps: tuple[float, ...] = DEFAULT_EPS
    norm: str = LINF
    attack_images: int = DEFAULT_IMAGES
    attack_steps: int | None = None
    attack_queries: int | None = None
    attack_target: str = ""
    surrogate: str = ""
    attack_set: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.attack_images < 1:
            raise OptionError(f"`attack_images` must be 1 or more; received {self.attack_images}")
        if not self.eps:
            raise OptionError("`eps` needs at least one number, such as 1,2,4,8")
        for threat in self.threats:
            for attack in self.attacks:
                if threat.norm not in attack.norms:
                    raise OptionError(f"{attack.name} does not support the norm {threat.norm}")
        for attack in self.attacks:
            if self.attack_target and not attack.targeted:
                raise OptionError(f"{attack.name} cannot aim at a class; leave out `attack_target`")
        for option, value, parameter in (
            ("attack_steps", self.attack_steps, "steps"),
            ("attack_queries", self.attack_queries, "queries"),
        ):
            supporting = [name for name in ATTACKS.names() if parameter in ATTACKS.load(name).parameters]
            if value is not None and not set(supporting) & set(self.attack):
                raise OptionError(
                    f"`{option}={value}` is for {' and '.join(supporting)}; name one of them with `attack`"
                )
        if self.surrogate and not self.white_box:
            names = [name for name in ATTACKS.names() if ATTACKS.load(name).needs_gradients]
            raise OptionError(
                f"`surrogate` is for attacks with gradients: {', '.join(names)}; name one of them with `attack`"
            )

    @property
    def threats(self) -> tuple[ThreatModel, ...]:
        """The threat models, the smallest first."""
        return tuple(ThreatModel(self.norm, eps) for eps in self.eps)

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """The attacks with their parameters.

        White-box attacks make all their steps: an image that only just fools the model would not transfer.
        """
        return tuple(self._load(name) for name in self.attack)

    @property
    def white_box(self) -> tuple[Attack, ...]:
        """The attacks that need gradients; they are made on a Keras model."""
        return tuple(attack for attack in self.attacks if attack.needs_gradients)

    @property
    def black_box(self) -> tuple[Attack, ...]:
        """The attacks that need only logits; they are made on each artifact."""
        return tuple(attack for attack in self.attacks if not attack.needs_gradients)

    def options(self) -> AttackOptions:
        """Returns the parameters of ``bench()`` that give the same plan."""
        if self.attack_set:
            return {"attack_set": self.attack_set}
        given: Any = self.to_dict()
        del given["seed"], given["attack_set"]
        options: AttackOptions = {name: value for name, value in given.items() if value not in ("", None)}  # type: ignore[assignment]
        return options

    def _load(self, name: str) -> Attack:
        attack: Any = ATTACKS.load(name)
        fields = {field.name for field in dataclasses.fields(attack)}
        wanted = {
            "steps": self.attack_steps,
            "queries": DEFAULT_QUERIES if self.attack_queries is None else self.attack_queries,
            "early_stop": False,
        }
        known = {name: value for name, value in wanted.items() if name in fields and value is not None}
        loaded: Attack = dataclasses.replace(attack, **known)
        return loaded


def plan_attacks(options: AttackOptions) -> AttackPlan | None:
    """Returns the plan that options describe; None if they name no attack.

    Raises:
        UnknownNameError: an attack or the norm is unknown.
        OptionError: no attack supports a value, or values contradict one another.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "attack_set" in given:
        others = [f"`{name}`" for name in given if name != "attack_set"]
        if others:
            raise OptionError(f"`attack_set` shows existing attacks; leave out: {', '.join(others)}")
        return AttackPlan(attack_set=str(Path(given["attack_set"]).resolve()))
    if "attack" not in given:
        if given:
            raise OptionError(
                f"`{next(iter(given))}` belongs to an attack; name one with `attack`: {', '.join(ATTACKS.names())}"
            )
        return None
    if given.get("norm", LINF) != LINF and "eps" not in given:
        raise OptionError(
            f"`norm='{given['norm']}'` needs `eps`: the length of the whole change in pixel values, such as 128,256"
        )
    if given.get("attack_target") == "":
        raise OptionError("`attack_target` needs the name of a class")
    names = given["attack"]
    given["attack"] = tuple(dict.fromkeys([names] if isinstance(names, str) else names))
    if "eps" in given:
        given["eps"] = tuple(sorted({float(eps) for eps in given["eps"]}))
    if "surrogate" in given:
        given["surrogate"] = str(Path(given["surrogate"]).resolve())
    return AttackPlan(**given)

"""What a benchmark is asked to attack with, checked before anything is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict

from tledge.attacks.attack import ATTACKS, Attack
from tledge.attacks.threat_model import LINF, ThreatModel
from tledge.core.errors import OptionError

DEFAULT_EPS = (1.0, 2.0, 4.0, 8.0)
DEFAULT_IMAGES = 100
DEFAULT_QUERIES = 200
"""Of an attack without gradients, on each photo: every artifact has to answer them all."""


class AttackOptions(TypedDict, total=False):
    """The command line's options, by the same names; see :class:`AttackPlan`."""

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
class AttackPlan:
    """Attacks and what they may do.

    Attributes:
        attack: names of attacks; none with ``attack_set``.
        eps: the largest changes, in pixel values, smallest first.
        norm: that they are measured in.
        attack_images: how many photos are attacked.
        attack_steps: of an attack with gradients; its usual number without.
        attack_queries: of an attack without gradients.
        attack_target: the class that photos of the others are to be taken for; any wrong one without it.
        surrogate: a Keras model file whose gradients are taken instead of those of the artifacts' own.
        attack_set: a folder of attacked photos that are shown instead of making any.
        seed: of all that is random.

    Raises:
        UnknownNameError: no such attack or norm.
        OptionError: values that no attack can take, or that contradict one another.
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
            raise OptionError(f"--attack-images must be 1 or more; received {self.attack_images}")
        if not self.eps:
            raise OptionError("--eps needs at least one number, as in 1,2,4,8")
        for threat in self.threats:
            for attack in self.attacks:
                if threat.norm not in attack.norms:
                    raise OptionError(f"{attack.name} does not search in the norm {threat.norm}")
        for attack in self.attacks:
            if self.attack_target and not attack.targeted:
                raise OptionError(f"{attack.name} cannot aim at a class; leave --attack-target out")
        for option, value, name in (
            ("--attack-steps", self.attack_steps, "steps"),
            ("--attack-queries", self.attack_queries, "queries"),
        ):
            takers = [each for each in ATTACKS.names() if name in ATTACKS.load(each).parameters]
            if value is not None and not set(takers) & set(self.attack):
                raise OptionError(f"{option} {value} is for {' and '.join(takers)}; name one of them with --attack")
        if self.surrogate and not any(attack.needs_gradients for attack in self.attacks):
            names = [name for name in ATTACKS.names() if ATTACKS.load(name).needs_gradients]
            raise OptionError(f"--surrogate is for attacks with gradients: {', '.join(names)}; name one with --attack")

    @property
    def threats(self) -> tuple[ThreatModel, ...]:
        """What may be changed, the least first."""
        return tuple(ThreatModel(self.norm, eps) for eps in self.eps)

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """The attacks with their parameters.

        Those with gradients make all their steps: an image that only just fools the model would not fool its artifacts.
        """
        return tuple(self._load(name) for name in self.attack)

    @property
    def with_gradients(self) -> tuple[Attack, ...]:
        """Those that are made on a Keras model."""
        return tuple(attack for attack in self.attacks if attack.needs_gradients)

    @property
    def with_answers(self) -> tuple[Attack, ...]:
        """Those that are made on each artifact."""
        return tuple(attack for attack in self.attacks if not attack.needs_gradients)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Reads what ``to_dict`` made of it."""
        return cls(**{**fields, "attack": tuple(fields["attack"]), "eps": tuple(fields["eps"])})

    def options(self) -> AttackOptions:
        """What to ask for to get the same plan."""
        if self.attack_set:
            return {"attack_set": self.attack_set}
        asked: Any = {**self.to_dict()}
        del asked["seed"], asked["attack_set"]
        found: AttackOptions = {name: value for name, value in asked.items() if value not in ("", None)}  # type: ignore[assignment]
        return found

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
    """The plan that options ask for; None where they ask for no attack.

    Raises:
        UnknownNameError: no such attack or norm.
        OptionError: values that no attack can take, or that contradict one another.
    """
    asked: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "attack_set" in asked:
        others = [f"--{name.replace('_', '-')}" for name in asked if name != "attack_set"]
        if others:
            raise OptionError(f"--attack-set shows attacks that were made earlier; leave out: {', '.join(others)}")
        return AttackPlan(attack_set=str(Path(asked["attack_set"]).resolve()))
    if "attack" not in asked:
        if asked:
            name = next(iter(asked)).replace("_", "-")
            raise OptionError(f"--{name} belongs to an attack; name one with --attack: {', '.join(ATTACKS.names())}")
        return None
    if asked.get("norm", LINF) != LINF and "eps" not in asked:
        raise OptionError(
            f"--norm {asked['norm']} needs --eps: the length of the whole change in pixel values, as in --eps 128,256"
        )
    if asked.get("attack_target") == "":
        raise OptionError("--attack-target needs the name of a class")
    names = asked["attack"]
    asked["attack"] = tuple(dict.fromkeys([names] if isinstance(names, str) else names))
    if "eps" in asked:
        asked["eps"] = tuple(sorted({float(eps) for eps in asked["eps"]}))
    if "surrogate" in asked:
        asked["surrogate"] = str(Path(asked["surrogate"]).resolve())
    return AttackPlan(**asked)

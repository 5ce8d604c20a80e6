"""The attacks of a benchmark, checked before anything is measured."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.attacks.attack import ATTACKS, Attack
from tledge.attacks.threat_model import LINF, ThreatModel
from tledge.bench.results.bench_options import DEFAULT_EPS, DEFAULT_IMAGES, DEFAULT_QUERIES, AttackOptions
from tledge.core.errors import MeasurementError, OptionError
from tledge.core.options import as_tuple, check_options, given_options, option_names
from tledge.core.records import Record


@dataclass(frozen=True, kw_only=True)
class AttackPlan(AttackOptions, Record, error=MeasurementError, remedy="run the benchmark again"):
    """Attacks and what they may do: the attack options with every default filled in.

    Attributes:
        attack: names of attacks; none with ``attack_set``.
        eps: the largest changes, in pixel values, smallest first.
        attack_target: the class that photos of the others are attacked to become; any wrong one if empty.
        surrogate: a Keras model file whose gradients are used instead of those of the run's model; none if empty.
        attack_set: a folder of attacked photos to reuse; none if empty.
        seed: of everything random.

    Raises:
        UnknownNameError: an attack or the norm is unknown.
        OptionError: no attack supports a value, or values contradict one another.
    """

    attack: tuple[str, ...] = ()
    eps: tuple[float, ...] = DEFAULT_EPS
    norm: str = LINF
    attack_images: int = DEFAULT_IMAGES
    attack_target: str = ""
    surrogate: str = ""
    attack_set: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        check_options(self)
        if self.attack_images < 1:
            raise OptionError(f"`attack_images` must be 1 or more; received {self.attack_images}")
        if not self.eps:
            raise OptionError("`eps` needs at least one number, as in `eps=(1, 2, 4, 8)`")
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
        """Returns the options that make the same plan."""
        if self.attack_set:
            return AttackOptions(attack_set=self.attack_set)
        given = {name: getattr(self, name) for name in option_names(AttackOptions)}
        return AttackOptions(**{name: value for name, value in given.items() if value != ""})

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
    given = given_options(options, AttackOptions)
    if "attack_set" in given:
        if others := [f"`{name}`" for name in given if name != "attack_set"]:
            raise OptionError(f"`attack_set` reuses attacks that were made earlier; leave out {', '.join(others)}")
        return AttackPlan(attack_set=str(Path(given["attack_set"]).resolve()))
    if "attack" not in given:
        if given:
            name = next(iter(given))
            raise OptionError(f"`{name}` configures an attack; name one with `attack`: {', '.join(ATTACKS.names())}")
        return None
    if given.get("norm", LINF) != LINF and "eps" not in given:
        raise OptionError(
            f"`norm='{given['norm']}'` needs `eps`: the length of the whole change in pixel values, as in"
            " `eps=(128, 256)`"
        )
    if given.get("attack_target") == "":
        raise OptionError("`attack_target` needs the name of a class")
    given["attack"] = tuple(dict.fromkeys(as_tuple(given["attack"])))
    if "eps" in given:
        given["eps"] = tuple(sorted({float(eps) for eps in given["eps"]}))
    if "surrogate" in given:
        given["surrogate"] = str(Path(given["surrogate"]).resolve())
    return AttackPlan(**given)

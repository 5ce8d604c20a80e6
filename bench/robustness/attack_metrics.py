"""From answers to attacked photos to measurements: robust accuracy, success rates, what quantization did to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.attacks.goal import Goal
from tledge.attacks.gradient_masking import QUANTIZATION, TOLERANCE, AttackSummary, MaskingSign, find_masking_signs
from tledge.bench.results.metrics import measurement_of, rate_of
from tledge.bench.results.param_names import CLEAN, DIRECT, TRANSFER, WORST
from tledge.bench.robustness.artifact_attacks import AttackedArtifact, AttackedLogits, AttackResults
from tledge.bench.robustness.attack_set import PhotoSet
from tledge.bench.robustness.robustness_cells import SCENARIO, RobustnessCell, find_float32
from tledge.core.measurement import Measurement
from tledge.core.significance import SIGNIFICANT, mcnemar

Hits = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class JudgedAttack:
    """What attacks left.

    Attributes:
        measurements: rows of ``results.jsonl``.
        flags: signs that an attack was fooled, by artifact.
    """

    measurements: tuple[Measurement, ...] = ()
    flags: tuple[tuple[str, tuple[MaskingSign, ...]], ...] = ()


def judge_attack(attacked: AttackResults) -> JudgedAttack:
    """All measurements of what was attacked."""
    if attacked.attack_set is None:
        return JudgedAttack()
    photos, fingerprint = attacked.attack_set.photos, attacked.attack_set.fingerprint
    rows: list[Measurement] = []
    flags = {victim.who.name: _flags(victim, attacked.victims, photos.goal) for victim in attacked.victims}
    for victim in attacked.victims:
        names = tuple(flag.name for flag in flags[victim.who.name])
        writer = _Writer(victim, photos, fingerprint, names)
        rows += [row for item in victim.answered for row in writer.of(item)]
        rows += writer.clean()
        if victim.complete:
            rows += writer.worst()
    for victim in attacked.victims:
        rows += _against_float32(victim, attacked.victims, photos.goal)
    return JudgedAttack(tuple(rows), tuple((name, found) for name, found in flags.items() if found))


class _Writer:
    """The rows of one artifact."""

    def __init__(self, victim: AttackedArtifact, photos: PhotoSet, fingerprint: str, flags: tuple[str, ...]) -> None:
        self._victim = victim
        self._photos = photos
        self._flags = flags
        self._photos_were_made_elsewhere = bool(fingerprint)
        self._common: dict[str, Any] = {"attack_set": fingerprint} if fingerprint else {}
        targets = photos.goal.targets
        if targets is not None:
            self._common["target_class"] = photos.class_names[targets[0]]
        self._clean = victim.clean.argmax(axis=1) == photos.goal.labels

    def of(self, item: AttackedLogits) -> list[Measurement]:
        """Rows of one attack with one eps."""
        attacked, goal = item.attacked, self._photos.goal
        params = {
            "attack": attacked.attack,
            "road": item.road,
            "source": attacked.source,
            "norm": attacked.threat.norm,
            "eps": attacked.threat.eps,
            "steps": attacked.steps,
            "seed": attacked.seed,
            **self._common,
        }
        rows = [self._rate("robust_accuracy", _right(item, goal) & self._clean, params)]
        fooled = goal.reached(item.logits) & self._clean
        if self._clean.any():
            rows.append(self._rate("attack_success_rate", fooled[self._clean], params))
        if fooled.any():
            change = attacked.shown(self._photos.pixels)[fooled].astype(np.float64) - self._photos.pixels[fooled]
            distances = np.sqrt(np.square(change).sum(axis=(1, 2, 3)))
            rows.append(self._number("adversarial_distance", float(distances.mean()), len(distances), params))
        if self._clean.any() and not self._photos_were_made_elsewhere:
            asked = attacked.queries[self._clean]
            rows.append(self._number("attack_queries", float(asked.mean()), len(asked), params))
            rows.append(self._number("attack_time", attacked.seconds, len(asked), params))
        return rows

    def clean(self) -> list[Measurement]:
        """Accuracy on the same photos without an attack."""
        clean = {"attack": CLEAN, "road": CLEAN, "eps": 0.0, **self._common}
        return [
            self._rate("robust_accuracy", self._clean, {**clean, "norm": norm}, flags=())
            for norm in _norms(self._victim)
        ]

    def worst(self) -> list[Measurement]:
        """Robust accuracy of the worst of all attacks, photo by photo."""
        rows = []
        for norm in _norms(self._victim):
            params = {"norm": norm, **self._common}
            for eps, right in _worst(self._victim, self._photos.goal, norm):
                worst = {"attack": WORST, "road": "all", "eps": eps}
                rows.append(self._rate("robust_accuracy", right, {**worst, **params}))
        return rows

    def _rate(
        self, metric: str, hits: Hits, params: dict[str, Any], flags: tuple[str, ...] | None = None
    ) -> Measurement:
        who = self._victim.who
        flags = self._flags if flags is None else flags
        return rate_of(who.cell, who.result, metric=metric, scenario=SCENARIO, hits=hits, params=params, flags=flags)

    def _number(self, metric: str, value: float, n: int, params: dict[str, Any]) -> Measurement:
        who = self._victim.who
        return measurement_of(who.cell, who.result, metric=metric, scenario=SCENARIO, value=value, n=n, params=params)


def _right(item: AttackedLogits, goal: Goal) -> Hits:
    found: Hits = item.logits.argmax(axis=1) == goal.labels
    return found


def _norms(victim: AttackedArtifact) -> list[str]:
    return list(dict.fromkeys(item.attacked.threat.norm for item in victim.answered))


def _worst(victim: AttackedArtifact, goal: Goal, norm: str) -> list[tuple[float, Hits]]:
    """By eps, the photos that no attack within it, or within a smaller one, got wrong."""
    items = [item for item in victim.answered if item.attacked.threat.norm == norm]
    right = victim.clean.argmax(axis=1) == goal.labels
    found = []
    for eps in sorted({item.attacked.threat.eps for item in items}):
        for item in items:
            if item.attacked.threat.eps == eps:
                right = right & _right(item, goal)
        found.append((eps, right))
    return found


def _flags(victim: AttackedArtifact, others: Sequence[AttackedArtifact], goal: Goal) -> tuple[MaskingSign, ...]:
    outcomes = [
        AttackSummary(
            attack=_told(item, victim),
            white_box=item.attacked.white_box and victim.is_made_from(item.attacked.source_sha256),
            norm=item.attacked.threat.norm,
            eps=item.attacked.threat.eps,
            steps=item.attacked.steps,
            robust_accuracy=float(1 - goal.reached(item.logits).mean()),
            photos=len(goal),
        )
        for item in victim.answered
    ]
    return find_masking_signs(outcomes, (*victim.seen, *_hidden(victim, others, goal)))


def _told(item: AttackedLogits, victim: AttackedArtifact) -> str:
    """An attack's name; photos of a model that has nothing to do with the artifact are not compared with its own."""
    source = item.attacked
    return source.attack if victim.is_made_from(source.source_sha256) else f"{source.attack} from {source.source}"


def _hidden(victim: AttackedArtifact, others: Sequence[AttackedArtifact], goal: Goal) -> Iterable[MaskingSign]:
    """Whether direct attacks alone do worse than on the float32 artifact: McNemar's test, Bonferroni over all."""
    pairs = _direct_pairs(victim, others)
    for item, its in pairs:
        mine, theirs = _right(item, goal), _right(its, goal)
        only_mine, only_theirs = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
        if only_mine <= only_theirs or mcnemar(only_mine, only_theirs) >= SIGNIFICANT / len(pairs):
            continue
        shown = [
            each for each in victim.answered if (each.road, each.attacked.threat) == (TRANSFER, item.attacked.threat)
        ]
        transferred = np.logical_and.reduce([mine, *(_right(each, goal) for each in shown)])
        if transferred.mean() < mine.mean() - TOLERANCE:
            yield MaskingSign(
                QUANTIZATION,
                f"{item.attacked.attack} ({item.attacked.threat}) left {mine.mean():.1%}, of {its.attacked.source}"
                f" {theirs.mean():.1%}; with transferred photos {transferred.mean():.1%} are left",
            )


def _direct_pairs(
    victim: AttackedArtifact, others: Sequence[AttackedArtifact]
) -> list[tuple[AttackedLogits, AttackedLogits]]:
    """What was made on an artifact, beside the same that was made on the float32 one."""
    baseline = find_float32(victim.who, [other.who for other in others])
    if baseline is None or victim.who.cell.model.format == "keras":
        return []
    other = next(item for item in others if item.who is baseline)
    made = {_key(item): item for item in other.answered if item.road == DIRECT}
    return [(item, made[_key(item)]) for item in victim.answered if item.road == DIRECT and _key(item) in made]


def _against_float32(victim: AttackedArtifact, others: Sequence[AttackedArtifact], goal: Goal) -> Iterable[Measurement]:
    """Whether it holds out on other photos than the float32 artifact, by McNemar's test.

    Under the worst of all attacks, and under those that were made on each of the two itself. Where the two did not
    face the same attacks, nothing is tested.
    """
    baseline = find_float32(victim.who, [other.who for other in others])
    if baseline is None or victim.who.cell.model.format == "keras":
        return
    other = next(item for item in others if item.who is baseline)
    for norm in _norms(victim):
        if victim.complete and other.complete and _faced(victim, norm) == _faced(other, norm):
            theirs = dict(_worst(other, goal, norm))
            for eps, right in _worst(victim, goal, norm):
                params = {"attack": WORST, "road": "all", "norm": norm, "eps": eps}
                yield _tested(victim, baseline, right, theirs[eps], params)
    for item, its in _direct_pairs(victim, others):
        params = {"attack": item.attacked.attack, "road": DIRECT, "norm": item.attacked.threat.norm}
        params |= {"eps": item.attacked.threat.eps, "steps": item.attacked.steps}
        yield _tested(victim, baseline, _right(item, goal), _right(its, goal), params)


def _key(item: AttackedLogits) -> tuple[object, ...]:
    """What makes two attacks the same, whoever they were made on."""
    attacked = item.attacked
    return (attacked.attack, item.road, attacked.threat, attacked.steps, attacked.seed)


def _faced(victim: AttackedArtifact, norm: str) -> list[tuple[object, ...]]:
    keys = [_key(item) for item in victim.answered if item.attacked.threat.norm == norm]
    return sorted(keys, key=str)


def _tested(
    victim: AttackedArtifact, baseline: RobustnessCell, mine: Hits, theirs: Hits, params: dict[str, Any]
) -> Measurement:
    only_mine, only_theirs = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
    counts = {"only_this_right": only_mine, "only_baseline_right": only_theirs}
    return measurement_of(
        victim.who.cell,
        victim.who.result,
        metric="robust_mcnemar",
        scenario=SCENARIO,
        value=mcnemar(only_mine, only_theirs),
        n=len(mine),
        params={"against": baseline.name, **params, **counts},
    )

"""Measurements of attacks: robust accuracy, attack success rate, and how quantization changed them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tledge.attacks.goal import Goal
from tledge.attacks.gradient_masking import QUANTIZATION, TOLERANCE, AttackSummary, MaskingSign, find_masking_signs
from tledge.bench.results.metrics import Hits, discordant
from tledge.bench.results.rows import CLEAN, DIRECT, TRANSFER, WORST
from tledge.bench.robustness.attacked_artifact import AttackedArtifact, AttackedLogits, AttackResults
from tledge.bench.robustness.attacked_photos import PhotoSet
from tledge.bench.robustness.robustness_cells import find_float32
from tledge.core.measurement import Measurement
from tledge.core.significance import SIGNIFICANT, mcnemar


def measure_attacks(attacked: AttackResults) -> tuple[list[Measurement], dict[str, tuple[MaskingSign, ...]]]:
    """Returns all measurements of attacked artifacts, and the signs of gradient masking by artifact."""
    if attacked.attack_set is None:
        return [], {}
    photos, fingerprint = attacked.attack_set.photos, attacked.attack_set.fingerprint
    rows: list[Measurement] = []
    flags = {item.cell.name: _masking_signs(item, attacked.artifacts, photos.goal) for item in attacked.artifacts}
    for artifact in attacked.artifacts:
        names = tuple(sign.name for sign in flags[artifact.cell.name])
        metrics = _ArtifactMetrics(artifact, photos, fingerprint, names)
        rows += [row for item in artifact.attacked_logits for row in metrics.of_attack(item)]
        rows += metrics.clean()
        if artifact.complete:
            rows += metrics.worst()
    for artifact in attacked.artifacts:
        rows += _against_float32(artifact, attacked.artifacts, photos.goal)
    return rows, {name: signs for name, signs in flags.items() if signs}


class _ArtifactMetrics:
    """The measurements of one artifact."""

    def __init__(self, artifact: AttackedArtifact, photos: PhotoSet, fingerprint: str, flags: tuple[str, ...]) -> None:
        self._artifact = artifact
        self._photos = photos
        self._flags = flags
        self._from_attack_set = bool(fingerprint)
        self._common: dict[str, Any] = {"attack_set": fingerprint} if fingerprint else {}
        target_classes = photos.goal.target_classes
        if target_classes is not None:
            self._common["target_class"] = photos.class_names[target_classes[0]]
        self._clean = artifact.correct_clean(photos.goal)

    def of_attack(self, item: AttackedLogits) -> list[Measurement]:
        """Returns the rows of one attack at one eps."""
        cell, attacked, goal = self._artifact.cell, item.attacked, self._photos.goal
        params = {
            "attack": attacked.attack,
            "setting": item.setting,
            "source": attacked.source,
            "norm": attacked.threat.norm,
            "eps": attacked.threat.eps,
            "steps": attacked.steps,
            "seed": attacked.seed,
            **self._common,
        }
        rows = [cell.rate("robust_accuracy", item.correct(goal) & self._clean, params=params, flags=self._flags)]
        fooled = goal.reached(item.logits) & self._clean
        if self._clean.any():
            rows.append(cell.rate("attack_success_rate", fooled[self._clean], params=params, flags=self._flags))
        if fooled.any():
            change = attacked.shown(self._photos.pixels)[fooled].astype(np.float64) - self._photos.pixels[fooled]
            distances = np.sqrt(np.square(change).sum(axis=(1, 2, 3)))
            rows.append(cell.number("adversarial_distance", float(distances.mean()), n=len(distances), params=params))
        if self._clean.any() and not self._from_attack_set:
            queries = attacked.queries[self._clean]
            rows.append(cell.number("attack_queries", float(queries.mean()), n=len(queries), params=params))
            rows.append(cell.number("attack_time", attacked.seconds, n=len(queries), params=params))
        return rows

    def clean(self) -> list[Measurement]:
        """Returns the accuracy on the same photos without an attack."""
        params = {"attack": CLEAN, "setting": CLEAN, "eps": 0.0, **self._common}
        return [
            self._artifact.cell.rate("robust_accuracy", self._clean, params={**params, "norm": norm})
            for norm in self._artifact.norms
        ]

    def worst(self) -> list[Measurement]:
        """Returns the robust accuracy under the worst of all attacks, photo by photo."""
        rows = []
        for norm in self._artifact.norms:
            for eps, correct in _worst(self._artifact, self._photos.goal, norm):
                params = {"attack": WORST, "setting": "all", "eps": eps, "norm": norm, **self._common}
                rows.append(self._artifact.cell.rate("robust_accuracy", correct, params=params, flags=self._flags))
        return rows


def _worst(artifact: AttackedArtifact, goal: Goal, norm: str) -> list[tuple[float, Hits]]:
    """Returns, for each eps, the photos that stay correct under every attack within it or within a smaller eps."""
    items = [item for item in artifact.attacked_logits if item.attacked.threat.norm == norm]
    correct = artifact.correct_clean(goal)
    by_eps = []
    for eps in sorted({item.attacked.threat.eps for item in items}):
        for item in items:
            if item.attacked.threat.eps == eps:
                correct = correct & item.correct(goal)
        by_eps.append((eps, correct))
    return by_eps


def _masking_signs(
    artifact: AttackedArtifact, others: Sequence[AttackedArtifact], goal: Goal
) -> tuple[MaskingSign, ...]:
    summaries = [
        AttackSummary(
            # Photos made on an unrelated model are not compared with the artifact's own.
            attack=item.attacked.attack
            if artifact.comes_from(item.attacked.source_sha256)
            else f"{item.attacked.attack} from {item.attacked.source}",
            white_box=item.attacked.white_box and artifact.comes_from(item.attacked.source_sha256),
            norm=item.attacked.threat.norm,
            eps=item.attacked.threat.eps,
            steps=item.attacked.steps,
            robust_accuracy=float(1 - goal.reached(item.logits).mean()),
            photos=len(goal),
        )
        for item in artifact.attacked_logits
    ]
    return find_masking_signs(summaries, (*artifact.model_signs, *_quantization_signs(artifact, others, goal)))


def _quantization_signs(
    artifact: AttackedArtifact, others: Sequence[AttackedArtifact], goal: Goal
) -> Iterator[MaskingSign]:
    """Yields a sign where only direct attacks do worse than on the float32 artifact.

    McNemar's test with Bonferroni's correction over all direct attacks.
    """
    pairs = _direct_pairs(artifact, others)
    for item, float32_item in pairs:
        correct, float32_correct = item.correct(goal), float32_item.correct(goal)
        only_this, only_float32 = discordant(correct, float32_correct)
        if only_this <= only_float32 or mcnemar(only_this, only_float32) >= SIGNIFICANT / len(pairs):
            continue
        threat = item.attacked.threat
        transferred = [
            each.correct(goal)
            for each in artifact.attacked_logits
            if (each.setting, each.attacked.threat) == (TRANSFER, threat)
        ]
        left = np.logical_and.reduce([correct, *transferred])
        if left.mean() < correct.mean() - TOLERANCE:
            yield MaskingSign(
                QUANTIZATION,
                f"{item.attacked.attack} ({threat}) left {correct.mean():.1%}, on {float32_item.attacked.source}"
                f" {float32_correct.mean():.1%}; together with transferred photos it left {left.mean():.1%}",
            )


def _find_baseline(artifact: AttackedArtifact, others: Sequence[AttackedArtifact]) -> AttackedArtifact | None:
    """Returns the float32 artifact to compare with; None for that artifact itself and for a Keras model."""
    baseline = find_float32(artifact.cell, [other.cell for other in others])
    if baseline is None or artifact.cell.is_keras:
        return None
    return next(other for other in others if other.cell is baseline)


def _direct_pairs(
    artifact: AttackedArtifact, others: Sequence[AttackedArtifact]
) -> list[tuple[AttackedLogits, AttackedLogits]]:
    """Returns each direct attack on an artifact with the same attack on the float32 artifact."""
    baseline = _find_baseline(artifact, others)
    if baseline is None:
        return []
    by_key = {item.key: item for item in baseline.attacked_logits if item.setting == DIRECT}
    return [
        (item, by_key[item.key]) for item in artifact.attacked_logits if item.setting == DIRECT and item.key in by_key
    ]


def _against_float32(
    artifact: AttackedArtifact, others: Sequence[AttackedArtifact], goal: Goal
) -> Iterator[Measurement]:
    """Yields McNemar tests against the float32 artifact: is another number of photos correct?

    Under the worst of all attacks, if both were shown the same attacks; and under each direct attack made on both.
    """
    baseline = _find_baseline(artifact, others)
    if baseline is None:
        return
    for norm in artifact.norms:
        if artifact.complete and baseline.complete and _attack_keys(artifact, norm) == _attack_keys(baseline, norm):
            float32_worst = dict(_worst(baseline, goal, norm))
            for eps, correct in _worst(artifact, goal, norm):
                params = {"attack": WORST, "setting": "all", "norm": norm, "eps": eps}
                yield _mcnemar(artifact, baseline, correct, float32_worst[eps], params)
    for item, float32_item in _direct_pairs(artifact, others):
        params = {"attack": item.attacked.attack, "setting": DIRECT, "norm": item.attacked.threat.norm}
        params |= {"eps": item.attacked.threat.eps, "steps": item.attacked.steps}
        yield _mcnemar(artifact, baseline, item.correct(goal), float32_item.correct(goal), params)


def _attack_keys(artifact: AttackedArtifact, norm: str) -> list[tuple[object, ...]]:
    return sorted((item.key for item in artifact.attacked_logits if item.attacked.threat.norm == norm), key=str)


def _mcnemar(
    artifact: AttackedArtifact,
    baseline: AttackedArtifact,
    correct: Hits,
    float32_correct: Hits,
    params: dict[str, Any],
) -> Measurement:
    only_this, only_float32 = discordant(correct, float32_correct)
    counts = {"only_this_right": only_this, "only_baseline_right": only_float32}
    params = {"against": baseline.cell.name, **params, **counts}
    return artifact.cell.number("robust_mcnemar", mcnemar(only_this, only_float32), n=len(correct), params=params)

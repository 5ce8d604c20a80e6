from pathlib import Path

import numpy as np
import pytest

from tledge.core.errors import TrainingError
from tledge.train.feature_cache import FeatureSet
from tledge.train.history import Epoch
from tledge.train.logistic_head import INVERSE_STRENGTHS, fit_head, out_of_patience

pytestmark = pytest.mark.unit

pytestmark = pytest.mark.unit

CHANNELS, CLASSES = 30, 4


def draw(folder: Path, photos: int, seed: int, parts: int = 1, scale: float = 1.0) -> FeatureSet:
    """Features of overlapping classes, in files."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 0.7, (CLASSES, CHANNELS))
    labels = rng.integers(0, CLASSES, photos)
    features = ((centres[labels] + rng.normal(0, 1, (photos, CHANNELS)) + 3) * scale).astype(np.float32)
    files = []
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(features, parts)):
        files.append(folder / f"{number}.npy")
        np.save(files[-1], part)
    return FeatureSet(tuple(files), labels)


def all_of(features: FeatureSet) -> np.ndarray:
    return np.concatenate([part for part, _ in features.parts()])


def test_it_is_the_logistic_regression_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    train, validation = draw(tmp_path / "train", 300, 0), draw(tmp_path / "validation", 200, 1)
    head, history = fit_head(train, validation, class_weights=np.ones(CLASSES, np.float32), passes=500)
    features = all_of(train)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    reference = LogisticRegression(C=head.inverse_strength, max_iter=1000, tol=1e-6).fit(
        (features - mean) / deviation, train.labels
    )
    unseen = all_of(validation)
    ours = unseen @ head.kernel + head.bias
    ours -= ours.max(axis=1, keepdims=True)
    scores = np.exp(ours) / np.exp(ours).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, reference.predict_proba((unseen - mean) / deviation), atol=0.01)
    assert min(history, key=lambda row: row.val_loss).epoch == INVERSE_STRENGTHS.index(head.inverse_strength) + 1
    assert 0.6 < max(row.val_top1 for row in history) < 1


def test_files_and_scale_make_no_difference(tmp_path: Path) -> None:
    heads = []
    for name, parts, scale in (("one", 1, 1.0), ("many", 7, 1.0), ("loud", 1, 1000.0)):
        train = draw(tmp_path / name, 300, 0, parts, scale)
        validation = draw(tmp_path / f"{name} validation", 200, 1, parts, scale)
        head, _ = fit_head(train, validation, class_weights=np.ones(CLASSES, np.float32), passes=500)
        heads.append(all_of(validation) @ head.kernel + head.bias)
    np.testing.assert_allclose(heads[0], heads[1], atol=1e-3)
    np.testing.assert_allclose(heads[0], heads[2], atol=0.02)


def test_rare_classes_can_weigh_more(tmp_path: Path) -> None:
    train, validation = draw(tmp_path / "train", 400, 0), draw(tmp_path / "validation", 400, 1)
    answers = []
    for weight in (0.05, 20.0):
        weights = np.ones(CLASSES, np.float32)
        weights[2] = weight
        head, _ = fit_head(train, validation, class_weights=weights, passes=500)
        answers.append(np.mean((all_of(validation) @ head.kernel + head.bias).argmax(axis=1) == 2))
    assert answers[1] - answers[0] > 0.05, answers


def test_features_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    train, validation = draw(tmp_path / "train", 40, 0), draw(tmp_path / "validation", 40, 1)
    broken = all_of(train)
    broken[3, 5] = np.nan
    np.save(train.files[0], broken)
    with pytest.raises(TrainingError, match="the loss became nan in the linear probe"):
        fit_head(train, validation, class_weights=np.ones(CLASSES, np.float32), passes=10)


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([2], False),
        ([2, 3], False),
        ([2, 1], False),
        ([2, 3, 4], True),
        ([2, 2, 2], True),  # no better than the best
        ([3, 2, 1, 2], False),
        ([3, 2, 3, 1], False),
        ([3, 1, 2, 2], True),
        ([3, 1, 2, 0.5], False),
    ],
)
def test_no_weaker_penalty_is_tried_after_two_without_a_lower_loss(losses: list[float], stops: bool) -> None:
    assert out_of_patience(losses) is stops


def save(folder: Path, features: np.ndarray, labels: np.ndarray) -> FeatureSet:
    folder.mkdir()
    np.save(folder / "0.npy", features.astype(np.float32))
    return FeatureSet((folder / "0.npy",), labels)


def test_penalties_are_tried_from_strong_to_weak_until_two_are_no_better(tmp_path: Path) -> None:
    """With as many channels as photos, a weak penalty overfits: the best one is neither the first nor the last."""
    rng = np.random.default_rng(2)
    centres = rng.normal(0, 0.1, (2, 60))
    labels = np.arange(60) % 2
    train, validation = (
        save(tmp_path / name, centres[labels] + rng.normal(0, 1, (60, 60)), labels) for name in ("train", "validation")
    )
    rows: list[Epoch] = []
    head, history = fit_head(train, validation, class_weights=np.ones(2, np.float32), passes=200, on_fit=rows.append)
    losses = [row.val_loss for row in history]
    best = losses.index(min(losses))
    assert 0 < best < len(INVERSE_STRENGTHS) - 3
    assert len(losses) == best + 3, "two more penalties, and no third one"
    assert head.inverse_strength == INVERSE_STRENGTHS[best]
    assert tuple(rows) == history
    assert [row.epoch for row in history] == list(range(1, len(history) + 1))
    logits = all_of(validation) @ head.kernel + head.bias
    shifted = logits - logits.max(axis=1, keepdims=True)
    entropies = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(60), labels]
    assert losses[best] == pytest.approx(entropies.mean(), rel=1e-4), "the head is the one of the lowest loss"
    assert history[best].val_top1 == np.mean(logits.argmax(axis=1) == labels)


def test_the_penalty_is_scaled_by_the_photos_and_leaves_the_bias_out(tmp_path: Path) -> None:
    """Without any information, the bias is that of the frequencies of the classes, however strong the penalty."""
    labels = np.array([0] * 30 + [1] * 10)
    train = save(tmp_path / "train", np.tile([[4.0], [6.0]], (20, 1)), labels)
    head, history = fit_head(train, train, class_weights=np.ones(2, np.float32), passes=500)
    logits = np.array([5.0]) @ head.kernel + head.bias
    assert logits[0] - logits[1] == pytest.approx(np.log(3), abs=0.02)
    assert history[0].loss == pytest.approx(0.75 * np.log(4 / 3) + 0.25 * np.log(4), abs=1e-3)


def test_dead_channels_do_no_harm(tmp_path: Path) -> None:
    labels = np.arange(40) % 2
    rng = np.random.default_rng(0)
    alive = labels[:, np.newaxis] + rng.normal(0, 0.3, (40, 1))
    train = save(tmp_path / "train", np.hstack([alive, np.full((40, 1), 7.0)]), labels)
    dead_lives = save(tmp_path / "validation", np.hstack([alive, np.full((40, 1), 7.01)]), labels)
    head, history = fit_head(train, dead_lives, class_weights=np.ones(2, np.float32), passes=500)
    assert np.isfinite(head.kernel).all()
    assert history[-1].val_top1 >= 0.9


def test_the_most_passes_bound_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tledge.train import logistic_head

    train, validation = draw(tmp_path / "train", 300, 0), draw(tmp_path / "validation", 200, 1)
    calls = []
    genuine = logistic_head._Objective.__call__

    def counted(self: logistic_head._Objective, flat: np.ndarray, penalty: float) -> object:
        calls.append(penalty)
        return genuine(self, flat, penalty)

    monkeypatch.setattr(logistic_head._Objective, "__call__", counted)
    _, history = fit_head(train, validation, class_weights=np.ones(CLASSES, np.float32), passes=3)
    used = {penalty: calls.count(penalty) for penalty in calls}
    assert list(used) == pytest.approx([1 / (300 * strength) for strength in INVERSE_STRENGTHS[: len(history)]])
    assert max(used.values()) <= 3 + 3, "L-BFGS ends its line search first"

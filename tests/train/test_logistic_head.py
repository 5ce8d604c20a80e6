from pathlib import Path

import numpy as np
import pytest

from tledge.core.errors import TrainingError
from tledge.train.feature_cache import FeatureSet
from tledge.train.logistic_head import INVERSE_STRENGTHS, fit_head

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

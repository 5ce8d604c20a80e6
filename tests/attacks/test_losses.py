"""Losses that attacks maximize."""

import numpy as np
import pytest

from tledge.attacks.losses import check_loss, cross_entropy, dlr, margin, objective, one_hot, targeted_dlr
from tledge.core.errors import OptionError, UnknownNameError

pytestmark = pytest.mark.unit

LOGITS = np.array([[3.0, 1.0, -1.0, 0.5], [0.0, 2.0, 6.0, 1.0]], np.float32)
LABELS, TARGETS = one_hot(np.array([0, 1]), 4), one_hot(np.array([1, 0]), 4)


def test_losses_are_those_of_the_papers() -> None:
    shares = np.exp(LOGITS.astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(cross_entropy(np, LOGITS, LABELS), -np.log(shares[[0, 1], [0, 1]]), rtol=1e-6)
    np.testing.assert_allclose(margin(np, LOGITS, LABELS), [2, -4])
    np.testing.assert_allclose(dlr(np, LOGITS, LABELS), [-2 / (3 - 0.5), 4 / (6 - 1)], rtol=1e-6)
    np.testing.assert_allclose(
        targeted_dlr(np, LOGITS, LABELS, TARGETS),
        [-(3 - 1) / (3 - (0.5 - 1) / 2), -(2 - 0) / (6 - (1 + 0) / 2)],
        rtol=1e-6,
    )
    np.testing.assert_allclose(dlr(np, 7 * LOGITS + 3, LABELS), dlr(np, LOGITS, LABELS), rtol=1e-5)
    assert np.isfinite(cross_entropy(np, 1e4 * LOGITS, LABELS)).all()


def test_the_cross_entropy_of_equal_logits_is_the_logarithm_of_their_number() -> None:
    np.testing.assert_allclose(cross_entropy(np, np.full((1, 4), 7.0), LABELS[:1]), [np.log(4)])


def test_the_margin_is_to_the_largest_other_class() -> None:
    np.testing.assert_allclose(margin(np, np.array([[5.0, 5.0, 1.0]]), one_hot(np.array([0]), 3)), [0])
    np.testing.assert_allclose(margin(np, np.array([[-5.0, -7.0, -9.0]]), one_hot(np.array([0]), 3)), [2])


def test_equal_logits_divide_by_no_zero() -> None:
    equal = np.ones((1, 4))
    assert dlr(np, equal, LABELS[:1]).tolist() == [0]
    assert targeted_dlr(np, equal, LABELS[:1], TARGETS[:1]).tolist() == [0]


def test_the_largest_logits_of_dlr_are_the_third_and_the_fourth() -> None:
    logits = np.array([[9.0, 7.0, 4.0, 2.0, -50.0]])
    label, target = one_hot(np.array([0]), 5), one_hot(np.array([1]), 5)
    np.testing.assert_allclose(dlr(np, logits, label), [-(9 - 7) / (9 - 4)])
    np.testing.assert_allclose(targeted_dlr(np, logits, label, target), [-(9 - 7) / (9 - (4 + 2) / 2)])


def test_the_objective_rises_as_the_goal_comes_nearer() -> None:
    untargeted = objective(np, "cross-entropy", LOGITS, LABELS, None)
    np.testing.assert_allclose(untargeted, cross_entropy(np, LOGITS, LABELS))
    np.testing.assert_allclose(
        objective(np, "cross-entropy", LOGITS, LABELS, TARGETS), -cross_entropy(np, LOGITS, TARGETS)
    )
    np.testing.assert_allclose(objective(np, "dlr", LOGITS, LABELS, None), [-0.8, 0.8], rtol=1e-6)
    np.testing.assert_allclose(objective(np, "dlr", LOGITS, LABELS, TARGETS), targeted_dlr(np, LOGITS, LABELS, TARGETS))


@pytest.mark.parametrize(("classes", "targeted"), [(3, False), (4, True)])
def test_dlr_needs_three_classes_or_four(classes: int, targeted: bool) -> None:
    check_loss("dlr", classes, targeted)
    check_loss("cross-entropy", 2, targeted)
    kind = "targeted " if targeted else ""
    with pytest.raises(OptionError) as error:
        check_loss("dlr", classes - 1, targeted)
    assert str(error.value) == (
        f"the {kind}DLR loss needs {classes} classes or more; this model has {classes - 1}: use 'cross-entropy'"
    )
    with pytest.raises(UnknownNameError, match="loss function 'hinge'"):
        check_loss("hinge", 10, targeted)


def test_one_hot_rows() -> None:
    rows = one_hot(np.array([2, 0]), 3)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]

"""Signs of wrong preprocessing or labels in predictions: what is seen, and what is suggested."""

import itertools
import math

import numpy as np
import pytest

from tledge.core.prediction_check import LEAST_PHOTOS, Change, Classes, best_order, describe_fault, find_remedy

pytestmark = pytest.mark.unit

NAMES = ("cat", "dog", "emu")
LABELS = np.repeat(np.arange(3), 40)


def wrong(labels: Classes, count: int) -> Classes:
    """The labels with the first ones of each class wrong."""
    found = labels.copy()
    for label in range(3):
        found[np.flatnonzero(labels == label)[:count]] = (label + 1) % 3
    return found


@pytest.mark.parametrize(
    ("constant", "fault"),
    [
        (114, "it predicts 'dog' for 114 of 120 photos"),  # 95%
        (113, "its top-1 of 0.392 is not significantly better than always predicting 'cat' (0.333)"),
    ],
)
def test_one_class_for_nearly_all_photos(constant: int, fault: str) -> None:
    predicted = np.ones(120, np.intp)
    predicted[: 120 - constant] = 0
    assert describe_fault(predicted, LABELS, NAMES) == fault


def test_a_class_that_nearly_all_photos_have_is_no_fault() -> None:
    labels = np.array([0] * 97 + [1] * 3)
    assert describe_fault(np.zeros(100, np.intp), labels, ("cat", "dog")) == (
        "its top-1 of 0.970 is not significantly better than always predicting 'cat' (0.970)"
    )
    predicted = labels.copy()
    predicted[97] = 0
    assert "predicts 'cat'" not in describe_fault(predicted, labels, ("cat", "dog"))


@pytest.mark.parametrize(("right", "fault"), [(10, True), (59, True), (60, False)])
def test_top1_is_compared_with_guessing(right: int, fault: bool) -> None:
    """Of 100 photos, the Wilson interval of 60 begins at 0.502, that of 59 at 0.492."""
    labels = np.repeat([0, 1], 50)
    predicted = labels.copy()
    predicted[np.linspace(0, 99, 100 - right, dtype=int)] ^= 1
    assert bool(describe_fault(predicted, labels, ("cat", "dog"))) is fault


@pytest.mark.parametrize(
    ("found", "false_alarms", "fault"), [(10, 0, False), (6, 0, False), (5, 0, True), (6, 1, True), (8, 1, False)]
)
def test_a_model_that_finds_some_photos_of_a_rare_class_sees_the_photos(
    found: int, false_alarms: int, fault: bool
) -> None:
    """475 photos are 'ok', 25 'defect'; McNemar's p of 6 to 0 is 0.031, of 5 to 0 0.063, 6 to 1 0.125, 8 to 1 0.039."""
    labels = np.repeat([0, 1], [475, 25])
    predicted = np.zeros(500, np.intp)
    predicted[475 : 475 + found] = 1
    predicted[:false_alarms] = 1
    assert bool(describe_fault(predicted, labels, ("ok", "defect"))) is fault


def test_one_class_of_several_that_are_as_large_is_a_fault_even_with_some_right() -> None:
    labels = np.repeat(np.arange(10), 100)
    predicted = np.full(1000, 4)
    for label in (0, 1, 2, 3, 5):
        predicted[100 * label : 100 * label + 10] = label
    assert describe_fault(predicted, labels, tuple("abcdefghij")) == "it predicts 'e' for 950 of 1,000 photos"


def test_few_photos_show_nothing() -> None:
    for photos, found in ((LEAST_PHOTOS - 2, False), (LEAST_PHOTOS, True)):
        labels = np.arange(photos, dtype=np.intp) % 2
        assert bool(describe_fault(1 - labels, labels, ("cat", "dog"))) is found
        assert (find_remedy({(): 1 - labels}, labels, 2) is not None) is found


def test_the_best_order_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    for classes in (2, 3, 4, 5):
        for _ in range(10):
            predicted, labels = rng.integers(0, classes, (2, 30))
            found = best_order(predicted, labels, classes)
            assert sorted(found) == list(range(classes))
            right = [int((np.array(order)[predicted] == labels).sum()) for order in itertools.permutations(found)]
            assert len(right) == math.factorial(classes)
            assert (np.array(found)[predicted] == labels).sum() == max(right)
    assert best_order(np.zeros(9, np.intp), np.repeat([0, 1, 2], 3), 3) == (0, 1, 2), "equally good orders stay"


def test_another_order_of_the_labels_is_suggested() -> None:
    order = np.array([2, 0, 1])  # the label of each output
    outputs = np.argsort(order)[wrong(LABELS, 2)]
    remedy = find_remedy({(): outputs}, LABELS, 3)
    assert remedy is not None
    assert remedy.changes == (Change((), (2, 0, 1)),)
    assert (remedy.images, remedy.before) == (60, 0.0)
    assert remedy.describe(NAMES, "`labels`").startswith("with `labels` in the order emu, cat, dog, top-1 would be 0.9")
    assert find_remedy({(): wrong(LABELS, 2)}, LABELS, 3) is None
    noise = np.random.default_rng(1).integers(0, 3, 120)
    assert find_remedy({(): noise}, LABELS, 3) is None, "an order that fits noise fails on the other half"


def test_fewer_changes_are_suggested_unless_more_are_significantly_better() -> None:
    same = np.zeros(120, np.intp)
    good, better = wrong(LABELS, 4), wrong(LABELS, 3)
    remedy = find_remedy({(): same, ("a",): good, ("b",): same, ("a", "b"): better}, LABELS, 3)
    assert remedy is not None
    assert remedy.changes == (Change(("a",)),)
    poor = wrong(LABELS, 15)
    remedy = find_remedy({(): same, ("a",): poor, ("a", "b"): better}, LABELS, 3)
    assert remedy is not None
    assert remedy.changes == (Change(("a", "b")),)
    turned = np.array([1, 2, 0])[better]
    remedy = find_remedy({(): same, ("a",): turned}, LABELS, 3)
    assert remedy is not None
    assert remedy.changes == (Change(("a",), (2, 0, 1)),)
    assert "with a and --labels in the order emu, cat, dog, top-1" in remedy.describe(NAMES, "--labels")


def test_equally_good_changes_are_all_named() -> None:
    same, good = np.zeros(120, np.intp), wrong(LABELS, 1)
    remedy = find_remedy({(): same, ("a",): good, ("b",): good, ("c",): same}, LABELS, 3)
    assert remedy is not None
    assert remedy.changes == (Change(("a",)), Change(("b",)))
    assert remedy.describe(NAMES, "labels").startswith("with a, or b, top-1 would be")


def test_many_classes_are_named_where_they_move() -> None:
    names = tuple(f"n{number}" for number in range(20))
    labels = np.repeat(np.arange(20), 10)
    swapped = np.where(labels == 3, 7, np.where(labels == 7, 3, labels))
    remedy = find_remedy({(): swapped}, labels, 20)
    assert remedy is not None
    assert "labels in the order 3: n7, 7: n3, top-1 would be 1.000 instead of 0.900" in remedy.describe(names, "labels")

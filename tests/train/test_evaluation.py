"""The figures of a split, on made logits."""

import math

import numpy as np
import pytest

from tledge.train.evaluation import Evaluation

pytestmark = pytest.mark.unit


def binary(margins: list[float], labels: list[int]) -> Evaluation:
    """Two classes; the margin is that of class 1."""
    return Evaluation(np.array([[0.0, margin] for margin in margins]), np.array(labels, np.intp))


def test_loss_and_accuracy() -> None:
    evaluation = binary([0.0, math.log(3), -math.log(3), math.log(3)], [0, 1, 1, 1])
    assert evaluation.top1 == 0.75
    expected = (math.log(2) + 2 * math.log(4 / 3) + math.log(4)) / 4
    assert evaluation.loss == pytest.approx(expected)
    assert Evaluation(evaluation.logits + 1000, evaluation.labels).loss == pytest.approx(expected)
    assert evaluation.at_temperature(2).loss == pytest.approx(
        binary([0.0, math.log(3) / 2, -math.log(3) / 2, math.log(3) / 2], [0, 1, 1, 1]).loss
    )


@pytest.mark.parametrize(("scale", "temperature"), [(1.0, 1.0), (2.0, 2.0), (0.5, 0.5), (100.0, 4.0), (0.01, 0.25)])
def test_the_temperature_gives_the_lowest_loss(scale: float, temperature: float) -> None:
    """Three of four right at a margin of ln 3 is calibrated; the temperature is searched between 1/4 and 4."""
    evaluation = binary([scale * math.log(3)] * 4, [1, 1, 1, 0])
    assert evaluation.temperature == pytest.approx(temperature, rel=1e-3)
    assert evaluation.calibrated_loss <= evaluation.loss + 1e-9
    if 0.25 < temperature < 4:
        assert evaluation.calibrated_loss == pytest.approx((3 * math.log(4 / 3) + math.log(4)) / 4)


def test_where_all_photos_are_right_the_temperature_is_1() -> None:
    right = binary([1.0, -1.0], [1, 0])
    assert right.temperature == 1.0
    assert right.calibrated_loss < right.loss, "but models are compared at the temperature that suits them best"


def test_the_confusion_matrix_has_true_classes_in_rows() -> None:
    logits = np.eye(3)[[0, 1, 1, 2, 0]]
    evaluation = Evaluation(logits, np.array([0, 0, 1, 1, 0], np.intp))
    assert evaluation.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    np.testing.assert_allclose(evaluation.precision, [1, 0.5, 0])
    np.testing.assert_allclose(evaluation.recall, [2 / 3, 0.5, np.nan])


def test_calibration_error_and_metrics() -> None:
    evaluation = binary([math.log(9)] * 4, [1, 1, 0, 0])  # a score of 0.9, right in half of the cases
    assert evaluation.calibration_error == pytest.approx(0.4)
    metrics = evaluation.to_metrics("test")
    assert list(metrics) == ["test_top1", "test_top1_low", "test_top1_high", "test_loss", "test_calibration_error"]
    assert (metrics["test_top1_low"], metrics["test_top1_high"]) == pytest.approx((0.15, 0.85), abs=5e-4)
    assert metrics["test_loss"] == evaluation.loss

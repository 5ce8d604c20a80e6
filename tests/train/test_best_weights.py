"""Which epoch's weights are kept, how they are mixed with those at the start, and when training stops."""

import math

import numpy as np
import pytest

from tledge.train.best_weights import SHARES, BestWeights, Weights

pytestmark = pytest.mark.unit


def weights(value: float) -> Weights:
    return [np.full((2, 3), value, np.float32), np.array([value, -value], np.float32)]


def start(loss: float = math.inf) -> BestWeights:
    return BestWeights(start=weights(0), start_loss=loss, weights=weights(0))


def trained(*losses: float, start_loss: float = math.inf) -> BestWeights:
    """After epochs with these validation losses; the weights of epoch n are n."""
    best = start(start_loss)
    for epoch, loss in enumerate(losses, start=1):
        best.update(weights(epoch), epoch=epoch, loss=loss)
    return best


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([3, 2, 1], 3),
        ([1, 2, 3], 1),
        ([2, 1, 3], 2),
        ([1, 1, 1], 1),  # the first of several
        ([math.nan, 2], 2),
        ([2, math.nan], 1),
        ([math.inf, math.nan], 0),
    ],
)
def test_the_epoch_with_the_lowest_loss_is_the_best(losses: list[float], epoch: int) -> None:
    best = trained(*losses)
    assert best.epoch == epoch
    np.testing.assert_array_equal(best.weights[0], weights(epoch)[0])
    assert best.loss == (losses[epoch - 1] if epoch else math.inf)


@pytest.mark.parametrize(
    ("losses", "patience", "stops"),
    [
        ([], 1, False),
        ([1], 1, False),
        ([1, 2], 1, True),
        ([1, 2], 2, False),
        ([1, 2, 2], 2, True),
        ([1, 2, 0.5], 2, False),
        ([3, 2, 1, 2], 2, False),
        ([3, 2, 1, 2, 2], 2, True),
        ([3, 2, 1, 1, 1], 2, True),  # no better than the best
        ([math.nan], 1, True),
        ([math.nan], 2, False),
    ],
)
def test_training_stops_when_patience_runs_out(losses: list[float], patience: int, stops: bool) -> None:
    assert trained(*losses).out_of_patience(len(losses), patience) is stops


def test_a_mixture_lies_between_the_start_and_the_best() -> None:
    best = BestWeights(start=weights(2), start_loss=1, weights=weights(2))
    best.update(weights(10), epoch=1, loss=0.5)
    for share, value in ((0.0, 2), (0.25, 4), (0.5, 6), (1.0, 10)):
        for found, expected in zip(best.mix(share), weights(value), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("start_loss", "losses", "mixed", "share"),
    [
        (1.0, [0.5], None, 1.0),
        (0.5, [1.0], None, 0.0),
        (0.5, [0.5], None, 0.0),  # what is no better is not kept
        (math.inf, [0.7], None, 1.0),
        (math.inf, [], None, 0.0),  # full training that failed in its first epoch
        (1.0, [0.5], {0.25: 0.9, 0.5: 0.8, 0.75: 0.6}, 1.0),
        (1.0, [0.5], {0.25: 0.4, 0.5: 0.8, 0.75: 0.6}, 0.25),
        (1.0, [0.5], {0.25: 0.4, 0.5: 0.3, 0.75: 0.35}, 0.5),
        (1.0, [0.5], {0.25: 0.9, 0.5: 0.8, 0.75: 0.49}, 0.75),
        (0.2, [0.5], {0.25: 0.3, 0.5: 0.3, 0.75: 0.3}, 0.0),
        (1.0, [0.5], {0.25: 0.5, 0.5: 0.5, 0.75: 0.5}, 1.0),  # of equal ones, what was trained
        (1.0, [math.inf], {0.25: 0.1, 0.5: 0.1, 0.75: 0.1}, 0.0),  # no epoch is finite: there is nothing to mix
    ],
)
def test_the_share_with_the_lowest_loss_is_kept(
    start_loss: float, losses: list[float], mixed: dict[float, float] | None, share: float
) -> None:
    best = trained(*losses, start_loss=start_loss)
    tried = []

    def validation_loss(mixture: Weights) -> float:
        tried.append(float(mixture[0][0, 0]))
        assert mixed is not None
        return mixed[tried[-1]]

    assert best.choose_share(None if mixed is None else validation_loss) == share
    if mixed is not None and best.epoch:
        assert tried == list(SHARES) == [0.25, 0.5, 0.75]

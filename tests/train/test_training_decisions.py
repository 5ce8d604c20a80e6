"""Small decisions of a training, on made numbers: class weights, learning rate, radius, batches, warnings."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tledge.core.errors import OptionError
from tledge.core.splits import Sample, Splits
from tledge.train.data.augmentation import UNCHANGED
from tledge.train.data.dataset import find_contradicted, group_photos
from tledge.train.data.training_batches import TrainingBatches, check_shares, compute_class_weights
from tledge.train.evaluation import Evaluation
from tledge.train.history import FINE_TUNE, FULL, PROBE, Epoch, describe_validation, probe_top1, sparkline
from tledge.train.imported_model import may_be_guessing
from tledge.train.report import training_plots
from tledge.train.report.training_plots import draw_training_curves, kept_epochs
from tledge.train.step_schedules import ramp_factor, scale_radius, warm_up_steps

pytestmark = pytest.mark.unit


def make_splits(labels: Sequence[int]) -> Splits:
    train = tuple(Sample(f"{number}.png", label, "") for number, label in enumerate(labels))
    return Splits(root=Path(), class_names=("a", "b", "c"), train=train, validation=(), test=())


def test_balanced_classes_have_the_same_total_weight() -> None:
    splits = make_splits([0] * 6 + [1] * 2 + [2])
    np.testing.assert_allclose(compute_class_weights(splits, balanced=True), [0.5, 1.5, 3.0])
    np.testing.assert_array_equal(compute_class_weights(splits, balanced=False), [1, 1, 1])
    assert compute_class_weights(splits, balanced=True).dtype == np.float32


@pytest.mark.parametrize(
    ("steps", "fraction", "warm_up"),
    [(100, 0.1, 10), (100, 0.0, 0), (10, 0.16, 2), (10, 0.14, 1), (1, 0.9, 0), (2, 0.9, 1)],
)
def test_the_warm_up_leaves_at_least_one_step(steps: int, fraction: float, warm_up: int) -> None:
    assert warm_up_steps(steps, fraction) == warm_up


@pytest.mark.parametrize(
    ("step", "steps", "factor"),
    [(0, 100, 0.0), (20, 100, 0.5), (39, 100, 0.975), (40, 100, 1.0), (41, 100, 1.0), (0, 1, 0.0), (1, 1, 1.0)],
)
def test_the_radius_rises_in_the_first_two_fifths_of_a_training(step: int, steps: int, factor: float) -> None:
    assert ramp_factor(np, float(step), steps) == pytest.approx(factor)


def test_the_radius_is_uniform_between_0_and_one_and_a_half_eps() -> None:
    noise = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(scale_radius(noise, eps=8, factor=1.0), [0, 6, 12])
    np.testing.assert_allclose(scale_radius(noise, eps=4, factor=0.5), [0, 1.5, 3])


def make_batches(photos: int, **changed: Any) -> TrainingBatches:
    usual = {
        "splits": make_splits([0] * photos),
        "size": (8, 8),
        "resize": "crop",
        "batch_size": 4,
        "seed": 7,
        "augmentation": UNCHANGED,
        "class_weights": np.ones(3, np.float32),
    }
    return TrainingBatches(**{**usual, **changed})


@pytest.mark.parametrize(
    ("photos", "options", "size", "steps"),
    [
        (8, {}, 4, 2),
        (11, {}, 4, 2),  # the rest is dropped
        (12, {}, 4, 3),
        (3, {}, 3, 1),
        (4, {"batch_size": 500}, 4, 1),
        (11, {"batch_size": 500, "shares": 4}, 8, 1),
        (9, {"batch_size": 6, "shares": 3}, 6, 1),
    ],
)
def test_batches_are_full_and_divide_among_devices(photos: int, options: dict[str, int], size: int, steps: int) -> None:
    batches = make_batches(photos, **options)
    assert (batches.photos, batches.steps) == (size, steps)


def test_an_epoch_is_a_permutation_by_seed_and_epoch() -> None:
    batches = make_batches(11)
    for epoch in (0, 1, 5):
        order = np.random.default_rng([7, epoch]).permutation(11)
        found = [batches.indices(epoch, step).tolist() for step in range(2)]
        assert found == [order[:4].tolist(), order[4:8].tolist()]
    hosts = [make_batches(11, host=(host, 2)).indices(0, 1).tolist() for host in range(2)]
    assert hosts == [batches.indices(0, 1)[0::2].tolist(), batches.indices(0, 1)[1::2].tolist()]
    assert batches.indices(0, 0).tolist() != make_batches(11, seed=8).indices(0, 0).tolist()


def test_batches_must_divide_among_devices() -> None:
    check_shares(3, batch_size=9, photos=3)
    check_shares(1, batch_size=1, photos=1)
    with pytest.raises(
        OptionError, match="`batch_size=10` cannot be divided among 3 devices: choose a multiple, or fe"
    ):
        check_shares(3, batch_size=10, photos=99)
    with pytest.raises(
        OptionError, match="2 training photos cannot be divided among 3 devices: choose fewer `devices`"
    ):
        check_shares(3, batch_size=9, photos=2)


@pytest.mark.parametrize(("right", "guessing"), [(5, True), (8, True), (9, False), (10, False)])
def test_an_imported_model_may_be_guessing(right: int, guessing: bool) -> None:
    """Of 10 photos of two classes, 8 is within the 95% interval of a guess (0.49 to 0.94), and 9 is not (0.60)."""
    labels = np.zeros(10, np.intp)
    logits = np.eye(2)[[0] * right + [1] * (10 - right)]
    assert may_be_guessing(Evaluation(logits, labels), 2) is guessing


def test_chance_depends_on_the_number_of_classes() -> None:
    evaluation = Evaluation(np.eye(4)[[0] * 5 + [1] * 5], np.zeros(10, np.intp))  # 0.5, interval 0.24 to 0.76
    assert may_be_guessing(evaluation, 4)
    assert not may_be_guessing(evaluation, 5)


def test_the_curves_mark_the_weights_that_are_kept() -> None:
    probe = [Epoch(PROBE, number, 1, 1, loss, 0.9, 1) for number, loss in enumerate((0.5, 0.3, 0.4), start=1)]
    tuned = [Epoch(FINE_TUNE, number, 1, 1, 0.2, 0.9, 1) for number in (1, 2)]
    assert kept_epochs(PROBE, probe, best_epoch=0, share=0.0) == {2: "kept"}
    assert kept_epochs(FINE_TUNE, tuned, best_epoch=0, share=0.0) == {}
    assert kept_epochs(PROBE, probe, best_epoch=2, share=0.25) == {2: "best"}
    mixed = kept_epochs(FINE_TUNE, tuned, best_epoch=2, share=0.25)
    assert mixed == {2: "kept: epoch 2 (25%) + linear probe (75%)"}
    assert kept_epochs(FULL, tuned, best_epoch=1, share=1.0) == {1: "kept: epoch 1"}


def test_no_legend_covers_a_curve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(training_plots, "_save", lambda figure, path: figures.append(figure))
    rows = [Epoch(phase, number, 0.3, 0.9, 0.9, 0.8, 1) for phase in (PROBE, FINE_TUNE) for number in (1, 2, 3)]
    draw_training_curves(tmp_path / "training.png", rows, best_epoch=2, share=0.25, augmented=True)
    (figure,) = figures
    figure.draw_without_rendering()
    legends = [axis.get_legend() for axis in figure.axes if axis.get_legend()]
    assert len(legends) == 2
    for legend in legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(axis.get_window_extent()) for axis in figure.axes)
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert not box.overlaps(legend.axes.xaxis.label.get_window_extent())


def test_the_accuracy_of_the_probe_is_that_of_its_lowest_loss() -> None:
    rows = [
        Epoch(PROBE, 1, 1, 1, 0.9, 0.7, 1),
        Epoch(PROBE, 2, 1, 1, 0.5, 0.8, 1),
        Epoch(PROBE, 3, 1, 1, 0.6, 0.9, 1),
        Epoch(FINE_TUNE, 1, 1, 1, 0.1, 0.99, 1),
    ]
    assert probe_top1(rows) == {"probe_validation_top1": 0.8}
    assert probe_top1(rows[3:]) == {}
    assert describe_validation(rows[0]) == "val top-1 0.700"
    assert describe_validation(Epoch(FINE_TUNE, 1, 1, 1, 1, 0.5, 1, 2.0, 0.25)) == "val top-1 0.500, under attack 0.250"


def test_identical_files_of_two_classes_contradict_each_other() -> None:
    samples = [Sample("a/1", 0, "x"), Sample("a/2", 0, "y"), Sample("b/1", 1, "x"), Sample("a/3", 0, "y")]
    assert find_contradicted(samples) == {"a/1", "b/1"}


def test_identical_files_are_one_group_also_if_near_duplicates_join_them_with_others() -> None:
    rng = np.random.default_rng(0)
    texture, other = (rng.integers(0, 256, (16, 16)).astype(np.uint8) for _ in range(2))
    blank = np.full((16, 16), 200, np.uint8)
    content = [("t", texture), ("b", blank), ("o", other), ("t2", texture), ("b", blank), ("o", other)]
    samples = [Sample(str(number), 0, sha256) for number, (sha256, _) in enumerate(content)]
    assert group_photos(samples, [thumbnail for _, thumbnail in content]).tolist() == [0, 1, 2, 0, 1, 2]
    assert group_photos(samples, []).tolist() == [0, 1, 2, 3, 1, 2]
    assert group_photos([], []).tolist() == []
    # 0 and 3 look the same, 3 and 1 are one file: all three are one group, whichever way they are found
    chained = [Sample("0", 0, "p"), Sample("1", 0, "q"), Sample("2", 0, "r"), Sample("3", 0, "q")]
    assert group_photos(chained, [texture, blank, other, texture]).tolist() == [0, 0, 2, 0]
    assert group_photos(chained, [other, texture, blank, blank]).tolist() == [0, 1, 2, 1]


def test_a_sparkline_shows_the_last_values_between_the_least_and_the_largest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 3]) == "▄▄"
    assert sparkline([9, *range(20)])[0] == "▁"
    assert len(sparkline(range(30))) == 20
    assert sparkline([5, 1, 2], most=2) == "▁█"


def test_validation_counts_under_attack_where_there_is_one() -> None:
    from tledge.train.evaluation import ValidationResult

    clean, attacked = SimpleNamespace(calibrated_loss=0.2, top1=0.9), SimpleNamespace(calibrated_loss=0.7, top1=0.4)
    plain = ValidationResult(clean)  # type: ignore[arg-type]
    assert plain.loss == 0.2
    row = plain.to_epoch(FINE_TUNE, 3, loss=0.5, top1=0.6, seconds=1.0)
    assert row == Epoch(FINE_TUNE, 3, 0.5, 0.6, 0.2, 0.9, 1.0)
    both = ValidationResult(clean, attacked)  # type: ignore[arg-type]
    assert both.loss == 0.7
    row = both.to_epoch(FINE_TUNE, 3, loss=0.5, top1=0.6, seconds=1.0)
    assert row == Epoch(FINE_TUNE, 3, 0.5, 0.6, 0.2, 0.9, 1.0, val_robust_loss=0.7, val_robust_accuracy=0.4)

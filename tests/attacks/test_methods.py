"""Each attack by itself, on a small network."""

from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pytest

from tledge.attacks import attack as attack_module
from tledge.attacks.attack import Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.methods.apgd import Apgd, checkpoints
from tledge.attacks.methods.fgsm import Fgsm
from tledge.attacks.methods.pgd import Pgd
from tledge.attacks.methods.square import Square
from tledge.attacks.squares import L2Squares, LinfSquares
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import ModelError, OptionError, UnknownNameError
from tledge.core.images import Pixels
from tledge.core.progress import Progress, Step


def test_fgsm_takes_one_step_to_the_edge(model: GradientModel, digits: Any) -> None:
    result = Fgsm().run(model, digits.images, digits.goal, threat=ThreatModel("linf", 6))
    gradients = model.gradients(digits.images, digits.goal).gradients
    expected = np.clip(digits.images + 6 * np.sign(gradients), 0, 255)
    tried = ~result.clean_success & (result.adversarial != digits.images).any(axis=(1, 2, 3))
    assert tried.sum() > 15
    # Sums in another order may turn a sign where a gradient is nearly zero.
    assert (result.adversarial[tried] == expected[tried]).mean() > 0.999


def test_more_restarts_go_on_only_with_what_is_left(model: GradientModel, digits: Any) -> None:
    threat = ThreatModel("linf", 5)
    one = Pgd(steps=3, restarts=1).run(model, digits.images, digits.goal, threat=threat, seed=3)
    five = Pgd(steps=3, restarts=5).run(model, digits.images, digits.goal, threat=threat, seed=3)
    assert 0 < one.success.mean() < 1
    assert (five.success >= one.success).all()
    np.testing.assert_array_equal(five.adversarial[one.success], one.adversarial[one.success])
    np.testing.assert_array_equal(five.queries[one.success], one.queries[one.success])
    assert (five.queries[~five.success] == 5 * 4 + 2).all()


@pytest.mark.parametrize("attack", [Pgd(steps=10), Apgd(steps=10)])
def test_an_attack_that_does_not_stop_early_goes_farther(attack: Any, model: GradientModel, digits: Any) -> None:
    from dataclasses import replace

    threat = ThreatModel("linf", 16)
    early = attack.run(model, digits.images, digits.goal, threat=threat)
    late = replace(attack, early_stop=False).run(model, digits.images, digits.goal, threat=threat)
    assert (late.success >= early.success).all()
    margins = [digits.goal.margins(model.logits(result.adversarial)).mean() for result in (early, late)]
    assert margins[1] < margins[0] - 1 < 0
    assert (late.queries[~late.clean_success] == 10 + 1 + 2).all()
    assert early.queries.mean() < 10


@pytest.mark.parametrize("loss", ["cross-entropy", "dlr"])
@pytest.mark.parametrize("targeted", [False, True])
def test_apgd_beats_one_step_and_equals_pgd(loss: str, targeted: bool, model: GradientModel, digits: Any) -> None:
    threat, goal = ThreatModel("linf", 14 if targeted else 5), digits.targeted if targeted else digits.goal
    result = Apgd(steps=20, loss=loss).run(model, digits.images, goal, threat=threat)
    pgd = Pgd(steps=20).run(model, digits.images, goal, threat=threat)
    fgsm = Fgsm().run(model, digits.images, goal, threat=threat)
    assert result.success.sum() >= pgd.success.sum() - (3 if loss == "dlr" else 1)
    assert result.success.sum() >= fgsm.success.sum()
    assert 0 < result.success.mean() < 1


@pytest.mark.unit
def test_apgd_looks_at_its_step_size_when_the_paper_says() -> None:
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(1) == (1,)


@pytest.mark.parametrize(
    ("classes", "targeted", "message"),
    [
        (2, False, "the DLR loss needs 3 classes or more; this model has 2: use 'cross-entropy'"),
        (3, True, "the targeted DLR loss needs 4 classes or more; this model has 3"),
    ],
)
def test_dlr_needs_classes(classes: int, targeted: bool, message: str) -> None:
    import keras

    image = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    few = GradientModel(keras.Model(image, keras.layers.Dense(classes)(pooled)))
    images = np.zeros((2, 8, 8, 3), np.uint8)
    labels = few.logits(images).argmax(axis=1)
    goal = Goal(labels, (labels + 1) % classes if targeted else None)
    threat = ThreatModel("linf", 1)
    with pytest.raises(OptionError, match=message):
        Apgd(loss="dlr").run(few, images, goal, threat=threat)
    assert len(Apgd(steps=2).run(few, images, goal, threat=threat).success) == 2


@pytest.mark.unit
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pgd(steps=0), "steps must be 1 or more; received 0"),
        (lambda: Pgd(restarts=-1), "restarts must be 1 or more"),
        (lambda: Pgd(step_size=0.0), "step_size must be"),
        (lambda: Apgd(steps=0), "steps must be 1 or more"),
        (lambda: Square(queries=0), "queries must be 1 or more"),
        (lambda: Square(p_init=0), "p_init must be a fraction .* received 0"),
        (lambda: Square(p_init=1.5), "p_init must be a fraction"),
    ],
)
def test_parameters_that_cannot_be_are_rejected(build: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build()


@pytest.mark.unit
def test_an_unknown_loss_is_rejected() -> None:
    with pytest.raises(UnknownNameError, match="unknown loss function 'dlt'. Did you mean 'dlr'"):
        Apgd(loss="dlt")


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", [Square(queries=60), Pgd(steps=5)])
def test_how_photos_are_grouped_makes_no_difference(
    norm: str, attack: Any, model: GradientModel, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threat = ThreatModel(norm, 8 if norm == "linf" else 400)
    together = attack.run(model, digits.images, digits.goal, threat=threat, seed=5)
    monkeypatch.setattr(attack_module, "GROUP_VALUES", 7 * digits.images[0].size)
    apart = attack.run(model, digits.images, digits.goal, threat=threat, seed=5)
    # Sums in another order may turn a sign where a gradient is nearly zero.
    assert (apart.success == together.success).mean() >= 0.95
    assert (apart.adversarial == together.adversarial).mean() > 0.99


def test_square_shows_only_photos_that_are_not_yet_fooled(model: GradientModel, digits: Any) -> None:
    shown: list[int] = []

    def logits(images: Pixels) -> Any:
        assert images.dtype == np.uint8
        shown.append(len(images))
        return model.logits(images)

    result = Square(queries=80).run(logits, digits.images, digits.goal, threat=ThreatModel("linf", 24), seed=0)
    assert shown[1:-1] == sorted(shown[1:-1], reverse=True)
    assert sum(shown) == result.queries.sum()
    assert len(set(shown)) > 5


@pytest.mark.unit
@pytest.mark.parametrize("kind", [LinfSquares, L2Squares])
@pytest.mark.parametrize("shape", [(16, 16), (23, 40)])
def test_squares_stay_inside_and_are_taken_back(kind: Any, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    originals = rng.integers(0, 256, (4, *shape, 3), np.uint8)
    eps = 9 if kind is LinfSquares else 150
    threat = ThreatModel("linf" if kind is LinfSquares else "l2", eps)
    squares = kind(originals, eps)
    squares.start([np.random.default_rng(index) for index in range(4)])
    lengths = threat.distance(squares.images, originals)
    assert lengths.min() > 0.8 * eps
    for side in (11, 7, 3, 3, 3):
        before = squares.images.copy()
        squares.propose([side] * 4, rng.random((4, squares.draws), np.float32))
        assert threat.distance(squares.images, originals).max() <= eps
        changed = (squares.images != before).any(axis=(1, 2, 3))
        assert changed.all()
        squares.settle(np.array([True, False, True, False]))
        np.testing.assert_array_equal(squares.images[[1, 3]], before[[1, 3]])
    before = squares.images.copy()
    squares.propose([3] * 4, rng.random((4, squares.draws), np.float32), {0: rng, 3: rng})
    assert threat.distance(squares.images, originals).max() <= eps
    assert threat.distance(squares.images, originals)[[0, 3]].min() > 0.8 * eps
    assert ((squares.images != before).mean(axis=(1, 2, 3))[[0, 3]] > 0.3).all()
    squares.settle(np.array([False, True, True, True]))
    np.testing.assert_array_equal(squares.images[0], before[0])
    squares.select(np.array([2, 3]))
    squares.propose([5] * 2, rng.random((2, squares.draws), np.float32))
    assert threat.distance(squares.images, originals[2:]).max() <= eps
    assert threat.distance(squares.images, originals[2:]).min() > 0.8 * eps


@pytest.fixture
def two_colours() -> tuple[Pixels, Goal]:
    """Ten reddish and ten bluish photos of noise, which differ little: 32 pixels wide."""
    rng = np.random.default_rng(0)
    colours = np.repeat([[140, 100, 118], [118, 100, 140]], 10, axis=0)[:, np.newaxis, np.newaxis]
    images = np.clip(colours + rng.normal(0, 8, (20, 32, 32, 3)), 0, 255).astype(np.uint8)
    return images, Goal(np.repeat([0, 1], 10))


def _difference(images: Pixels) -> Any:
    """Returns logits, large ones: 200 times how much redder than blue a photo is."""
    means = images.mean(axis=(1, 2)) / 255
    redder = 200 * (means[:, 0] - means[:, 2])
    return np.stack([redder, -redder], axis=1).astype(np.float32)


def _softmax(images: Pixels) -> Any:
    logits = _difference(images)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _rounded(images: Pixels) -> Any:
    return np.minimum(np.rint(_softmax(images) * 256), 255) / 256


@pytest.mark.unit
@pytest.mark.parametrize("probabilities", [_softmax, _rounded])
def test_a_softmax_does_not_make_a_model_look_robust(probabilities: Any, two_colours: tuple[Pixels, Goal]) -> None:
    images, goal = two_colours
    finish = partial(np.log, dtype=np.float32)
    tiny = np.finfo(np.float32).tiny
    for eps, most in ((16, 0.6), (32, 0.0)):
        threat, attack = ThreatModel("linf", eps), Square(queries=300)
        bare = attack.run(_difference, images, goal, threat=threat)
        assert bare.robust_accuracy <= most
        assert not bare.ties.any()
        found = attack.run(lambda shown: finish(np.maximum(probabilities(shown), tiny)), images, goal, threat=threat)
        assert found.robust_accuracy <= bare.robust_accuracy
    assert goal.reached(probabilities(found.adversarial)).all()


@pytest.mark.unit
def test_scores_that_are_flat_get_more_queries_and_are_reported(two_colours: tuple[Pixels, Goal]) -> None:
    images, goal = two_colours
    found = Square(queries=20).run(
        lambda shown: np.eye(2, dtype=np.float32)[_difference(shown).argmax(axis=1)],
        images,
        goal,
        threat=ThreatModel("linf", 2),
    )
    assert not found.success.any()
    assert (found.queries == 5 * 20 + 2).all()  # all but the first ten in a row say nothing
    assert (found.ties == 5 * 20 - 1 - 10).all()
    assert found.unjudged == 20


class Recorder(Progress, Step):
    """A step that keeps how far it is, and was at most."""

    def __init__(self) -> None:
        self.done = self.most = 0

    def step(self, label: str, total: int, unit: str) -> Any:
        self.label, self.total, self.unit = label, total, unit
        return nullcontext(self)

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.done += count
        self.most = max(self.most, self.done)


@pytest.mark.unit
def test_queries_that_tell_nothing_do_not_pass_the_end_of_the_progress(two_colours: tuple[Pixels, Goal]) -> None:
    images, goal = two_colours
    recorder = Recorder()
    found = Square(queries=20).run(
        lambda shown: np.eye(2, dtype=np.float32)[_difference(shown).argmax(axis=1)],
        images,
        goal,
        threat=ThreatModel("linf", 2),
        progress=recorder,
    )
    assert found.queries.sum() == 20 * 102
    assert recorder.done == recorder.most == recorder.total == 20 * 21


def test_progress_ends_at_its_total(model: GradientModel, digits: Any) -> None:
    for attack in (Fgsm(), Pgd(steps=4, restarts=2), Apgd(steps=4), Square(queries=20)):
        recorder = Recorder()
        attack.run(model, digits.images, digits.goal, threat=ThreatModel("linf", 12), progress=recorder)
        assert recorder.done == recorder.total > 0
        assert recorder.unit == "queries"
        assert recorder.label == f"{attack.name} linf 12/255"


def test_logits_that_are_not_finite_are_rejected(digits: Any) -> None:
    with pytest.raises(ModelError, match="not finite"):
        Square().run(
            lambda images: np.full((len(images), 10), np.nan, np.float32),
            digits.images,
            digits.goal,
            threat=ThreatModel("linf", 8),
        )

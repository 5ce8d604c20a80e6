"""The steps of each attack, image by image, on models whose gradients are known."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from linear_model import LinearModel

from tledge.attacks.attack_batch import AttackBatch, QueryCounter
from tledge.attacks.goal import Goal
from tledge.attacks.loss_gradients import Gradients
from tledge.attacks.losses import cross_entropy, one_hot
from tledge.attacks.methods.apgd import Apgd, _Ascent, checkpoints
from tledge.attacks.methods.fgsm import Fgsm
from tledge.attacks.methods.pgd import Pgd
from tledge.attacks.methods.square import Square, _losses
from tledge.attacks.squares import LinfSquares
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Pixels

pytestmark = pytest.mark.unit

SLOPES = np.array([1, -2, 3], np.float64)
UP = np.array([0, 0, 0]), SLOPES / 1e3
"""Two classes: the second one's logit rises with red and blue, and falls with green. It never wins."""


def dull() -> LinearModel:
    return LinearModel(np.stack(UP), np.array([0, -5]))


def photo(*values: int) -> Pixels:
    return np.array(values, np.uint8).reshape(1, 1, -1, 3)


def start_of(original: Pixels, threat: ThreatModel, *, stream: int = 0, seed: int = 0) -> Any:
    drawn = threat.draw(original[0], np.random.default_rng((seed, 0, stream)))[np.newaxis]
    return threat.project(drawn, original)


@pytest.mark.parametrize(("steps", "size"), [(5, None), (20, None), (4, 1.5)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_steps_together_are_two_and_a_half_radii_long(norm: str, steps: int, size: float | None) -> None:
    threat, original, model = ThreatModel(norm, 8), photo(100, 100, 100), dull()
    attack = Pgd(steps=steps, step_size=size)
    result = attack.run(model, original, Goal(np.array([0])), threat=threat)
    direction = np.sign(SLOPES) if norm == "linf" else SLOPES / np.linalg.norm(SLOPES)
    length = size or 2.5 * 8 / steps
    image = start_of(original, threat)
    assert len(model.shown) == steps
    for shown in model.shown:
        np.testing.assert_array_equal(shown, threat.round(image, original))
        image = threat.project((image + direction * length).astype(np.float32), original)
    np.testing.assert_array_equal(model.shown_for_logits[1], threat.round(image, original))
    assert result.queries.tolist() == [steps + 3]
    assert attack.budget == steps + 1


def test_pgd_starts_elsewhere_each_time() -> None:
    threat, original, model = ThreatModel("linf", 8), photo(100, 100, 100), dull()
    attack = Pgd(steps=2, restarts=3)
    assert (attack.budget, attack.length) == (9, 2)
    result = attack.run(model, original, Goal(np.array([0])), threat=threat, seed=7)
    starts = [threat.round(start_of(original, threat, stream=stream, seed=7), original) for stream in range(3)]
    np.testing.assert_array_equal(np.concatenate(model.shown[::2]), np.concatenate(starts))
    assert result.queries.tolist() == [11]


def test_pgd_leaves_a_fooled_photo_alone() -> None:
    """The second photo is fooled by the first step, the third by the start; nothing fools the first."""
    model = LinearModel([[0, 0, 0], [1, 0, 0]], [155.5, 0])
    photos = np.concatenate([photo(100, 0, 0), photo(150, 0, 0), photo(155, 0, 0)])
    goal = Goal(np.zeros(3, np.intp))
    threat = ThreatModel("linf", 8)

    def starts(seed: int) -> list[float]:
        return [
            float(threat.draw(one, np.random.default_rng((seed, index, 0)))[0, 0, 0])
            for index, one in enumerate(photos)
        ]

    seed = next(seed for seed in range(99) if starts(seed)[1] < 155 and starts(seed)[2] > 156)
    early = Pgd(steps=4, step_size=8).run(model, photos, goal, threat=threat, seed=seed)
    assert early.success.tolist() == [False, True, True]
    assert early.queries.tolist() == [4 + 3, 2 + 2, 1 + 2]
    late = Pgd(steps=4, step_size=8, early_stop=False).run(model, photos, goal, threat=threat, seed=seed)
    assert late.queries.tolist() == [7, 7, 7]
    assert late.adversarial[:, 0, 0, 0].tolist() == [108, 158, 163]


@pytest.mark.parametrize("step_size", [1e-6, 0.3])
def test_pgd_takes_any_step_size_above_nothing(step_size: float) -> None:
    assert Pgd(step_size=step_size).step_size == step_size
    for bad in ({"step_size": 9e-7}, {"steps": 0}, {"restarts": 0}):
        with pytest.raises(OptionError):
            Pgd(**bad)  # type: ignore[arg-type]
    assert (Pgd().steps, Pgd().restarts, Pgd().early_stop) == (20, 1, True)
    assert Pgd(steps=1, restarts=1).budget == 2


def test_fgsm_is_one_step_of_full_length() -> None:
    original = photo(100, 3, 250)
    result = Fgsm().run(dull(), original, Goal(np.array([0])), threat=ThreatModel("linf", 8))
    assert result.adversarial.ravel().tolist() == [108, 0, 255]
    assert (Fgsm().budget, result.queries.tolist()) == (1, [3])


def test_apgd_checks_where_the_paper_does() -> None:
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(50) == (11, 21, 29, 35, 40, 44, 47, 50)
    assert checkpoints(10) == (3, 5, 6, 7, 8, 9, 10)
    assert checkpoints(1) == (1,)


def ascent(count: int, **values: Any) -> _Ascent:
    images = np.zeros((count, 1, 1, 3), np.float32)
    losses = np.zeros(count, np.float32)
    state = _Ascent.start(np.arange(count), images, Gradients(np.zeros((count, 2), np.float32), losses, images), 16)
    for name, value in values.items():
        setattr(state, name, np.array(value))
    return state


def test_apgd_halves_the_step_of_a_photo_that_rose_too_seldom_or_stopped() -> None:
    """Of 8 steps, 6 must have raised the loss; else, or without a new best loss since the last check, it is halved."""
    state = ascent(
        5,
        rises=[6, 5, 8, 8, 6],
        best_losses=np.array([2, 2, 1, 1, 1.5], np.float32),
        checked_losses=np.array([1, 1, 1, 1, 1], np.float32),
        halved=[False, False, False, True, False],
    )
    state.images = np.full((5, 1, 1, 3), 9, np.float32)
    state.gradients, state.losses = np.full((5, 1, 1, 3), 7, np.float32), np.full(5, -1, np.float32)
    state.check(8)
    assert state.sizes.tolist() == [16, 8, 8, 16, 16]
    assert state.halved.tolist() == [False, True, True, False, False]
    assert state.images[:, 0, 0, 0].tolist() == [9, 0, 0, 9, 9]
    assert state.gradients[:, 0, 0, 0].tolist() == [7, 0, 0, 7, 7]
    assert state.losses.tolist() == [-1, 2, 1, -1, -1]
    assert state.checked_losses.tolist() == state.best_losses.tolist()
    assert state.rises.tolist() == [0] * 5


def test_apgd_counts_rises_and_keeps_the_best() -> None:
    state = ascent(3, losses=np.array([1, 1, 1], np.float32), best_losses=np.array([1, 3, 1], np.float32))
    images = np.arange(9, dtype=np.float32).reshape(3, 1, 1, 3)
    before = state.images
    state.advance(images, Gradients(np.zeros((3, 2), np.float32), np.array([2, 2, 1], np.float32), -images))
    assert state.rises.tolist() == [1, 1, 0]
    assert state.best_losses.tolist() == [2, 3, 1]
    assert state.best_images.ravel().tolist() == [0, 1, 2, 0, 0, 0, 0, 0, 0]
    assert state.best_gradients.ravel().tolist() == [0, -1, -2, 0, 0, 0, 0, 0, 0]
    assert state.before is before
    assert state.images is images


def test_apgd_moves_with_momentum_within_the_ball() -> None:
    original = photo(100, 100, 100)
    batch = AttackBatch(
        QueryCounter(dull(), 1),
        original,
        Goal(np.array([0])),
        photos=np.array([0]),
        threat=ThreatModel("linf", 40),
        seed=0,
    )
    state = ascent(1)
    state.before, state.images = (
        np.array(row, np.float32).reshape(1, 1, 1, 3) for row in ([96, 96, 96], [100, 104, 130])
    )
    state.gradients = np.array([2, -3, 5], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(state.propose(batch, 1.0).ravel(), [116, 88, 140])
    # 3/4 of the step, cut at 140, and 1/4 of the way made before; blue would leave the ball.
    np.testing.assert_allclose(state.propose(batch, 0.75).ravel(), [100 + 12 + 1, 104 - 12 + 2, 140])
    assert state.select(np.array([True])) is state


def test_apgd_looks_at_each_step_once() -> None:
    """Its loss always rises: no step is halved, and the first is two radii long."""
    threat, original, model = ThreatModel("linf", 8), photo(100, 100, 100), dull()
    result = Apgd(steps=4).run(model, original, Goal(np.array([0])), threat=threat)
    start = start_of(original, threat)
    np.testing.assert_array_equal(model.shown[0], threat.round(start, original))
    for shown in model.shown[1:]:
        assert shown.ravel().tolist() == [108, 92, 108]
    assert result.queries.tolist() == [4 + 3]


class Scripted:
    """A model without gradients whose margins follow a script, one value a call, and that remembers what it saw."""

    def __init__(self, *margins: float, then: float) -> None:
        self._margins = [*margins]
        self._then = then
        self.shown: list[Pixels] = []

    def __call__(self, images: Pixels) -> Any:
        self.shown.append(images.copy())
        margin = self._margins.pop(0) if self._margins else self._then
        return np.array([[margin, 0]] * len(images), np.float32)


def simulate(original: Pixels, threat: ThreatModel, attack: Square, kept: list[bool]) -> list[Pixels]:
    """The images that Square shows, if it keeps these proposals."""
    rng = np.random.default_rng((0, 0, 0))
    squares = LinfSquares(original, threat.eps)
    squares.start([rng])
    shown = [squares.images.copy()]
    batch: Any = SimpleNamespace(originals=original, threat=threat)
    for query in range(1, attack.queries):
        if (query - 1) % 64 == 0:
            draws = rng.random((64, squares.draws), np.float32)
        squares.propose([attack._side(query, batch)], draws[np.newaxis, (query - 1) % 64])
        shown.append(squares.images.copy())
        squares.settle(np.array([kept[query - 1]]))
    return shown


@pytest.mark.parametrize(
    ("margins", "then", "kept"),
    [
        ([9, 5, *[*[5] * 9, 6] * 9], 5, [*[*[True] * 9, False] * 9, *[True] * 9]),  # on a plateau: it goes on
        ([9, 5], 5.5, [False] * 99),  # worse than the start
        ([9, 5, 6, 4, 4.5, 4, *[3] * 9], 3.5, [False, True, False, True, *[True] * 9, *[False] * 86]),
    ],
)
def test_square_keeps_what_is_no_worse(margins: list[float], then: float, kept: list[bool]) -> None:
    original = np.random.default_rng(1).integers(0, 256, (1, 16, 20, 3), np.uint8)
    attack, threat, model = Square(queries=100), ThreatModel("linf", 12), Scripted(*margins, then=then)
    attack.run(model, original, Goal(np.array([0])), threat=threat)
    expected = simulate(original, threat, attack, kept)
    assert len(model.shown) == 1 + 100 + 1
    for shown, planned in zip(model.shown[1:-1], expected, strict=True):
        np.testing.assert_array_equal(shown, planned)


def test_square_leaves_fooled_photos_alone() -> None:
    originals = np.stack([np.full((16, 16, 3), value, np.uint8) for value in (20, 120, 220)])
    seen = [0, 0, 0]

    def model(images: Pixels) -> Any:
        logits = []
        for image in images:
            index = round((float(image.mean()) - 20) / 100)
            seen[index] += 1
            logits.append([0, 1] if seen[index] >= (99, 2, 5)[index] else [1, 0])
        return np.array(logits, np.float32)

    result = Square(queries=10).run(model, originals, Goal(np.zeros(3, np.intp)), threat=ThreatModel("linf", 8))
    assert result.success.tolist() == [False, True, True]
    assert result.queries.tolist() == [1 + 10 + 1, 1 + 1 + 1, 1 + 4 + 1]


def side(attack: Square, query: int, norm: str, height: int = 224, width: int = 224) -> int:
    batch: Any = SimpleNamespace(originals=np.empty((1, height, width, 3), np.uint8), threat=ThreatModel(norm, 8))
    return attack._side(query, batch)


def test_squares_shrink_when_the_paper_says() -> None:
    attack = Square(queries=1000)
    schedule = {1: 0, 2: 1, 5: 1, 6: 2, 20: 2, 21: 3, 50: 3, 51: 4, 100: 4, 101: 5, 200: 5, 201: 6, 400: 6, 401: 7}
    schedule |= {600: 7, 601: 8, 800: 8, 801: 9, 999: 9}
    for query, halvings in schedule.items():
        assert side(attack, query, "linf") == round(math.sqrt(0.8 * 224 * 224 / 2**halvings)), query
    assert [side(attack, query, "linf", 8, 8) for query in (1, 50, 999)] == [7, 3, 1]
    assert [side(attack, query, "l2", 8, 8) for query in (1, 50, 999)] == [7, 3, 3]
    assert [side(attack, query, "l2") for query in (1, 2)] == [201, 143]  # 200 and 142 have no middle
    assert side(attack, 1, "linf", 10, 400) == 10
    assert side(attack, 1, "linf", 400, 10) == 10
    assert side(attack, 1, "l2", 10, 400) == 10
    assert side(Square(p_init=1.0), 1, "linf", 9, 9) == 9
    assert side(attack, 999, "linf", 2, 2) == 1
    assert side(Square(p_init=0.25), 1, "linf", 16, 16) == 8


def test_square_lowers_the_margin_or_the_cross_entropy_of_the_target_class() -> None:
    logits = np.array([[3, 1, 0.5]], np.float32)
    own, target = (cross_entropy(np, logits, one_hot(np.array([index]), 3))[0] for index in (0, 2))
    np.testing.assert_allclose(_losses(Goal(np.array([0])), logits), [[2, -own]], rtol=1e-6)
    aimed = _losses(Goal(np.array([0]), np.array([2])), logits)
    np.testing.assert_allclose(aimed, [[target, 2.5]], rtol=1e-6)
    assert aimed.dtype == np.float32


def test_square_goes_by_the_other_score_where_one_ties() -> None:
    original = np.random.default_rng(1).integers(0, 256, (1, 16, 20, 3), np.uint8)
    scores = iter([[5, 0, -9], [5, 0, -9], [5, 0, -8], [5, 0, -9], [5, 0, -8], *[[9, 0, 0]] * 9])
    shown: list[Pixels] = []

    def model(images: Pixels) -> Any:
        shown.append(images.copy())
        return np.array([next(scores)], np.float32)

    attack, threat = Square(queries=12), ThreatModel("linf", 12)
    attack.run(model, original, Goal(np.array([0])), threat=threat)
    expected = simulate(original, threat, attack, [True, False, True, *[False] * 8])
    for image, planned in zip(shown[1:-1], expected, strict=True):
        np.testing.assert_array_equal(image, planned)


def test_the_parameters_of_square() -> None:
    assert (Square().queries, Square().p_init, Square(queries=1).budget, Square().needs_gradients) == (
        1000,
        0.8,
        1,
        False,
    )
    assert Square(p_init=1).p_init == 1
    with pytest.raises(OptionError, match="above 0 and up to 1; received 1.01"):
        Square(p_init=1.01)
    with pytest.raises(OptionError, match="received 0$"):
        Square(p_init=0)

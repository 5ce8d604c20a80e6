"""Adversarial training: what it learns, on a linear model; what a run makes of it, on a tiny network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import check_one_line_error, lazy_module, rows_of, tledge, write_random_weights

from tledge.attacks.goal import Goal, Indices
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.losses import cross_entropy
from tledge.attacks.methods.apgd import Apgd
from tledge.attacks.threat_model import LINF, ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Pixels
from tledge.core.run_directory import RunDirectory
from tledge.train import train
from tledge.train.evaluation import evaluate_under_attack
from tledge.train.train_options import RunOptions
from tledge.train.train_settings import settle

keras = lazy_module("keras")
batches = lazy_module("tledge.train.adversarial_batches")

SIZE = 32
EPS = 8
EPOCHS = 6
FAINT = 3


@pytest.fixture(scope="module")
def options(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("weights")
    return {
        "data": photos,
        "backbone": "mobilenet",
        "alpha": 0.25,
        "weights": str(write_random_weights(folder / "random.weights.h5", "mobilenet", alpha=0.25)),
        "image_size": SIZE,
        "batch_size": 8,
        "epochs": EPOCHS,
        "patience": EPOCHS,
        "learning_rate": 1e-3,
        "fine_tune_from": "1",
        "augment": False,
        "label_smoothing": 0.0,
    }


@pytest.fixture(scope="module")
def ordinary(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    runs = tmp_path_factory.mktemp("ordinary")
    return RunDirectory(runs / train(**options, runs=runs).name)


@pytest.fixture(scope="module")
def hardened(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    runs = tmp_path_factory.mktemp("hardened")
    return RunDirectory(runs / train(**options, adversarial=EPS, runs=runs, tensorboard=True).name)


def draw_signs(count: int, seed: int) -> tuple[Pixels, Indices]:
    """Images of two classes, uint8 (count, 8, 8, 3), and their classes, (count,).

    Which half is brighter by far tells the class nine times of ten, a checkerboard that is fainter than ``EPS`` always.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    sign = (2 * labels - 1).reshape(-1, 1, 1, 1)
    observed_sign = np.where(rng.random((count, 1, 1, 1)) < 0.9, sign, -sign)
    halves = np.repeat([-1, 1], 4)[np.newaxis, np.newaxis, :, np.newaxis]
    board = (np.indices((8, 8)).sum(axis=0) % 2 * 2 - 1)[np.newaxis, :, :, np.newaxis]
    pixels = 127 + 30 * observed_sign * halves + FAINT * sign * board + rng.normal(0, 8, (count, 8, 8, 3))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), labels


def build_linear() -> Any:
    """A linear classifier of such images."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    scaled = keras.layers.Flatten()(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image))
    return keras.Model(image, keras.layers.Dense(2)(scaled))


def robust_accuracy(model: Any) -> float:
    pixels, labels = draw_signs(200, seed=2)
    result = Apgd(steps=20).run(GradientModel(model), pixels, Goal(labels), threat=ThreatModel(LINF, EPS))
    return result.robust_accuracy


def test_it_learns_what_an_attack_cannot_undo() -> None:
    """A model that learned from clean images trusts the checkerboard; one that was attacked has to do without."""
    pixels, labels = draw_signs(800, seed=1)
    data = (pixels.astype(np.float32), np.eye(2, dtype=np.float32)[labels])
    ordinary, hardened = build_linear(), build_linear()
    learner = batches.AdversarialModel(hardened, eps=EPS, steps=40 * 50, seed=0)
    for model in (ordinary, learner):
        model.compile(keras.optimizers.Adam(0.01), keras.losses.CategoricalCrossentropy(from_logits=True))
        model.fit(*data, sample_weight=np.ones(800, np.float32), batch_size=16, epochs=40, verbose=0)
    clean, classes = draw_signs(200, seed=2)
    assert np.mean(GradientModel(ordinary).logits(clean).argmax(axis=1) == classes) >= 0.97
    assert np.mean(GradientModel(hardened).logits(clean).argmax(axis=1) == classes) >= 0.8
    assert robust_accuracy(ordinary) <= 0.5
    assert robust_accuracy(hardened) >= 0.7


def test_the_record_tells_the_radius_and_what_it_stands_up_to(ordinary: RunDirectory, hardened: RunDirectory) -> None:
    manifest = hardened.manifest()
    assert manifest.config["adversarial"] == EPS
    robust = manifest.metrics["validation_robust_accuracy"]
    assert manifest.metrics["validation_robust_accuracy_low"] < robust
    assert robust < manifest.metrics["validation_robust_accuracy_high"] or robust == 1
    _, attacked = evaluate_under_attack(
        GradientModel(keras.saving.load_model(hardened.model)),
        hardened.splits(),
        "validation",
        eps=EPS,
        size=manifest.input_size,
        resize=manifest.resize,
    )
    assert robust == attacked.top1
    card = hardened.model_card.read_text()
    assert (
        f"around eps {EPS}/255 (L-infinity); validation accuracy under a short attack with that eps: {robust:.3f}"
        in card
    )
    assert "Training did not measure its robustness to attacks" not in card
    assert "validation_robust_accuracy" not in ordinary.manifest().metrics
    assert ordinary.manifest().config["adversarial"] is None
    assert "Training did not measure its robustness to attacks" in ordinary.model_card.read_text()


def test_epochs_are_compared_under_attack(ordinary: RunDirectory, hardened: RunDirectory) -> None:
    assert "val_robust_loss" not in ordinary.history.read_text()
    rows = rows_of(hardened.history)
    assert {row["val_robust_accuracy"] for row in rows if row["phase"] == "linear probe"} == {""}
    epochs = [row for row in rows if row["phase"] == "fine-tune"]
    assert len(epochs) == EPOCHS
    for row in epochs:
        assert float(row["val_robust_accuracy"]) <= float(row["val_top1"])
        assert float(row["val_robust_loss"]) >= float(row["val_loss"]) - 1e-3
    best = min(epochs, key=lambda row: float(row["val_robust_loss"]))
    assert int(best["epoch"]) == hardened.manifest().metrics["best_epoch"]
    assert list((hardened.tensorboard / "fine-tune").glob("events.out.tfevents.*"))


def test_a_linear_probe_that_is_better_on_clean_photos_is_not_kept(options: dict[str, Any], tmp_path: Path) -> None:
    """The loss on clean photos rises in this training, and the model that resists is kept nevertheless."""
    manifest = train(**{**options, "epochs": 3, "patience": 3}, adversarial=16, runs=tmp_path)
    assert manifest.metrics["best_epoch"] >= 1


def test_interrupted_and_resumed_it_ends_with_the_same_figures(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tledge.train.report.tensorboard import EventLog

    short: dict[str, Any] = {**options, "epochs": 4, "patience": 4}
    undisturbed = train(**short, adversarial=EPS, runs=tmp_path / "undisturbed")
    genuine = EventLog.write

    def interrupt(self: EventLog, row: Any) -> None:
        genuine(self, row)
        if (row.phase, row.epoch) == ("fine-tune", 2):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(EventLog, "write", interrupt)
        with pytest.raises(KeyboardInterrupt, match=r"continue '.*' with `train\(resume=True"):
            train(**short, adversarial=EPS, runs=tmp_path / "disturbed")
    resumed = train(resume=True, runs=tmp_path / "disturbed")
    histories = [rows_of(tmp_path / name / "latest" / "history.csv") for name in ("undisturbed", "disturbed")]
    assert histories[0] == histories[1]
    for name, value in undisturbed.metrics.items():
        if name not in ("seconds_training", "peak_memory"):
            assert resumed.metrics[name] == value, name


def test_the_command_says_what_it_reached(options: dict[str, Any], tmp_path: Path) -> None:
    command = ["train", "--data", options["data"], "--weights", options["weights"], "--backbone", "mobilenet"]
    command += ["--alpha", "0.25", "--image-size", str(SIZE), "--epochs", "1"]
    done = tledge(*command, "--adversarial", EPS, cwd=tmp_path)
    assert done.code == 0, done
    metrics = RunDirectory(tmp_path / "runs" / "latest").manifest().metrics
    clean, robust = (metrics[f"validation_{name}"] for name in ("top1", "robust_accuracy"))
    assert f"Adversarial: eps {EPS}/255, val top-1 {clean:.3f}, under attack {robust:.3f}" in done.out
    check_one_line_error(
        tledge(*command, "--adversarial", 20, cwd=tmp_path), "--adversarial must be a whole number from 1 to 16"
    )


def test_a_step_of_the_attack_stays_within_the_radius_and_raises_the_loss(tiny_keras_model: Any) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 16, 16, 3)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[np.arange(6) % 3]
    radius = np.array([0, 1, 2, 4, 8, 16], np.float32).reshape(-1, 1, 1, 1)
    moved = [
        np.asarray(
            batches.perturb(tiny_keras_model, keras.ops.convert_to_tensor(pixels), labels, radius=radius, **drawn)
        )
        for drawn in ({"seed": 1, "number": 4}, {"seed": 1, "number": 4}, {"seed": 1, "number": 5})
    ]
    np.testing.assert_array_equal(moved[0], moved[1])
    assert (moved[0] != moved[2]).any()
    assert moved[0].min() >= 0
    assert moved[0].max() <= 255
    change = np.abs(moved[0] - pixels).max(axis=(1, 2, 3))
    assert (change <= radius.ravel() + 1e-4).all()
    assert (change[1:] > 0.9 * radius.ravel()[1:]).all()

    def losses(values: Any) -> Any:
        return cross_entropy(np, np.asarray(tiny_keras_model(values)), labels)

    assert (losses(moved[0]) >= losses(pixels)).all()
    assert losses(moved[0])[1:].mean() > losses(pixels)[1:].mean()


def test_a_step_goes_from_a_random_start_by_one_and_a_quarter_radii() -> None:
    """The gradient of a linear model is the same everywhere: here, each pixel value raises the logit of class 0."""
    from tledge.train.backend import draw_noise

    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    model.set_weights([np.tile(np.array([[1e-5, -1e-5]], np.float32), (48, 1)), np.zeros(2, np.float32)])
    pixels = np.full((2, 4, 4, 3), 100, np.float32)
    labels = np.eye(2, dtype=np.float32)
    noise = np.asarray(draw_noise((2, 4, 4, 3), 3, 8))
    assert -1 <= noise.min() < -0.5
    assert 0.5 < noise.max() <= 1
    moved = np.asarray(
        batches.perturb(model, keras.ops.convert_to_tensor(pixels), labels, radius=8.0, seed=3, number=8)
    )
    away = np.array([-1, 1], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(moved, np.clip(100 + 8 * noise + 1.25 * 8 * away, 92, 108), atol=1e-3)


def test_what_is_not_asked_for_suits_adversarial_training(options: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"data": "photos", "weights": options["weights"], "backbone": "mobilenet", "alpha": 0.25}
    settings = settle(RunOptions(**{**asked, "adversarial": 1}))
    assert (settings.fine_tune_from, settings.label_smoothing, settings.batch_size) == ("1", 0.0, 8)
    assert settings.patience == settings.epochs > settle(RunOptions(**asked)).epochs
    changed = settle(
        RunOptions(**{**asked, "adversarial": 1, "epochs": 3, "batch_size": 4, "label_smoothing": 0.2, "patience": 2})
    )
    assert (changed.epochs, changed.batch_size, changed.label_smoothing, changed.patience) == (3, 4, 0.2, 2)
    assert settle(RunOptions(**asked)).adversarial is None
    assert (settle(RunOptions(**asked)).fine_tune_from, settle(RunOptions(**asked)).batch_size) == ("3", 32)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"adversarial": 0}, "`adversarial` must be a whole number from 1 to 16, .*; received 0"),
        ({"adversarial": -1}, "`adversarial` must be a whole number from 1 to 16, .*; received -1"),
        ({"adversarial": 17}, "`adversarial` must be a whole number from 1 to 16, .*; received 17"),
        ({"adversarial": 0.5}, "`adversarial` must be a whole number from 1 to 16, .*; received 0.5"),
        ({"fine_tune": False}, "`adversarial` fine-tunes a pretrained model: .* leave out `fine_tune=False`"),
        ({"weights": "none"}, "`adversarial` fine-tunes a pretrained model: pass `weights='imagenet'`"),
        ({"precision": "mixed_bfloat16"}, "`adversarial` needs `precision='float32'`; received mixed_bfloat16"),
        ({"hosts": 2, "coordinator": "127.0.0.1:1"}, "`adversarial` trains on one host, .*; received `hosts=2`"),
    ],
)
def test_what_cannot_be_asked_for_is_said(wrong: dict[str, Any], message: str, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=message):
        settle(RunOptions(**{**options, "adversarial": 1, **wrong}))

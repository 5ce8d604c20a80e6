"""Gradients of a Keras model on TensorFlow and on JAX."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tledge.attacks.attack import Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.core.errors import ModelError, OptionError, UnknownNameError

ON_JAX = """
import json, sys
import keras
import numpy as np
from tledge.attacks.attack import ATTACKS, Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.threat_model import ThreatModel
folder = sys.argv[1]
model = GradientModel(keras.saving.load_model(f"{folder}/network.keras", compile=False), batch_size=16)
stored = np.load(f"{folder}/digits.npz")
images, goal = stored["images"], Goal(stored["labels"])
targeted = Goal(goal.labels, (goal.labels + 1) % 10)
found = {loss: model.gradients(images, goal, loss) for loss in ("cross-entropy", "dlr")}
aimed = {loss: model.gradients(images, targeted, loss) for loss in ("cross-entropy", "dlr")}
attacks = {}
for name in ("fgsm", "pgd", "apgd"):
    result = ATTACKS.load(name).run(model, images, goal, threat=ThreatModel("linf", 6), seed=1)
    predicted = model.logits(result.adversarial).argmax(axis=1)
    attacks[name] = [int(result.success.sum()), bool((result.success == (predicted != goal.labels)).all())]
np.savez(
    f"{folder}/jax.npz",
    logits=model.logits(images),
    **{f"{loss} losses": each.losses for loss, each in found.items()},
    **{f"{loss} gradients": each.gradients for loss, each in found.items()},
    **{f"targeted {loss} losses": each.losses for loss, each in aimed.items()},
    **{f"targeted {loss} gradients": each.gradients for loss, each in aimed.items()},
)
print(json.dumps({"backend": keras.backend.backend(), "attacks": attacks, "tensorflow": "tensorflow" in sys.modules}))
"""


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("loss", ["cross-entropy", "dlr"])
def test_gradients_are_slopes(targeted: bool, loss: str, model: GradientModel, digits: Any) -> None:
    """Along a random direction, against the difference of losses."""
    goal = digits.targeted if targeted else digits.goal
    images = digits.images.astype(np.float32)
    found = model.gradients(images, goal, loss)
    step = np.random.default_rng(0).normal(0, 0.02, images.shape).astype(np.float32)
    ahead, behind = (model.gradients(images + sign * step, goal, loss).losses for sign in (1, -1))
    slopes = (found.gradients * step).sum(axis=(1, 2, 3))
    np.testing.assert_allclose((ahead - behind) / 2, slopes, rtol=0.15, atol=2e-3 * max(1, np.abs(slopes).max()))
    assert np.corrcoef(ahead - behind, slopes)[0, 1] > 0.999


def test_bytes_and_floats_and_batches_of_any_size_are_the_same(network: Any, digits: Any) -> None:
    whole, one = GradientModel(network, batch_size=64), GradientModel(network, batch_size=1)
    images, goal = digits.images[:5], digits.goal.select(np.arange(5))
    expected = network(images.astype(np.float32), training=False)
    np.testing.assert_allclose(whole.logits(images), expected, atol=1e-4)
    np.testing.assert_allclose(one(images.astype(np.float32)), expected, atol=1e-4)
    assert whole.logits(images[:0]).shape == (0, 10)
    first, second = whole.gradients(images, goal), one.gradients(images.astype(np.float32), goal)
    assert first.gradients.shape == images.shape
    np.testing.assert_allclose(first.gradients, second.gradients, atol=1e-4 * np.abs(first.gradients).max())
    np.testing.assert_allclose(first.logits, expected, atol=1e-4)
    assert whole.classes == 10


def test_the_model_stays_as_it_was_and_new_weights_count(network: Any, digits: Any) -> None:
    import keras

    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    weights = copy.get_weights()
    model = GradientModel(copy)
    before = model.gradients(digits.images, digits.goal)
    for first, second in zip(weights, copy.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    copy.get_layer("logits").set_weights([2 * values for values in copy.get_layer("logits").get_weights()])
    np.testing.assert_allclose(model.logits(digits.images), 2 * before.logits, rtol=1e-4, atol=1e-4)


def test_an_unknown_loss_is_rejected(model: GradientModel, digits: Any) -> None:
    with pytest.raises(UnknownNameError, match="unknown loss function 'hinge'. Loss functions: cross-entropy, dlr"):
        model.gradients(digits.images, digits.goal, "hinge")


def _dense(classes: int, activation: str | None = None, channels: int = 3) -> Any:
    import keras

    image = keras.Input((8, 8, channels))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Dense(classes, activation=activation, name="last")(pooled))


def _with_softmax(model: Any) -> Any:
    import keras

    return keras.Model(model.input, keras.layers.Softmax(name="probabilities")(model.output))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: _dense(3, "softmax"), "attacks need logits, but 'last' ends in a softmax"),
        (lambda: _with_softmax(_dense(3)), "attacks need logits, but 'probabilities' ends in a softmax"),
        (lambda: _dense(1), "2 classes or more"),
        (lambda: _dense(3, channels=1), r"received one from \(None, 8, 8, 1\) to \(None, 3\)"),
        (lambda: "model.keras", "attacks need a built keras.Model .* received 'model.keras'"),
    ],
)
def test_what_is_no_classifier_is_rejected(build: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        GradientModel(build())


def test_a_batch_size_of_nothing_is_rejected(network: Any) -> None:
    with pytest.raises(OptionError, match="batch_size must be 1 or more; received 0"):
        GradientModel(network, batch_size=0)


@pytest.mark.slow
def test_jax_finds_the_same(network: Any, model: GradientModel, digits: Any, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    network.save(tmp_path / "network.keras")
    np.savez(tmp_path / "digits.npz", images=digits.images, labels=digits.labels)
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["backend"] == "jax"
    assert not report["tensorflow"]
    found = np.load(tmp_path / "jax.npz")
    np.testing.assert_allclose(found["logits"], model.logits(digits.images), atol=1e-3)
    for goal, kind in ((digits.goal, ""), (digits.targeted, "targeted ")):
        for loss in ("cross-entropy", "dlr"):
            here = model.gradients(digits.images, goal, loss)
            np.testing.assert_allclose(found[f"{kind}{loss} losses"], here.losses, atol=1e-3)
            near = 1e-3 * np.abs(here.gradients).max()
            np.testing.assert_allclose(found[f"{kind}{loss} gradients"], here.gradients, atol=near)
    fooled = {name: count for name, (count, true) in report["attacks"].items() if true}
    assert fooled["apgd"] >= fooled["pgd"] - 1 >= fooled["fgsm"] - 1 >= 0
    assert fooled["pgd"] > 0


@pytest.mark.unit
def test_goals_select_and_tell(digits: Any) -> None:
    logits = np.array([[1, 3, 2], [5, 0, 1]], np.float32)
    goal = Goal(np.array([1, 0]))
    assert goal.reached(logits).tolist() == [False, False]
    assert goal.margins(logits).tolist() == [1, 4]
    aimed = Goal(np.array([0, 1]), np.array([1, 2]))
    assert aimed.reached(logits).tolist() == [True, False]
    assert aimed.margins(logits).tolist() == [-1, 4]
    assert aimed.select(np.array([1])).margins(logits[1:]).tolist() == [4]

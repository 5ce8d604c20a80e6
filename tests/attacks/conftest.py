"""A small network that has learned handwritten digits, to attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tledge.attacks.attack import Goal
from tledge.attacks.gradients import GradientModel
from tledge.core.images import Pixels

PHOTOS = 24


@dataclass(frozen=True)
class Digits:
    """Images that the network has not learned from: uint8 (N, 32, 32, 3), and their classes."""

    images: Pixels
    labels: Any

    @property
    def goal(self) -> Goal:
        return Goal(self.labels)

    @property
    def targeted(self) -> Goal:
        return Goal(self.labels, (self.labels + 1) % 10)


@pytest.fixture(scope="session")
def digit_sets() -> Sequence[Digits]:
    """1,600 digits to learn from, and 24 to attack."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    small = (40 + pixels.reshape(-1, 8, 8, 1) * 10).astype(np.uint8)
    images = np.ascontiguousarray(np.broadcast_to(small.repeat(4, axis=1).repeat(4, axis=2), (len(labels), 32, 32, 3)))
    return Digits(images[:1600], labels[:1600]), Digits(images[-PHOTOS:], labels[-PHOTOS:])


@pytest.fixture(scope="session")
def digits(digit_sets: Sequence[Digits]) -> Digits:
    return digit_sets[1]


@pytest.fixture(scope="session")
def network(digit_sets: Sequence[Digits]) -> Any:
    """A ``keras.Model`` from pixel values to 10 logits, right about nearly all digits."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(image, keras.layers.Dense(10, name="logits")(x))
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    learned, _ = digit_sets
    model.fit(learned.images.astype(np.float32), learned.labels, batch_size=32, epochs=4, verbose=0)
    return model


@pytest.fixture(scope="session")
def model(network: Any) -> GradientModel:
    return GradientModel(network)


@pytest.fixture(scope="session")
def stairs(network: Any) -> GradientModel:
    """The same network with logits that go up and down in steps: as right, as easily fooled, and without gradients."""
    import keras

    return GradientModel(keras.Model(network.input, keras.ops.round(network.output * 4) / 4))

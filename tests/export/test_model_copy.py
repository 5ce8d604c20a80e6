"""Copies of models compute the same, also if a layer's state is not all in its weights."""

from typing import Any

import numpy as np
from support import lazy_module, random_images

keras = lazy_module("keras")

IMAGES = random_images(4, 16).astype(np.float32)


def classifier() -> Any:
    """A classifier with an adapted Normalization, arithmetic, a model inside it and a batch norm."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    statistics = keras.layers.Normalization()
    statistics.adapt(IMAGES)
    inner = keras.Sequential([keras.Input((16, 16, 3)), statistics, keras.layers.Conv2D(4, 3)], name="inner")
    norm = keras.layers.BatchNormalization()
    x = norm(inner(image / 2.0))
    norm.set_weights([np.linspace(0.5, 1.5, 4)] * 4)
    return keras.Model(image, keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(keras.ops.relu(x))))


def test_a_copy_computes_the_same_and_shares_nothing() -> None:
    from tledge.export.model_copy import copy_model

    model = classifier()
    expected = model.predict_on_batch(IMAGES)
    copy = copy_model(model, {"logits": "logits.9"})
    np.testing.assert_array_equal(copy.predict_on_batch(IMAGES), expected)
    assert [layer.name for layer in copy.layers[:-1]] == [layer.name for layer in model.layers[:-1]]
    copy.get_layer("logits.9").set_weights([np.zeros((784, 3)), np.zeros(3)])
    np.testing.assert_array_equal(model.predict_on_batch(IMAGES), expected)

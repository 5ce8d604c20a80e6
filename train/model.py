"""The classifier that is trained: preprocessing, backbone and head in one flat graph. Imports Keras."""

from __future__ import annotations

from typing import Any

import keras

from tledge.train.backbone import Backbone
from tledge.train.backend import use_xla


def assemble(backbone: Backbone, network: Any, image_size: int, classes: int) -> Any:
    """Builds the classifier around a backbone.

    The graph is flat: no layer of it is a model, so that layers can be found by name, whatever the tool.

    Args:
        backbone: which.
        network: the backbone as a ``keras.Model``; its weights are copied.
        image_size: height and width in pixels.
        classes: how many.

    Returns:
        A ``keras.Model`` from ``image``, float32 RGB pixel values 0 to 255 (N, image_size, image_size, 3), to
        ``logits`` (N, classes). Its layer ``features`` gives the pooled features (N, channels).
    """
    image = keras.Input((image_size, image_size, 3), name="image")
    features = keras.layers.GlobalAveragePooling2D(name="features")(backbone.connect(image))
    logits = keras.layers.Dense(classes, name="logits")(features)
    model = keras.Model(image, logits)
    model.jit_compile = use_xla()
    for layer in network.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def features_of(model: Any) -> Any:
    """The part of a classifier from ``image`` to the pooled ``features``, sharing its weights."""
    features = keras.Model(model.input, model.get_layer("features").output)
    features.jit_compile = use_xla()
    return features

"""The classifier that is trained: preprocessing, backbone and head in one flat graph. Imports Keras."""

from __future__ import annotations

from typing import Any

import keras

from tledge.train.backbone import Backbone
from tledge.train.backend import use_xla


def assemble(backbone: Backbone, image_size: int, classes: int, alpha: float = 1.0) -> Any:
    """Builds a classifier with random weights.

    The graph is flat: no layer of it is a model, so that layers can be found by name, whatever the tool. Its precision
    is Keras' current one (``keras.config.dtype_policy``), but for the logits, which are float32.

    Args:
        backbone: which.
        image_size: height and width in pixels.
        classes: how many.
        alpha: the backbone's width multiplier.

    Returns:
        A ``keras.Model`` from ``image``, float32 RGB pixel values 0 to 255 (N, image_size, image_size, 3), to
        ``logits`` (N, classes). Its layer ``features`` gives the pooled features (N, channels).
    """
    image = keras.Input((image_size, image_size, 3), name="image", dtype="float32")
    features = keras.layers.GlobalAveragePooling2D(name="features")(backbone.connect(image, alpha))
    logits = keras.layers.Dense(classes, name="logits", dtype="float32")(features)
    model = keras.Model(image, logits)
    model.jit_compile = use_xla()
    return model


def take_weights(model: Any, network: Any) -> None:
    """Copies the weights of a backbone on its own into the classifier around it."""
    # By order, not by name: layers that Keras names by itself have other names in each model.
    ours = [layer for layer in model.layers if layer.weights and layer.name != "logits"]
    theirs = [layer for layer in network.layers if layer.weights]
    of_the_backbone = ours[len(ours) - len(theirs) :]  # the preprocessing before it may have a layer with weights
    for layer, source in zip(of_the_backbone, theirs, strict=True):
        layer.set_weights(source.get_weights())


def features_of(model: Any) -> Any:
    """The part of a classifier from ``image`` to the pooled ``features``, sharing its weights."""
    features = keras.Model(model.input, model.get_layer("features").output)
    features.jit_compile = use_xla()
    return features


def freeze_before(model: Any, first_layer: str) -> None:
    """Lets the layers from one on learn and no others; batch norms keep their statistics (inference mode)."""
    learns = False
    for layer in model.layers:
        learns = learns or layer.name == first_layer
        layer.trainable = learns and not isinstance(layer, keras.layers.BatchNormalization)

"""Layer graphs as tf_keras models. Imports TensorFlow and tf_keras: for the child process."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tledge.core.errors import ConversionError, first_line
from tledge.export.tfmot.graph import INPUT, Graph, Node
from tledge.export.tfmot.quantization_plan import FAKE_QUANT

LARGEST_DIFFERENCE = 1e-3
"""Largest allowed difference between a logit of the rebuilt model and of the Keras model, as a fraction of the largest
logit."""

_RENAMED = {"LeakyReLU": {"negative_slope": "alpha"}}
"""Options with another name in tf_keras, by layer class: Keras 3's name and tf_keras' name."""

_KINDS = frozenset(
    {"Conv2D", "Dense", "DepthwiseConv2D", "SeparableConv2D", "BatchNormalization", "LayerNormalization"}
    | {"Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"}
    | {"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"}
    | {"AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D"}
    | {"Cropping2D", "Flatten", "Permute", "Rescaling", "Reshape", "UpSampling2D", "ZeroPadding2D"}
)
"""Layers that can be rebuilt in tf_keras."""


@tf_keras.utils.register_keras_serializable("tledge")  # type: ignore[untyped-decorator]
def hard_sigmoid(x: Any) -> Any:
    """Computes relu6(x + 3) / 6 as Keras 3 does; tf_keras uses another slope."""
    return tf.nn.relu6(x + 3.0) / 6.0


@tf_keras.utils.register_keras_serializable("tledge")  # type: ignore[untyped-decorator]
def hard_silu(x: Any) -> Any:
    """Computes x times ``hard_sigmoid``, the hard swish of MobileNetV3."""
    return x * hard_sigmoid(x)


_ACTIVATIONS = {"hard_sigmoid": hard_sigmoid, "hard_silu": hard_silu, "hard_swish": hard_silu, "silu": tf.nn.silu}


class FakeQuant(tf_keras.layers.Layer):  # type: ignore[misc]
    """Rounds values to 256 steps of a range, which the converter takes over."""

    def __init__(self, low: float, high: float, **options: Any) -> None:
        super().__init__(**options)
        self._low, self._high = low, high

    def call(self, inputs: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(inputs, self._low, self._high)


def build(graph: Graph) -> Any:
    """Builds a ``tf_keras.Model`` from ``image``, float32 (N, height, width, 3), to logits, with the graph's weights.

    Raises:
        ConversionError: tf_keras does not have one of the layers.
    """
    image = tf_keras.Input((*graph.size, 3), name=INPUT, dtype="float32")
    values = {INPUT: image}
    layers = {}
    for node in graph.nodes:
        layers[node.name] = layer = _make(node)
        taken = [values[name] for name in node.inputs]
        values[node.name] = layer(taken if len(taken) > 1 else taken[0])
    model = tf_keras.Model(image, values[graph.nodes[-1].name])
    for name, weights in graph.weights.items():
        layers[name].set_weights(weights)
    return model


def check_same(model: Any, probe: Mapping[str, Any]) -> None:
    """Raises ConversionError unless a rebuilt model gives the Keras model's ``logits`` of the ``images``, uint8."""
    expected = probe["logits"]
    difference = np.abs(model(probe["images"].astype(np.float32), training=False).numpy() - expected).max()
    if not difference <= LARGEST_DIFFERENCE * max(1.0, np.abs(expected).max()):
        raise ConversionError(
            f"the model's logits differ between tf_keras and Keras 3 (by up to {difference:.3g}); use int8 instead of"
            " qat, and leave out `sparsity`"
        )


def _make(node: Node) -> Any:
    if node.kind == FAKE_QUANT:
        return FakeQuant(name=node.name, **node.config)
    if node.kind not in _KINDS:
        raise ConversionError(
            f"layer '{node.name}' ({node.kind}) has no counterpart in tf_keras, which qat and `sparsity` train with:"
            " use int8 instead"
        )
    kind = getattr(tf_keras.layers, node.kind)
    known = inspect.signature(kind.__init__).parameters
    renamed = _RENAMED.get(node.kind, {})
    config = {renamed.get(key, key): value for key, value in node.config.items()}
    options = {key: value for key, value in config.items() if key in known}
    if "activation" in options:
        options["activation"] = _ACTIVATIONS.get(options["activation"], options["activation"])
    try:
        return kind(name=node.name, **options)
    except (TypeError, ValueError) as error:
        raise ConversionError(
            f"layer '{node.name}' ({node.kind}) cannot be built in tf_keras: {first_line(error)}; use int8 instead"
        ) from error

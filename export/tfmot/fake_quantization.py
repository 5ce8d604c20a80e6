"""tfmot's fake quantization of a tf_keras model, and its conversion to TFLite. Imports TensorFlow: for the child.

It differs from tfmot's default scheme in three ways. Depthwise and dense kernels get a scale for each output channel,
as in TFLite. Ranges start at those of real photos; from tfmot's -6 and 6 the moving averages need thousands of steps.
Batch norms that do not follow a convolution can be quantized.

Source: Jacob et al. 2017, arXiv 1712.05877.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from tledge.core.images import Pixels
from tledge.export.tfmot.graph import INPUT, Graph, Weights
from tledge.export.tfmot.legacy_model import build
from tledge.export.tfmot.quantization_plan import LEVELS, QuantizationPlan

DECAY = 0.99
"""Decay of the moving averages: a range follows within a hundred steps; tfmot's default takes a thousand."""

_LIMITS = ("min", "max")

_quantization = tfmot.quantization.keras
_KERNELS = {"Conv2D": "kernel", "DepthwiseConv2D": "depthwise_kernel", "Dense": "kernel"}
_ROLES = ("depthwise_kernel", "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
"""Last parts of variable names, in the order of ``get_weights``."""

_TRAINED = frozenset({"depthwise_kernel", "kernel", "bias", "gamma", "beta"})


class ChannelQuantizer(_quantization.quantizers.Quantizer):  # type: ignore[misc,name-defined]
    """Rounds a kernel to the integer grid of each output channel, -127 to 127; gradients pass unchanged."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {"depthwise": "depthwise" in name}

    def __call__(self, inputs: Any, training: bool, weights: Mapping[str, Any], **_: Any) -> Any:
        outputs = inputs.shape[-2] * inputs.shape[-1] if weights["depthwise"] else inputs.shape[-1]
        rows = tf.reshape(inputs, (-1, outputs))
        scale = tf.maximum(tf.reduce_max(tf.abs(rows), axis=0) / LEVELS, np.finfo(np.float32).tiny)
        rounded = tf.reshape(tf.round(rows / scale) * scale, inputs.shape)
        return inputs + tf.stop_gradient(rounded - inputs)

    def get_config(self) -> dict[str, Any]:
        return {}


class RangeQuantizer(_quantization.quantizers.Quantizer):  # type: ignore[misc,name-defined]
    """Rounds values to the 256 steps of a range; gradients pass unchanged within it.

    Args:
        moving: whether the range follows the extremes of each batch during training.
    """

    def __init__(self, moving: bool) -> None:
        self._moving = moving

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {
            limit: layer.add_weight(f"{name}_{limit}", shape=(), initializer="zeros", trainable=False)
            for limit in _LIMITS
        }

    def __call__(self, inputs: Any, training: bool, weights: Mapping[str, Any], **_: Any) -> Any:
        low, high = (weights[limit] for limit in _LIMITS)
        if self._moving and training:
            low = low.assign(DECAY * low + (1 - DECAY) * tf.minimum(tf.reduce_min(inputs), 0.0))
            high = high.assign(DECAY * high + (1 - DECAY) * tf.maximum(tf.reduce_max(inputs), 0.0))
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def get_config(self) -> dict[str, Any]:
        return {"moving": self._moving}


class LayerQuantization(_quantization.QuantizeConfig):  # type: ignore[misc,name-defined]
    """How one layer is quantized.

    Args:
        kernel: the attribute that holds its kernel; None for a layer without one.
        moving: whether the output's range follows the activations during training.
    """

    def __init__(self, kernel: str | None, output: bool, moving: bool) -> None:
        self._options = {"kernel": kernel, "output": output, "moving": moving}

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        kernel = self._options["kernel"]
        return [(getattr(layer, str(kernel)), ChannelQuantizer())] if kernel else []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        for weight in quantize_weights:
            setattr(layer, str(self._options["kernel"]), weight)

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        if not self._options["output"]:
            return []
        return [RangeQuantizer(bool(self._options["moving"]))]

    def get_config(self) -> dict[str, Any]:
        return dict(self._options)


class _NoTransforms:
    """Leaves the layers as they are: the plan has been made already."""

    def apply(self, model: Any, layer_quantize_map: Any) -> tuple[Any, Any]:
        return model, layer_quantize_map


class _PlannedScheme(_quantization.default_8bit.Default8BitQuantizeScheme):  # type: ignore[misc,name-defined]
    def get_layout_transformer(self) -> _NoTransforms:
        return _NoTransforms()


def quantize(plan: QuantizationPlan) -> Any:
    """Builds the plan's graph as a tf_keras model with fake quantization; its ranges are not set yet."""
    moving = plan.quantized - plan.preprocessing
    kinds = {node.name: node.kind for node in plan.graph.nodes}

    def annotate(layer: Any) -> Any:
        if isinstance(layer, tf_keras.layers.InputLayer):
            return layer
        config = LayerQuantization(_KERNELS.get(kinds[layer.name]), layer.name in plan.quantized, layer.name in moving)
        return _quantization.quantize_annotate_layer(layer, config)

    with _quantization.quantize_scope({"LayerQuantization": LayerQuantization}):
        plain = build(plan.graph)
        annotated = tf_keras.models.clone_model(plain, clone_function=annotate)
        annotated.set_weights(plain.get_weights())
        quantized = _quantization.quantize_apply(annotated, scheme=_PlannedScheme())
    for layer in quantized.layers:
        if isinstance(getattr(layer, "layer", None), tf_keras.layers.BatchNormalization):
            layer.layer.trainable = False  # keep its statistics
    return quantized


def trained_variables(model: Any, fixed: frozenset[str]) -> list[Any]:
    """Returns what is trained: kernels, biases, and batch norms' scales and shifts, except in the layers ``fixed``."""
    return [
        variable
        for name, roles in _variables(model).items()
        if name not in fixed
        for role, variable in roles.items()
        if role in _TRAINED
    ]


def read_weights(model: Any) -> Weights:
    """Returns the weights of the layers inside a model's wrappers, by the layers' names."""
    return {
        name: [roles[role].numpy() for role in _ROLES if role in roles]
        for name, roles in _variables(model).items()
        if roles
    }


def _variables(model: Any) -> dict[str, dict[str, Any]]:
    """Returns the variables by layer name and by role."""
    found: dict[str, dict[str, Any]] = {}
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)
        roles = {variable.name.rpartition("/")[2].partition(":")[0]: variable for variable in layer.weights}
        found[inner.name] = {role: variable for role, variable in roles.items() if role in _ROLES}
    return found


def calibrate(model: Any, plan: QuantizationPlan, batches: Iterable[Pixels]) -> None:
    """Sets a quantized model's ranges to those of photos in the float model.

    The limits are the means of the batches' extremes, to which the moving averages converge. For the preprocessing they
    are the values of the darkest and the brightest colours.

    Args:
        batches: uint8 (n, height, width, 3).
    """
    float_model = build(plan.graph)
    names = [node.name for node in plan.graph.nodes if node.name in plan.quantized]
    taps = tf_keras.Model(float_model.input, [float_model.get_layer(name).output for name in names])

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def extremes(images: Any) -> Any:
        outputs = tf.nest.flatten(taps(images, training=False))
        return tf.stack([(tf.reduce_min(output), tf.reduce_max(output)) for output in outputs])

    corners = np.array([[255 * (corner >> channel & 1) for channel in range(3)] for corner in range(8)], np.float32)
    known = extremes(np.broadcast_to(corners[:, np.newaxis, np.newaxis], (8, *plan.graph.size, 3))).numpy()
    observed = np.mean([extremes(tf.constant(batch, tf.float32)).numpy() for batch in batches], axis=0)
    for index, name in enumerate(names):
        low, high = known[index] if name in plan.preprocessing else observed[index]
        lowest, highest = _range_variables(model, name)
        lowest.assign(min(0.0, low))
        highest.assign(max(0.0, high, low + 1e-6))


def read_ranges(model: Any, plan: QuantizationPlan) -> dict[str, tuple[float, float]]:
    """Returns the (lowest, highest) output of each quantized layer, and of the pixels."""
    ranges = {INPUT: (0.0, 255.0)}
    for name in plan.quantized:
        low, high = (float(variable.numpy()) for variable in _range_variables(model, name))
        ranges[name] = (low, high)
    return ranges


def _range_variables(model: Any, name: str) -> list[Any]:
    weights = {
        variable.name.rpartition("output_")[2]: variable for variable in model.get_layer(f"quant_{name}").weights
    }
    return [weights[f"{limit}:0"] for limit in _LIMITS]


def convert(graph: Graph) -> bytes:
    """Converts a graph from ``to_integers`` to TFLite: float32 ``image`` to float32 ``logits``, int8 inside."""
    from tledge.export.concrete_function import make_converter

    converter = make_converter(build(graph))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())

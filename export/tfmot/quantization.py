"""tfmot's fake quantization of a tf_keras model, and its conversion to TFLite. Imports TensorFlow: for the child.

It goes beyond tfmot's default scheme where that loses: depthwise kernels and dense ones get a scale for each output
channel, as TFLite has them; ranges begin at those of real photos, not at -6 and 6, from where it takes tfmot's moving
averages thousands of steps; and batch norms that follow no convolution can be quantized at all.

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
from tledge.export.tfmot.quantizable import LEVELS, Scheme

PIXEL_RANGE = (0.0, 255.0)
DECAY = 0.99
"""Of the moving averages: a range follows within a hundred steps, where tfmot's own takes a thousand."""

_ENDS = ("min", "max")

_quantization = tfmot.quantization.keras
_KERNELS = {"Conv2D": "kernel", "DepthwiseConv2D": "depthwise_kernel", "Dense": "kernel"}
_ROLES = ("depthwise_kernel", "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
"""Variables by the end of their name, in the order of ``get_weights``."""

_LEARNT = frozenset({"depthwise_kernel", "kernel", "bias", "gamma", "beta"})


class ChannelQuantizer(_quantization.quantizers.Quantizer):  # type: ignore[misc,name-defined]
    """Rounds a kernel to the integers of its output channels, -127 to 127; gradients pass as if it did not."""

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
    """Rounds to the 256 steps of a range, and passes gradients on within it.

    Args:
        moving: in training, the range follows the extremes of each batch; otherwise it stays.
    """

    def __init__(self, moving: bool) -> None:
        self._moving = moving

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {end: layer.add_weight(f"{name}_{end}", shape=(), initializer="zeros", trainable=False) for end in _ENDS}

    def __call__(self, inputs: Any, training: bool, weights: Mapping[str, Any], **_: Any) -> Any:
        low, high = (weights[end] for end in _ENDS)
        if self._moving and training:
            low = low.assign(DECAY * low + (1 - DECAY) * tf.minimum(tf.reduce_min(inputs), 0.0))
            high = high.assign(DECAY * high + (1 - DECAY) * tf.maximum(tf.reduce_max(inputs), 0.0))
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def get_config(self) -> dict[str, Any]:
        return {"moving": self._moving}


class LayerQuantization(_quantization.QuantizeConfig):  # type: ignore[misc,name-defined]
    """How one layer is quantized.

    Args:
        kernel: the attribute that holds its kernel, if it has one.
        output: its output is quantized.
        moving: the output's range follows the training's activations.
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
    """Leaves the layers as they are: the scheme has decided already."""

    def apply(self, model: Any, layer_quantize_map: Any) -> tuple[Any, Any]:
        return model, layer_quantize_map


class _OwnScheme(_quantization.default_8bit.Default8BitQuantizeScheme):  # type: ignore[misc,name-defined]
    def get_layout_transformer(self) -> _NoTransforms:
        return _NoTransforms()


def quantize(scheme: Scheme) -> Any:
    """The scheme's graph as a tf_keras model with fake quantization everywhere; its ranges are not set yet."""
    moving = scheme.quantized - scheme.preprocessing
    kinds = {node.name: node.kind for node in scheme.graph.nodes}

    def annotate(layer: Any) -> Any:
        if isinstance(layer, tf_keras.layers.InputLayer):
            return layer
        config = LayerQuantization(
            _KERNELS.get(kinds[layer.name]), layer.name in scheme.quantized, layer.name in moving
        )
        return _quantization.quantize_annotate_layer(layer, config)

    with _quantization.quantize_scope({"LayerQuantization": LayerQuantization}):
        plain = build(scheme.graph)
        annotated = tf_keras.models.clone_model(plain, clone_function=annotate)
        annotated.set_weights(plain.get_weights())
        quantized = _quantization.quantize_apply(annotated, scheme=_OwnScheme())
    for layer in quantized.layers:
        if isinstance(getattr(layer, "layer", None), tf_keras.layers.BatchNormalization):
            layer.layer.trainable = False  # its statistics stay
    return quantized


def learnt_variables(model: Any, fixed: frozenset[str]) -> list[Any]:
    """What training changes: kernels, biases and the batch norms' scales and shifts, but for the layers ``fixed``."""
    return [
        variable
        for name, roles in _variables(model).items()
        if name not in fixed
        for role, variable in roles.items()
        if role in _LEARNT
    ]


def read_weights(model: Any) -> Weights:
    """The weights of the layers inside a model's wrappers, by the layers' names."""
    return {
        name: [roles[role].numpy() for role in _ROLES if role in roles]
        for name, roles in _variables(model).items()
        if roles
    }


def _variables(model: Any) -> dict[str, dict[str, Any]]:
    """By layer name and by role."""
    found: dict[str, dict[str, Any]] = {}
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)
        roles = {variable.name.rpartition("/")[2].partition(":")[0]: variable for variable in layer.weights}
        found[inner.name] = {role: variable for role, variable in roles.items() if role in _ROLES}
    return found


def calibrate(model: Any, scheme: Scheme, batches: Iterable[Pixels]) -> None:
    """Sets a quantized model's ranges to those that photos have in the float model.

    The ends are means over the batches of each batch's extremes, which is where the moving averages lead; for the
    preprocessing they are those of the darkest and the brightest colours.

    Args:
        model: of ``quantize``.
        scheme: what it was made of.
        batches: uint8 (n, height, width, 3).
    """
    float_model = build(scheme.graph)
    names = [node.name for node in scheme.graph.nodes if node.name in scheme.quantized]
    taps = tf_keras.Model(float_model.input, [float_model.get_layer(name).output for name in names])

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def extremes(images: Any) -> Any:
        outputs = tf.nest.flatten(taps(images, training=False))
        return tf.stack([(tf.reduce_min(output), tf.reduce_max(output)) for output in outputs])

    corners = np.array([[255 * (corner >> channel & 1) for channel in range(3)] for corner in range(8)], np.float32)
    known = extremes(np.broadcast_to(corners[:, np.newaxis, np.newaxis], (8, *scheme.graph.size, 3))).numpy()
    seen = np.mean([extremes(tf.constant(batch, tf.float32)).numpy() for batch in batches], axis=0)
    for place, name in enumerate(names):
        low, high = known[place] if name in scheme.preprocessing else seen[place]
        wrapper = _wrapper(model, name)
        _range_variable(wrapper, "min").assign(min(0.0, low))
        _range_variable(wrapper, "max").assign(max(0.0, high, low + 1e-6))


def read_ranges(model: Any, scheme: Scheme) -> dict[str, tuple[float, float]]:
    """The (least, largest) output of each quantized layer, and of the pixels."""
    ranges = {INPUT: PIXEL_RANGE}
    for name in scheme.quantized:
        wrapper = _wrapper(model, name)
        low, high = (float(_range_variable(wrapper, end).numpy()) for end in _ENDS)
        ranges[name] = (low, high)
    return ranges


def _wrapper(model: Any, name: str) -> Any:
    return model.get_layer(f"quant_{name}")


def _range_variable(wrapper: Any, end: str) -> Any:
    return next(variable for variable in wrapper.weights if variable.name.endswith(f"output_{end}:0"))


def convert(graph: Graph) -> bytes:
    """Converts a graph of ``to_integers`` to TFLite: float32 ``image`` to float32 ``logits``, int8 inside."""
    from tledge.export.concrete_function import freeze

    function = freeze(build(graph), "float32", batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converted: bytes = converter.convert()
    return converted

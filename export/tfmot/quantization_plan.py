"""Which outputs of a graph are quantized, and how its layers become integer layers. Imports no TensorFlow.

A converter fuses a convolution with its batch norm and its ReLU, so only the last output of the three is quantized. A
scaling on its own (Rescaling, a batch norm before a ReLU) becomes a 1 x 1 depthwise convolution, for which every
runtime has an integer kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tledge.core.errors import ConversionError
from tledge.export.tfmot.graph import INPUT, Graph, Node, Weights

LEVELS = 127
"""The largest integer of an 8-bit weight in TFLite."""

FAKE_QUANT = "FakeQuant"
"""The kind of the node that ``to_integers`` inserts after each quantized output."""

LINEAR = frozenset({"Conv2D", "DepthwiseConv2D", "Dense"})
"""Layers whose kernel is quantized."""

_FUSED_ACTIVATIONS = frozenset({"linear", "relu", "relu6"})
_PASSING = frozenset(
    {"AveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D"}
    | {"Cropping2D", "Flatten", "Permute", "Reshape", "ZeroPadding2D"}
)
"""Layers whose output has their input's scale."""

_RANGED = frozenset({"Add", "Concatenate", "GlobalAveragePooling2D", "LeakyReLU", "Multiply", "Subtract"})
"""Layers whose output has a range of its own."""

_RECTIFIED = frozenset({"Add", "Subtract", "Multiply", "BatchNormalization"} | LINEAR)
"""Layers that a converter fuses with a ReLU behind them."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class QuantizationPlan:
    """Which parts of a graph are quantized.

    Attributes:
        graph: the graph, with scalings as depthwise convolutions.
        fixed: layers that are not trained: scalings and the preprocessing.
        preprocessing: the fixed layers that process each pixel by itself, so that their ranges are known.
        quantized: nodes whose outputs are quantized.
        norms: the batch norm that is folded into a layer, by that layer's name.
    """

    graph: Graph
    fixed: frozenset[str]
    preprocessing: frozenset[str]
    quantized: frozenset[str]
    norms: Mapping[str, str]


def plan_quantization(graph: Graph) -> QuantizationPlan:
    """Plans which outputs of a graph are quantized.

    Raises:
        ConversionError: a layer cannot be trained in 8 bits.
    """
    for node in graph.nodes:
        reason = _why_not(node)
        if reason:
            raise ConversionError(
                f"layer '{node.name}' ({node.kind}) {reason}: the recipe qat cannot train it; use int8 instead"
            )
    norms = _folded_norms(graph)
    scalings = {
        node.name
        for node in graph.nodes
        if node.kind == "Rescaling" or (node.kind == "BatchNormalization" and node.name not in norms.values())
    }
    weights = dict(graph.weights)
    nodes = []
    for node in graph.nodes:
        if node.name in scalings:
            depthwise, weights[node.name] = _as_depthwise(node, graph.weights)
            nodes.append(depthwise)
        else:
            nodes.append(node)
    rewritten = Graph(size=graph.size, nodes=tuple(nodes), weights=weights)
    preprocessing = preprocessing_of(rewritten)
    return QuantizationPlan(
        graph=rewritten,
        fixed=preprocessing | scalings,
        preprocessing=preprocessing,
        quantized=frozenset(node.name for node in nodes if _has_own_range(rewritten, node)),
        norms=norms,
    )


def preprocessing_of(graph: Graph) -> frozenset[str]:
    """Returns the layers that process each pixel by itself: scalings and swaps of colour channels at the input."""
    found = {INPUT}
    for node in graph.nodes:
        pointwise = tuple(node.config.get("kernel_size", ())) == (1, 1) and node.kind in LINEAR
        plain = node.kind == "Rescaling" or (pointwise and _is_linear(node))
        same_size = node.shape == (*graph.size, 3)
        fused = any(_is_relu(after) or after.kind == "BatchNormalization" for after in graph.consumers(node.name))
        if plain and same_size and not fused and set(node.inputs) <= found:
            found.add(node.name)
    return frozenset(found - {INPUT})


def kernel_rows(kind: str, kernel: Array) -> Array:
    """Returns a view of a kernel as (fan-in, output channels); each output channel has a scale."""
    outputs = kernel.shape[-2] * kernel.shape[-1] if kind == "DepthwiseConv2D" else kernel.shape[-1]
    return kernel.reshape(-1, outputs)


def round_kernel(kind: str, kernel: Array) -> Array:
    """Rounds a kernel to the integer grid of each output channel, -127 to 127."""
    rows = kernel_rows(kind, kernel)
    scale = np.maximum(np.abs(rows).max(axis=0) / LEVELS, np.finfo(np.float32).tiny)
    rounded: Array = (np.rint(rows / scale) * scale).astype(np.float32)
    return rounded.reshape(kernel.shape)


def to_integers(plan: QuantizationPlan, weights: Weights, ranges: Mapping[str, tuple[float, float]]) -> Graph:
    """Prepares a trained graph for the converter: rounds kernels, folds batch norms and inserts the ranges.

    Args:
        weights: the trained weights of ``plan.graph``.
        ranges: of the quantized nodes and of ``INPUT``.
    """
    graph = plan.graph
    folded = set(plan.norms.values())
    nodes = [_fake_quant(INPUT, INPUT, (*graph.size, 3), ranges[INPUT])]
    renamed = {INPUT: nodes[0].name}
    folded_weights: dict[str, list[Array]] = {}
    for node in graph.nodes:
        if node.name in folded:
            renamed[node.name] = renamed[node.inputs[0]]
        else:
            nodes.append(replace(node, inputs=tuple(renamed[name] for name in node.inputs)))
            renamed[node.name] = node.name
            if node.kind in LINEAR:
                nodes[-1] = replace(nodes[-1], config={**node.config, "use_bias": True})
                folded_weights[node.name] = _folded_weights(plan, node, weights)
        if node.name in plan.quantized:
            nodes.append(_fake_quant(node.name, renamed[node.name], node.shape, ranges[node.name]))
            renamed[node.name] = nodes[-1].name
    return Graph(size=graph.size, nodes=tuple(nodes), weights=folded_weights)


def _why_not(node: Node) -> str:
    """Returns why a layer cannot be trained in 8 bits; empty if it can."""
    config = node.config
    activation = config.get("activation", "linear")
    if node.kind in LINEAR or node.kind == "Activation":
        if activation not in _FUSED_ACTIVATIONS:
            return f"has the activation '{activation}'"
        return "has groups" if config.get("groups", 1) != 1 and node.kind == "Conv2D" else ""
    if node.kind == "ReLU":
        other = config.get("max_value") not in (None, 6.0) or config.get("negative_slope") or config.get("threshold")
        return "is a ReLU other than relu and relu6" if other else ""
    if node.kind == "BatchNormalization":
        channels = len(node.shape)
        return "" if config.get("axis", -1) in (-1, channels, [channels]) else "does not normalize channels"
    return "" if node.kind in _PASSING | _RANGED | {"Rescaling"} else "does not support fake quantization"


def _folded_norms(graph: Graph) -> dict[str, str]:
    """Returns the batch norms that alone take the output of a layer with a kernel, by that layer's name."""
    found = {}
    for node in graph.nodes:
        following = graph.consumers(node.name)
        if node.kind in LINEAR and _is_linear(node) and [after.kind for after in following] == ["BatchNormalization"]:
            found[node.name] = following[0].name
    return found


def _is_linear(node: Node) -> bool:
    return bool(node.config.get("activation", "linear") == "linear")


def _is_relu(node: Node) -> bool:
    return node.kind == "ReLU" or (node.kind == "Activation" and node.config["activation"] != "linear")


def _has_own_range(graph: Graph, node: Node) -> bool:
    if node.kind in _PASSING or (node.kind == "Activation" and node.config["activation"] == "linear"):
        return False
    following = graph.consumers(node.name)
    if len(following) != 1:
        return True
    fused_norm = following[0].kind == "BatchNormalization"
    fused_relu = _is_relu(following[0]) and node.kind in _RECTIFIED and _is_linear(node)
    return not (fused_norm or fused_relu)


def _as_depthwise(node: Node, weights: Weights) -> tuple[Node, list[Array]]:
    """Returns a scaling as a depthwise convolution, with its kernel and bias."""
    if len(node.shape) != 3:
        raise ConversionError(
            f"layer '{node.name}' ({node.kind}) scales a vector that does not come from a Dense layer: the recipe qat"
            " cannot train it; use int8 instead"
        )
    channels = int(node.shape[-1] or 0)
    if node.kind == "Rescaling":
        scale, offset = (np.asarray(node.config[key], np.float64) for key in ("scale", "offset"))
    else:
        scale, offset = norm_scale(node, weights[node.name])
    if max(scale.size, offset.size) > max(channels, 1):
        raise ConversionError(
            f"layer '{node.name}' ({node.kind}) scales each place by itself: the recipe qat cannot train it; use int8"
            " instead"
        )
    kernel, bias = (np.broadcast_to(values, (channels,)).astype(np.float32) for values in (scale, offset))
    config = {"kernel_size": [1, 1], "use_bias": True, "activation": "linear"}
    return replace(node, kind="DepthwiseConv2D", config=config), [kernel.reshape(1, 1, channels, 1), bias]


def norm_scale(node: Node, weights: list[Array]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns what a batch norm multiplies by in inference and what it adds, (channels,) each."""
    *trained, mean, variance = (np.asarray(array, np.float64) for array in weights)
    scaled, centred = node.config.get("scale", True), node.config.get("center", True)
    gamma = trained[0] if scaled else np.ones_like(mean)
    beta = trained[-1] if centred else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + node.config["epsilon"])
    return scale, beta - mean * scale


def _folded_weights(plan: QuantizationPlan, node: Node, weights: Weights) -> list[Array]:
    """Returns a layer's rounded kernel and its bias, with the batch norm behind it folded in."""
    kernel, *bias = weights[node.name]
    kernel = round_kernel(node.kind, kernel)
    shift = np.zeros(kernel_rows(node.kind, kernel).shape[1]) + (bias[0] if bias else 0.0)
    norm = plan.norms.get(node.name)
    if norm is not None:
        scale, offset = norm_scale(plan.graph.node(norm), weights[norm])
        kernel = (kernel_rows(node.kind, kernel) * scale).astype(np.float32).reshape(kernel.shape)
        shift = shift * scale + offset
    return [kernel, shift.astype(np.float32)]


def _fake_quant(name: str, taken: str, shape: tuple[int | None, ...], limits: tuple[float, float]) -> Node:
    low, high = limits
    return Node(f"{name}.range", FAKE_QUANT, {"low": low, "high": high}, (taken,), shape)

"""How large the tensors become that operators of an ONNX graph create, as far as constants and known shapes say.

Each function returns the lengths of an operator's output at least; a length that nothing says counts as 1, so that no
usual graph is refused. None stands for a shape of which nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tledge.edge_runtime.onnx_messages import Numbers, OnnxNode

Shape = tuple[int, ...]
LARGEST_LENGTH = 1 << 63


class KnownTensors:
    """What is known of the tensors of a graph.

    Attributes:
        numbers: the values of small constants, by name.
        shapes: the lengths of tensors at least, by name.
    """

    def __init__(self, around: KnownTensors | None = None) -> None:
        self.numbers: dict[str, Numbers] = dict(around.numbers) if around else {}
        self.shapes: dict[str, Shape] = dict(around.shapes) if around else {}

    def numbers_of(self, node: OnnxNode, place: int) -> list[float] | None:
        """Returns the values of an input; None if it is no small constant."""
        name = node.inputs[place] if len(node.inputs) > place else ""
        return self.numbers[name].reshape(-1).tolist() if name in self.numbers else None  # numbers without overflow

    def shape_of(self, node: OnnxNode, place: int = 0) -> Shape | None:
        """Returns the lengths of an input; None if nothing is known."""
        return self.shapes.get(node.inputs[place]) if len(node.inputs) > place else None

    def grow(self, node: OnnxNode) -> Shape | None:
        """Returns the lengths of a node's first output, and keeps them; None if nothing is known."""
        rule = _RULES.get(node.name)
        shape = rule(node, self) if rule else None
        if shape is not None and node.outputs:
            self.shapes[node.outputs[0]] = shape
        return shape


def _length(value: float) -> int:
    """Returns a length; the largest one for what is no number, which no runtime handles."""
    return LARGEST_LENGTH if math.isnan(value) else max(0, int(min(value, LARGEST_LENGTH)))


def _broadcast(*shapes: Shape) -> Shape:
    rank = max(map(len, shapes), default=0)
    aligned = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(0 if 0 in lengths else max(lengths) for lengths in zip(*aligned, strict=True))


def _scaled(shape: Shape | None, factors: list[float]) -> Shape:
    if shape is None or len(shape) != len(factors):
        shape = (1,) * len(factors)
    return tuple(_length(length * factor) for length, factor in zip(shape, factors, strict=True))


def _constant_of_shape(node: OnnxNode, known: KnownTensors) -> Shape | None:
    lengths = known.numbers_of(node, 0)
    return None if lengths is None else tuple(map(_length, lengths))


def _expand(node: OnnxNode, known: KnownTensors) -> Shape | None:
    lengths = known.numbers_of(node, 1)
    return None if lengths is None else _broadcast(known.shape_of(node) or (), tuple(map(_length, lengths)))


def _tile(node: OnnxNode, known: KnownTensors) -> Shape | None:
    repeats = known.numbers_of(node, 1)
    return None if repeats is None else _scaled(known.shape_of(node), repeats)


def _pad(node: OnnxNode, known: KnownTensors) -> Shape | None:
    pads = known.numbers_of(node, 1) or node.integers("pads")
    rank = len(pads) // 2
    if not rank:
        return None
    shape = known.shape_of(node)
    if shape is None or len(shape) != rank:  # `axes` may name only some of them
        shape = (1,) * rank
        pads = [max(0, pad) for pad in pads]
    return tuple(_length(length + pads[axis] + pads[axis + rank]) for axis, length in enumerate(shape))


def _resize(node: OnnxNode, known: KnownTensors) -> Shape | None:
    if sizes := known.numbers_of(node, 3):
        return tuple(map(_length, sizes))
    scales = known.numbers_of(node, 1 if node.name == "Upsample" or len(node.inputs) == 2 else 2)
    if not scales and "scales" in node.attributes:
        scales = list(node.attributes["scales"].floats(7))
    return _scaled(known.shape_of(node), scales) if scales else None


def _conv_transpose(node: OnnxNode, known: KnownTensors) -> Shape | None:
    weights = known.shape_of(node, 1) or ()
    kernel = list(weights[2:]) or node.integers("kernel_shape")
    rank = max(len(kernel), len(node.integers("strides")), len(node.integers("output_shape")))
    if not rank:
        return None
    shape = known.shape_of(node)
    batch, _, *sides = shape if shape is not None and len(shape) == rank + 2 else (1,) * (rank + 2)
    pads = [0] * 2 * rank if node.attributes.keys() & {"auto_pad"} else _or(node.integers("pads"), 0, 2 * rank)
    found = [
        _length(stride * (side - 1) + extra + (width - 1) * dilation + 1 - before - after)
        for side, stride, extra, width, dilation, before, after in zip(
            sides,
            _or(node.integers("strides"), 1, rank),
            _or(node.integers("output_padding"), 0, rank),
            [1] * rank if "auto_pad" in node.attributes else _or(kernel, 1, rank),
            _or(node.integers("dilations"), 1, rank),
            pads[:rank],
            pads[rank:],
            strict=True,
        )
    ]
    channels = (weights[1] if len(weights) > 1 else 1) * (node.integers("group") or [1])[0]
    named = node.integers("output_shape")
    return (batch, _length(channels), *(map(_length, named[-rank:]) if named else found))


def _or(values: list[int], default: int, count: int) -> list[int]:
    return values if len(values) == count else [default] * count


def _range(node: OnnxNode, known: KnownTensors) -> Shape | None:
    first, last, step = (known.numbers_of(node, place) for place in range(3))
    if not first or not last or not step or not step[0]:
        return None
    return (_length((last[0] - first[0]) / step[0]),)


def _one_hot(node: OnnxNode, known: KnownTensors) -> Shape | None:
    depth = known.numbers_of(node, 1)
    return (*(known.shape_of(node) or ()), _length(depth[0])) if depth else None


def _random(node: OnnxNode, known: KnownTensors) -> Shape | None:
    return tuple(map(_length, node.integers("shape"))) or None


def _concat(node: OnnxNode, known: KnownTensors) -> Shape | None:
    shapes = [shape for name in node.inputs if (shape := known.shapes.get(name))]
    if not shapes or len({len(shape) for shape in shapes}) != 1:
        return None
    axis = (node.integers("axis") or [0])[0] % len(shapes[0])
    joined = list(shapes[0])
    joined[axis] = sum(shape[axis] for shape in shapes)
    return tuple(joined)


def _elementwise(node: OnnxNode, known: KnownTensors) -> Shape | None:
    shapes = [shape for name in node.inputs if (shape := known.shapes.get(name)) is not None]
    return _broadcast(*shapes) if shapes else None


def _same(node: OnnxNode, known: KnownTensors) -> Shape | None:
    return known.shape_of(node)


def _transpose(node: OnnxNode, known: KnownTensors) -> Shape | None:
    shape = known.shape_of(node)
    if shape is None:
        return None
    order = node.integers("perm") or list(reversed(range(len(shape))))
    return tuple(shape[axis] for axis in order) if sorted(order) == list(range(len(shape))) else None


def _product(node: OnnxNode, known: KnownTensors) -> Shape | None:
    left, right = known.shape_of(node, 0), known.shape_of(node, 1)
    if left is None or right is None or len(left) != 2 or len(right) != 2:
        return None
    return left[0], right[1]


CREATING: Mapping[str, Callable[[OnnxNode, KnownTensors], Shape | None]] = {
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "ConvTranspose": _conv_transpose,
    "Range": _range,
    "OneHot": _one_hot,
    "Concat": _concat,
    "RandomNormal": _random,
    "RandomUniform": _random,
}
"""Operators whose output can be far larger than their inputs."""

_RULES: Mapping[str, Callable[[OnnxNode, KnownTensors], Shape | None]] = {
    **CREATING,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Where", "And", "Or"), _elementwise),
    **dict.fromkeys(
        (
            *("Identity", "Cast", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Clip", "Softmax", "Neg", "Abs", "Exp"),
            *("Sqrt", "Erf", "HardSigmoid", "HardSwish", "Dropout", "BatchNormalization"),
            *("QuantizeLinear", "DequantizeLinear"),
        ),
        _same,
    ),
    "Transpose": _transpose,
    "MatMul": _product,
}

"""What is quantized of a layer graph, and the integers of its kernels."""

from typing import Any

import numpy as np
import pytest

from tledge.core.errors import ConversionError
from tledge.export.tfmot.graph import Graph, Node, load_weights, save_weights
from tledge.export.tfmot.quantization_plan import (
    norm_scale,
    plan_quantization,
    preprocessing_of,
    round_kernel,
    to_integers,
)

pytestmark = pytest.mark.unit

SIZE = (4, 4)


def node(name: str, kind: str, inputs: str, shape: tuple[int, ...] = (4, 4, 2), **config: Any) -> Node:
    return Node(name, kind, config, tuple(inputs.split()), shape)


def graph(*nodes: Node, **weights: list[Any]) -> Graph:
    return Graph(
        size=SIZE,
        nodes=nodes,
        weights={name: [np.asarray(array, np.float32) for array in arrays] for name, arrays in weights.items()},
    )


@pytest.fixture
def classifier() -> Graph:
    """Scaling, a convolution with batch norm and ReLU, a pool, a sum and a dense layer."""
    return graph(
        node("scale", "Rescaling", "image", (4, 4, 3), scale=2.0, offset=-1.0),
        node("conv", "Conv2D", "scale", kernel_size=[1, 1], activation="linear"),
        node("norm", "BatchNormalization", "conv", epsilon=0.0, axis=-1),
        node("relu", "ReLU", "norm", max_value=6.0),
        node("pool", "MaxPooling2D", "relu"),
        node("sum", "Add", "pool relu"),
        node("mean", "GlobalAveragePooling2D", "sum", (2,)),
        node("logits", "Dense", "mean", (2,)),
        conv=[[[[[1.27, 0.5], [0.26, 1.27], [0.0, -2.54]]]]],
        norm=[[2.0, 1.0], [1.0, 0.0], [3.0, 4.0], [4.0, 1.0]],
        logits=[np.eye(2), [1.0, 2.0]],
    )


def test_fused_layers_are_quantized_once_and_moves_not_at_all(classifier: Graph) -> None:
    plan = plan_quantization(classifier)
    assert plan.quantized == {"scale", "relu", "sum", "mean", "logits"}
    assert plan.fixed == plan.preprocessing == {"scale"}
    assert plan.norms == {"conv": "norm"}
    scale = plan.graph.node("scale")
    assert (scale.kind, scale.config["kernel_size"]) == ("DepthwiseConv2D", [1, 1])
    kernel, bias = plan.graph.weights["scale"]
    np.testing.assert_array_equal(kernel, np.full((1, 1, 3, 1), 2.0))
    np.testing.assert_array_equal(bias, [-1.0] * 3)


def test_norms_are_folded_into_rounded_kernels(classifier: Graph) -> None:
    plan = plan_quantization(classifier)
    ranges = dict.fromkeys(plan.quantized, (-1.0, 1.0)) | {"image": (0.0, 255.0)}
    integers = to_integers(plan, plan.graph.weights, ranges)
    assert [found.name for found in integers.nodes] == [
        *("image.range", "scale", "scale.range", "conv", "relu", "relu.range", "pool", "sum", "sum.range"),
        *("mean", "mean.range", "logits", "logits.range"),
    ]
    assert integers.node("relu").inputs == ("conv",)
    assert integers.node("sum").inputs == ("pool", "relu.range")
    assert integers.node("image.range").config == {"low": 0.0, "high": 255.0}
    kernel, bias = integers.weights["conv"]
    # Gammas / deviations are 1 and 1; the largest of each channel is 127 steps.
    np.testing.assert_allclose(kernel[0, 0, :, 0], [1.27, 0.26, 0.0], rtol=1e-6)
    np.testing.assert_allclose(kernel[0, 0, :, 1], [0.5, 1.28, -2.54], rtol=1e-6)
    np.testing.assert_allclose(bias, [1.0 - 3.0, 0.0 - 4.0])
    np.testing.assert_allclose(integers.weights["logits"][1], [1.0, 2.0])


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [([12.7, 0.44, -0.26], [12.7, 0.4, -0.3]), ([-12.7, 0.06], [-12.7, 0.1]), ([0.0, 0.0], [0.0, 0.0])],
)
def test_a_kernel_is_rounded_to_127_steps_of_its_largest_weight(kernel: list[float], expected: list[float]) -> None:
    found = round_kernel("Dense", np.array(kernel, np.float32)[:, np.newaxis])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)


def test_a_depthwise_kernel_has_a_scale_for_each_channel() -> None:
    kernel = np.array([[12.7, 1.27], [0.44, 0.044]], np.float32).reshape(2, 1, 2, 1)
    found = round_kernel("DepthwiseConv2D", kernel)
    np.testing.assert_allclose(found.reshape(2, 2), [[12.7, 1.27], [0.4, 0.04]], rtol=1e-5)


def test_a_norm_without_gamma_and_beta_still_scales() -> None:
    mean, variance = np.array([3.0], np.float32), np.array([3.0], np.float32)
    bare = node("norm", "BatchNormalization", "image", scale=False, center=False, epsilon=1.0)
    assert [array.tolist() for array in norm_scale(bare, [mean, variance])] == [[0.5], [-1.5]]
    beta = node("norm", "BatchNormalization", "image", scale=False, center=True, epsilon=1.0)
    assert [array.tolist() for array in norm_scale(beta, [mean + 4, mean, variance])] == [[0.5], [5.5]]


def test_preprocessing_ends_at_the_first_layer_that_sees_more_than_one_pixel() -> None:
    swap = node("swap", "Conv2D", "image", (4, 4, 3), kernel_size=[1, 1], activation="linear")
    scale = node("scale", "Rescaling", "swap", (4, 4, 3), scale=1.0, offset=0.0)
    wide = node("wide", "Conv2D", "scale", (4, 4, 3), kernel_size=[3, 3], activation="linear")
    after = node("after", "Rescaling", "wide", (4, 4, 3), scale=1.0, offset=0.0)
    assert preprocessing_of(graph(swap, scale, wide, after)) == {"swap", "scale"}
    rectified = node("relu", "ReLU", "swap", (4, 4, 3))
    assert preprocessing_of(graph(swap, rectified)) == frozenset()


@pytest.mark.parametrize(
    ("kind", "config", "reason"),
    [
        ("Conv2D", {"activation": "silu"}, "has the activation 'silu'"),
        ("Conv2D", {"groups": 2}, "has groups"),
        ("ReLU", {"max_value": 1.0}, "is a ReLU other than relu and relu6"),
        ("BatchNormalization", {"axis": 1}, "does not normalize channels"),
        ("UpSampling2D", {}, "does not support fake quantization"),
    ],
)
def test_a_layer_that_cannot_be_trained_in_8_bits_is_named(kind: str, config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConversionError) as caught:
        plan_quantization(graph(node("layer", kind, "image", **config)))
    assert str(caught.value) == f"layer 'layer' ({kind}) {reason}: the recipe qat cannot train it; use int8 instead"


def test_a_scaling_of_each_place_cannot_be_trained() -> None:
    """It is no depthwise convolution; a scale for each channel is one."""
    per_channel = node("scale", "Rescaling", "image", scale=[2.0, 3.0], offset=0.0)
    assert plan_quantization(graph(per_channel)).graph.weights["scale"][0].tolist() == [[[[2.0], [3.0]]]]
    per_place = node("scale", "Rescaling", "image", scale=[1.0] * 32, offset=0.0)
    with pytest.raises(ConversionError, match=r"'scale' \(Rescaling\) scales each place by itself.* use int8"):
        plan_quantization(graph(per_place))


def test_weights_are_read_as_they_were_written(tmp_path: Any) -> None:
    weights = {
        "block.conv": [np.arange(3, dtype=np.float32), np.ones(1, np.float32)],
        "logits": [np.eye(2, dtype=np.float32)],
    }
    save_weights(tmp_path / "weights.npz", weights)
    found = load_weights(tmp_path / "weights.npz")
    assert list(found) == list(weights)
    for name, arrays in weights.items():
        for array, read in zip(arrays, found[name], strict=True):
            np.testing.assert_array_equal(array, read)

"""Bombs in ONNX files are refused by a look at the graph, and usual graphs are not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tledge.core.errors import ArtifactError
from tledge.edge_runtime.onnx_limits import LARGEST_TENSOR, MOST_STEPS, check_graph

pytestmark = pytest.mark.unit


def save(folder: Path, nodes: list[Any], **constants: Any) -> Path:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    tensors = [numpy_helper.from_array(np.asarray(value, np.int64), name) for name, value in constants.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)), folder / "model.onnx")
    return folder / "model.onnx"


def loop(*, condition: str, trips: str = "trips") -> Any:
    ends = [helper.make_tensor_value_info(n, t, []) for n, t in (("i", TensorProto.INT64), ("c", TensorProto.BOOL))]
    nodes = [helper.make_node("Identity", ["c"], ["same"])]
    if condition == "computed":
        nodes = [helper.make_node("Less", ["i", "trips"], ["same"])]
    out = [helper.make_tensor_value_info("same", TensorProto.BOOL, [])]
    body = helper.make_graph(nodes, "body", ends, out)
    return helper.make_node("Loop", [trips, ""], ["y"], body=body)


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Tile"])
def test_a_tensor_of_gigabytes_is_refused_at_the_limit(tmp_path: Path, operator: str) -> None:
    inputs = ["shape"] if operator == "ConstantOfShape" else ["x", "shape"]
    node = [helper.make_node(operator, inputs, ["y"])]
    check_graph(save(tmp_path, node, shape=[LARGEST_TENSOR // 2, 2]))
    bomb = save(tmp_path, node, shape=[LARGEST_TENSOR // 2 + 1, 2])
    with pytest.raises(ArtifactError, match=rf"is not run: its operator {operator} would create 536,870,914 values"):
        check_graph(bomb)


def test_constants_of_nodes_random_values_and_ranges_count(tmp_path: Path) -> None:
    value = numpy_helper.from_array(np.array([1 << 40], np.int64))
    constant = helper.make_node("Constant", [], ["shape"], value=value)
    with pytest.raises(ArtifactError, match="ConstantOfShape would create 1,099,511,627,776 values"):
        check_graph(save(tmp_path, [constant, helper.make_node("ConstantOfShape", ["shape"], ["y"])]))
    with pytest.raises(ArtifactError, match="RandomNormal would create 10,000,000,000 values"):
        check_graph(save(tmp_path, [helper.make_node("RandomNormal", [], ["y"], shape=[100_000, 100_000])]))
    with pytest.raises(ArtifactError, match="Range would create 2,000,000,000 values"):
        check_graph(save(tmp_path, [helper.make_node("Range", list("abc"), ["y"])], a=0, b=2_000_000_000, c=1))


def test_loops_that_never_end_are_refused(tmp_path: Path) -> None:
    check_graph(save(tmp_path, [loop(condition="same")], trips=MOST_STEPS))
    check_graph(save(tmp_path, [loop(condition="computed")], trips=(1 << 63) - 1))
    with pytest.raises(ArtifactError, match=r"a loop in it has 1,000,001 steps"):
        check_graph(save(tmp_path, [loop(condition="same")], trips=MOST_STEPS + 1))
    for trips in ("trips", ""):
        with pytest.raises(ArtifactError, match="it has a loop without an end"):
            check_graph(save(tmp_path, [loop(condition="same", trips=trips)], trips=(1 << 63) - 1))


IMAGE = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 224, 224])


def save_with_image(folder: Path, nodes: list[Any], **constants: np.ndarray) -> Path:
    """Writes a graph that takes a photo of 224 px, with constants of any dtype."""
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [IMAGE], [output], tensors)), folder / "model.onnx")
    return folder / "model.onnx"


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


NO = floats()
GROWTH: dict[str, tuple[str, list[str], dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]] = {
    "Resize by scales": ("Resize", ["x", "", "s"], {}, {"s": floats(1, 1, 40, 40)}, {"s": floats(1, 1, 60, 60)}),
    "Resize to sizes": (
        *("Resize", ["x", "", "", "s"], {}),
        *({"s": integers(1, 3, 13_000, 13_000)}, {"s": integers(1, 3, 14_000, 14_000)}),
    ),
    "Resize of opset 10": ("Resize", ["x", "s"], {}, {"s": floats(1, 1, 40, 40)}, {"s": floats(1, 1, 60, 60)}),
    "Upsample": ("Upsample", ["x", "s"], {}, {"s": floats(1, 1, 40, 40)}, {"s": floats(1, 1, 1e30, np.inf)}),
    "Tile": ("Tile", ["x", "s"], {}, {"s": integers(1, 1, 50, 50)}, {"s": integers(1, 10, 50, 50)}),
    "Expand": ("Expand", ["x", "s"], {}, {"s": integers(3000, 1, 1, 1)}, {"s": integers(4000, 1, 1, 1)}),
    "Pad": ("Pad", ["x", "s"], {}, {"s": integers(0, 0, 9000, 0, 0, 0, 0, 9000)}, {"s": integers(*[9000] * 8)}),
    "OneHot": ("OneHot", ["x", "s", "v"], {}, {"s": integers(3000), "v": NO}, {"s": integers(4000), "v": NO}),
    "Range": (
        *("Range", ["a", "b", "c"], {}),
        {"a": floats(0), "b": floats(1e6), "c": floats(0.01)},
        {"a": floats(0), "b": floats(1e6), "c": floats(0.001)},
    ),
}
"""An operator, its inputs and attributes, and constants with which it creates less than the limit, and more."""


@pytest.mark.parametrize(("operator", "inputs", "attributes", "small", "large"), GROWTH.values(), ids=GROWTH)
def test_growth_of_a_photo_is_bounded(
    tmp_path: Path,
    operator: str,
    inputs: list[str],
    attributes: dict[str, Any],
    small: dict[str, np.ndarray],
    large: dict[str, np.ndarray],
) -> None:
    node = [helper.make_node(operator, inputs, ["y"], **attributes)]
    check_graph(save_with_image(tmp_path, node, **small))
    with pytest.raises(
        ArtifactError, match=rf"model.onnx' is not run: its operator {operator} would create [\d,]+ val"
    ):
        check_graph(save_with_image(tmp_path, node, **large))


def test_attributes_of_operators_count(tmp_path: Path) -> None:
    weights = {"w": np.zeros((3, 2, 4, 4), np.float32)}
    for name, small, large in (
        ("strides", [16, 16], [100, 100]),
        ("dilations", [10, 10], [9000, 9000]),
        ("output_padding", [1, 1], [20_000, 20_000]),
        ("output_shape", [9000, 9000], [20_000, 20_000]),
    ):
        nodes = [[helper.make_node("ConvTranspose", ["x", "w"], ["y"], **{name: size})] for size in (small, large)]
        check_graph(save_with_image(tmp_path, nodes[0], **weights))
        with pytest.raises(ArtifactError, match="its operator ConvTranspose would create"):
            check_graph(save_with_image(tmp_path, nodes[1], **weights))
    with pytest.raises(ArtifactError, match="its operator Pad would create"):
        check_graph(save_with_image(tmp_path, [helper.make_node("Pad", ["x"], ["y"], pads=[0, 0, *[9000] * 6])]))
    with pytest.raises(ArtifactError, match="its operator Upsample would create"):
        check_graph(save_with_image(tmp_path, [helper.make_node("Upsample", ["x"], ["y"], scales=[1.0, 1, 99, 99])]))


def test_growth_in_small_steps_is_bounded(tmp_path: Path) -> None:
    nodes, name = [], "x"
    for step in range(4):
        nodes.append(helper.make_node("Resize", [name, "", "s"], [f"r{step}"]))
        nodes.append(helper.make_node("Relu", [f"r{step}"], [f"a{step}"]))
        nodes.append(helper.make_node("Add", [f"a{step}", "one"], [f"b{step}"]))
        name = f"b{step}"
    check_graph(save_with_image(tmp_path, nodes[:6], s=floats(1, 1, 4, 4), one=floats(1)))
    with pytest.raises(ArtifactError, match="its operator Resize would create 616,562,688 values"):
        check_graph(save_with_image(tmp_path, nodes, s=floats(1, 1, 4, 4), one=floats(1)))
    doubling = [helper.make_node("Concat", [f"c{step}"] * 2, [f"c{step + 1}"], axis=1) for step in range(40)]
    first = helper.make_node("Concat", ["x", "x"], ["c0"], axis=1)
    with pytest.raises(ArtifactError, match="its operator Concat would create 616,562,688 values"):
        check_graph(save_with_image(tmp_path, [first, *doubling]))
    sides = {"s": integers(30_000, 1), "t": integers(1, 30_000)}
    fills = [helper.make_node("ConstantOfShape", [name], [name * 2]) for name in sides]
    for operator in ("Add", "MatMul"):
        with pytest.raises(ArtifactError, match=f"its operator {operator} would create 900,000,000 values"):
            check_graph(save_with_image(tmp_path, [*fills, helper.make_node(operator, ["ss", "tt"], ["y"])], **sides))


DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "uint32", "uint64", "bool")


@pytest.mark.parametrize("count", [10, 3000])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_constants_hold_what_they_announce(tmp_path: Path, dtype: str, count: int, raw: bool) -> None:
    values = np.arange(count).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    content = values.tobytes() if raw else values
    tensor = helper.make_tensor("w", kind, [count], content, raw=raw)
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [IMAGE], [], [tensor])
    model = helper.make_model(graph)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    check_graph(path)
    for dims in ([count * 11], [count, 11], [0], [-1], [count, 0]):
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)
        onnx.save(model, path)
        with pytest.raises(
            ArtifactError, match=r"model.onnx' is damaged: its constant 'w' (announces|has the negative)"
        ):
            check_graph(path)


def test_a_constant_in_another_file_or_of_strings_is_no_damage(tmp_path: Path) -> None:
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1000], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="w.bin")
    strings = helper.make_tensor("s", TensorProto.STRING, [2], [b"cat", b"dog"])
    empty = helper.make_tensor("e", TensorProto.FLOAT, [0], [])
    scalar = helper.make_tensor("n", TensorProto.INT64, [], [7])
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    tensors = [outside, strings, empty, scalar]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [IMAGE], [], tensors)), tmp_path / "model.onnx")
    check_graph(tmp_path / "model.onnx")

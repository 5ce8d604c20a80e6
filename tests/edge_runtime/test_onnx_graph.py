"""Scales in ONNX files, in every way in which a number may be stored."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tledge.edge_runtime.onnx_graph import read_graph

pytestmark = pytest.mark.unit
INT8 = np.dtype(np.int8)


def write(path: Path, operator: str, inputs: list[str], constants: list[Any]) -> Path:
    image = helper.make_tensor_value_info("image", TensorProto.INT8, [1, 4])
    output = helper.make_tensor_value_info("output", TensorProto.INT8, [1, 4])
    nodes = [helper.make_node(operator, inputs, ["result"]), helper.make_node("Flatten", ["result"], ["output"])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [image], [output], constants)), path)
    return path


@pytest.mark.parametrize(
    "constants",
    [
        [numpy_helper.from_array(np.float32(0.25), "s"), numpy_helper.from_array(np.int8(-3), "z")],
        [helper.make_tensor("s", TensorProto.FLOAT, [], [0.25]), helper.make_tensor("z", TensorProto.INT8, [], [-3])],
        [helper.make_tensor("s", TensorProto.FLOAT, [1], [0.25]), helper.make_tensor("z", TensorProto.INT8, [1], [-3])],
    ],
)
def test_numbers_are_read_however_they_are_stored(tmp_path: Path, constants: list[Any]) -> None:
    graph = read_graph(write(tmp_path / "a.onnx", "QuantizeLinear", ["image", "s", "z"], constants))
    assert graph.output == "output"
    assert [item.name for item in graph.operators] == ["QuantizeLinear", "Flatten"]
    assert graph.quantization_of_output("output", INT8) == (0.25, -3)
    assert graph.quantization_of_output("image", INT8) == (0.0, 0)
    assert graph.quantization_of_input("output", INT8) == (0.0, 0)
    graph = read_graph(write(tmp_path / "b.onnx", "DequantizeLinear", ["image", "s", "z"], constants))
    assert graph.quantization_of_input("image", INT8) == (0.25, -3)
    assert graph.quantization_of_output("output", INT8) == (0.0, 0)
    graph = read_graph(write(tmp_path / "c.onnx", "DequantizeLinear", ["image", "s"], constants))
    assert graph.quantization_of_input("image", INT8) == (0.25, 0), "a zero point may be left out"
    graph = read_graph(write(tmp_path / "d.onnx", "QuantizeLinear", ["image", "s", "gone"], constants))
    assert graph.quantization_of_output("output", INT8) == (0.0, 0)


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("QLinearConv", ["image", "t", "y", "w", "t", "y", "s", "z"]),
        ("QLinearMatMul", ["image", "t", "y", "w", "t", "y", "s", "z"]),
        ("QGemm", ["image", "t", "y", "w", "t", "y", "b", "s", "z"]),
        ("QLinearSoftmax", ["image", "t", "y", "s", "z"]),
    ],
)
def test_operators_on_integers_have_two_scales(tmp_path: Path, operator: str, inputs: list[str]) -> None:
    values = {"s": np.float32(0.25), "z": np.int8(7), "t": np.float32(0.5), "y": np.int8(-9)}
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = read_graph(write(tmp_path / "m.onnx", operator, inputs, constants))
    assert graph.quantization_of_input("image", INT8) == (0.5, -9)
    assert graph.quantization_of_output("output", INT8) == (0.25, 7)


def test_a_scale_for_each_channel_is_none_for_the_tensor(tmp_path: Path) -> None:
    constants = [
        numpy_helper.from_array(np.full(4, 0.25, np.float32), "s"),
        numpy_helper.from_array(np.zeros(4, np.int8), "z"),
    ]
    graph = read_graph(write(tmp_path / "m.onnx", "QuantizeLinear", ["image", "s", "z"], constants))
    assert graph.quantization_of_output("output", INT8) == (0.0, 0)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x00\x00no model")
    with pytest.raises(ValueError, match="field number 0"):
        read_graph(tmp_path / "m.onnx")

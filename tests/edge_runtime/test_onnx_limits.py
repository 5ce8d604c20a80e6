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

"""An ONNX classifier whose weights are in other files, as PyTorch exports it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 8


def write_external(path: Path, *locations: str, scale: float = 1.0, written: bool = True) -> Path:
    """Writes a model of two classes, 8 px; one more tensor, inside a constant node, is in a second location if given.

    The first location's file begins with 16 bytes of something else.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = scale * np.random.default_rng(3).normal(size=(3 * SIZE * SIZE, 2)).astype(np.float32)
    tensors = [numpy_helper.from_array(value, name) for name, value in (("W", weights), ("b", weights[0] * 0))]
    for tensor, location in zip(tensors, locations, strict=False):
        _move_out(tensor, path.parent, location, 16 if location == locations[0] else 0, written)
    nodes = [
        helper.make_node("Constant", [], ["bias"], value=tensors[1]),
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "W", "bias"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "main", [image], [logits], tensors[:1])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    onnx.load(path, load_external_data=False)
    return path


def _move_out(tensor: Any, folder: Path, location: str, offset: int, written: bool) -> None:
    from onnx import TensorProto

    content = tensor.raw_data
    if written:
        (folder / location).parent.mkdir(parents=True, exist_ok=True)
        (folder / location).write_bytes(b"-" * offset + content)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(len(content)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def digest(*files: tuple[str, Path]) -> str:
    """The SHA-256 of a model in several files, computed independently: lines of a name, a zero and a SHA-256."""
    lines = sorted((name, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in files)
    return hashlib.sha256("".join(f"{name}\0{sha256}\n" for name, sha256 in lines).encode()).hexdigest()

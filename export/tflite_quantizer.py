"""Quantizes a model to 8-bit TFLite, by TensorFlow's converter with our weights and ranges. Imports TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.lite.python.convert import mlir_quantize

from tledge.core.cores import usable_cores
from tledge.core.errors import ConversionError
from tledge.core.images import Pixels
from tledge.export.concrete_function import make_converter
from tledge.export.float_head import float_tail
from tledge.export.format import Quantizer
from tledge.export.model_copy import copy_model
from tledge.export.ranges import observe
from tledge.export.tflite_graph import finish, open_batch, operators, pack_model, unpack_model

if TYPE_CHECKING:
    from tledge.export.weight_calibration import CalibratedModel

LEVELS = 127
"""The largest integer of an 8-bit weight in TFLite."""


class TFLiteQuantizer(Quantizer):
    """A converted model with the ranges of its activations, before quantization."""

    def __init__(self, calibration: CalibratedModel) -> None:
        model = calibration.rounded(LEVELS)
        self._calibration = calibration
        self._tail = float_tail(model)
        self._indexes = {layer.name: index for index, layer in enumerate(model.layers)}
        converter = make_calibrating_converter(_numbered(model), calibration.pixels[:1])
        converter._experimental_calibrate_only = True
        self._calibrated = _with_best_ranges(converter.convert(), calibration.pixels)

    def quantize(self, float_layers: frozenset[str]) -> bytes:
        calibrated = self._calibrated
        if float_layers:
            calibrated = self._with_unrounded(set(self._outputs(float_layers)))
        outputs = self._outputs(float_layers | self._tail)
        # tf.lite.experimental.QuantizationDebugger makes the same call for its option denylisted_nodes.
        return finish(mlir_quantize(calibrated, denylisted_nodes=outputs) if outputs else mlir_quantize(calibrated))

    def _with_unrounded(self, outputs: set[str]) -> bytes:
        """Returns the calibrated model with unrounded kernels and biases in the operators with these outputs."""
        model, other = unpack_model(self._calibrated), self._unrounded
        graph, other_graph = model.subgraphs[0], other.subgraphs[0]
        for operator, source in zip(graph.operators, other_graph.operators, strict=True):
            if graph.tensors[operator.outputs[0]].name.decode() not in outputs:
                continue
            for index, other_index in zip(operator.inputs[1:], source.inputs[1:], strict=True):
                data = other.buffers[other_graph.tensors[other_index].buffer].data
                if data is not None:
                    model.buffers[graph.tensors[index].buffer].data = data
        return pack_model(model)

    @cached_property
    def _unrounded(self) -> Any:
        return unpack_model(make_converter(_numbered(self._calibration.unrounded)).convert())

    def _outputs(self, layers: Iterable[str]) -> list[str]:
        """Returns the names of the output tensors of the operators that compute some layers."""
        graph = unpack_model(self._calibrated).subgraphs[0]
        layers_of: dict[str, set[int]] = {}
        for operator in graph.operators:
            named = [*operator.inputs[1:2], operator.outputs[0]]  # the kernel and the output
            names = [graph.tensors[index].name.decode() for index in named if index >= 0]
            layers_of[names[-1]] = {int(index) for name in names for index in _LAYER_INDEX.findall(name)}
        known = set().union(*layers_of.values())
        wanted = {name: self._indexes.get(name) for name in layers}
        for name, index in wanted.items():
            if index not in known:
                found = ", ".join(layer for layer, other in self._indexes.items() if other in known)
                raise ConversionError(
                    f"layer '{name}' is not found in the TFLite model, so it cannot stay float32; its layers: {found}"
                )
        return [output for output, indexes in layers_of.items() if indexes & set(wanted.values())]


_LAYER_INDEX = re.compile(r"\.(\d+)(?:_\d+)?/")
"""The index of a layer in the name of a tensor: 3 in ``model_1/conv.3_1/convolution;model_1/norm.4_1/add``."""


def _numbered(model: Any) -> Any:
    """Returns a copy of a model with each layer's index in its name: TensorFlow's own numbering is ambiguous."""
    return copy_model(model, {layer.name: f"{layer.name}.{index}" for index, layer in enumerate(model.layers)})


def make_calibrating_converter(model: Any, calibration: Pixels) -> Any:
    """Returns a converter that also quantizes, with ranges measured on uint8 (n, height, width, 3) images."""
    converter = make_converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representative(calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter


def _with_best_ranges(calibrated: bytes, calibration: Pixels) -> bytes:
    """Replaces the ranges of a calibrated model, which reach to the largest value, by our own (``export.ranges``).

    The ranges of scaled pixels reach exactly from the value of 0 to that of 255, so that one integer represents each
    pixel value. The converter's are wider, since it observes memory that two tensors share.
    """
    model = unpack_model(calibrated)
    opened = unpack_model(calibrated)
    open_batch(opened)
    graph = model.subgraphs[0]
    image = int(graph.inputs[0])
    ranged = [
        index
        for index, tensor in enumerate(graph.tensors)
        if index != image and _has_range(tensor) and model.buffers[tensor.buffer].data is None
    ]
    interpreter = Interpreter(
        model_content=pack_model(opened),
        num_threads=usable_cores(),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )

    def values(batch: Pixels) -> dict[int, npt.NDArray[np.float32]]:
        try:
            interpreter.resize_tensor_input(image, batch.shape)
            interpreter.allocate_tensors()
        except RuntimeError:  # an operator has a fixed batch size that open_batch does not know
            if len(batch) == 1:
                raise
            singles = [values(batch[index : index + 1]) for index in range(len(batch))]
            return {index: np.concatenate([found[index].reshape(-1) for found in singles]) for index in ranged}
        interpreter.set_tensor(image, batch.astype(np.float32))
        interpreter.invoke()
        return {index: interpreter.get_tensor(index) for index in ranged}

    for index, found in observe(values, calibration, _pixel_tensors(model)).items():
        graph.tensors[index].quantization.min = [found.low]
        graph.tensors[index].quantization.max = [found.high]
    return pack_model(model)


def _has_range(tensor: Any) -> bool:
    return tensor.quantization is not None and tensor.quantization.max is not None and len(tensor.quantization.max) == 1


def _pixel_tensors(model: Any) -> set[int]:
    """Returns the tensors that hold the image's pixels, scaled or not."""
    graph = model.subgraphs[0]
    found = {int(index) for index in graph.inputs}
    for operator, _ in operators(model, "MUL", "ADD", "SUB"):
        given = {int(index) for index in operator.inputs if model.buffers[graph.tensors[index].buffer].data is None}
        if given and given <= found:
            found |= {int(index) for index in operator.outputs}
    return found


def _representative(calibration: Pixels) -> Iterator[list[Any]]:
    """Yields the calibration images one by one.

    Two pixels in the corner of the first image are set to 0 and 255. The input's range is then exactly that of 8-bit
    images, with scale 1 and zero point 0, and no image needs rescaling on the device.
    """
    for index, pixels in enumerate(calibration):
        image = pixels[np.newaxis].astype(np.float32)
        if index == 0:
            image[0, 0, 0] = 0.0
            image[0, 0, 1] = 255.0
        yield [image]

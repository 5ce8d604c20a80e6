"""TFLite in 8-bit integers: TensorFlow's converter with our weights and ranges. Imports TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.schema_py_generated import BuiltinOperator
from tensorflow.lite.python.convert import mlir_quantize

from tledge.core.cores import usable_cores
from tledge.core.errors import ConversionError
from tledge.core.images import Pixels
from tledge.export.concrete_function import freeze
from tledge.export.float_head import float_tail
from tledge.export.format import Quantizer
from tledge.export.ranges import Range, observe
from tledge.export.tflite_file import pack_model, unpack_model
from tledge.export.tflite_graph import finish, open_batch

if TYPE_CHECKING:
    from tledge.export.weight_rounding import CalibratedModel

LEVELS = 127
"""The largest integer of an 8-bit weight as the converter makes it."""


class TFLiteQuantizer(Quantizer):
    """A model with the ranges of its activations, as the converter has them before it quantizes.

    Args:
        calibration: the Keras model with its calibration images.
    """

    def __init__(self, calibration: CalibratedModel) -> None:
        model = calibration.rounded(LEVELS)
        self._calibration = calibration
        self._tail = float_tail(model)
        self._places = {layer.name: place for place, layer in enumerate(model.layers)}
        converter = make_calibrating_converter(_numbered(model), calibration.pixels[:1])
        converter._experimental_calibrate_only = True
        self._calibrated = _with_best_ranges(converter.convert(), calibration.pixels)

    def quantize(self, float_layers: frozenset[str]) -> bytes:
        calibrated = self._calibrated
        if float_layers:
            calibrated = self._with_unrounded(set(self._outputs(float_layers)))
        outputs = self._outputs(float_layers | self._tail)
        # What tf.lite.experimental.QuantizationDebugger calls for its option denylisted_nodes.
        return finish(mlir_quantize(calibrated, denylisted_nodes=outputs) if outputs else mlir_quantize(calibrated))

    def _with_unrounded(self, outputs: set[str]) -> bytes:
        """The calibrated model, where the operators with these outputs have kernels and biases that are not rounded."""
        model, other = unpack_model(self._calibrated), self._unrounded
        graph, theirs = model.subgraphs[0], other.subgraphs[0]
        for operator, source in zip(graph.operators, theirs.operators, strict=True):
            if graph.tensors[operator.outputs[0]].name.decode() not in outputs:
                continue
            for mine, its in zip(operator.inputs[1:], source.inputs[1:], strict=True):
                data = other.buffers[theirs.tensors[its].buffer].data
                if data is not None:
                    model.buffers[graph.tensors[mine].buffer].data = data
        return pack_model(model)

    @cached_property
    def _unrounded(self) -> Any:
        return unpack_model(make_converter(_numbered(self._calibration.unrounded)).convert())

    def _outputs(self, layers: Iterable[str]) -> list[str]:
        """The names of the tensors that come out of the operators that compute some layers."""
        graph = unpack_model(self._calibrated).subgraphs[0]
        places: dict[str, set[int]] = {}
        for operator in graph.operators:
            named = [*operator.inputs[1:2], operator.outputs[0]]  # the kernel, and what comes out
            names = [graph.tensors[index].name.decode() for index in named if index >= 0]
            places[names[-1]] = {int(place) for name in names for place in _PLACE.findall(name)}
        known = set().union(*places.values())
        wanted = {name: self._places.get(name) for name in layers}
        for name, place in wanted.items():
            if place not in known:
                found = ", ".join(layer for layer, other in self._places.items() if other in known)
                raise ConversionError(
                    f"layer '{name}' is not found in the TFLite model, so it cannot stay float32; its layers: {found}"
                )
        return [output for output, found in places.items() if found & set(wanted.values())]


_PLACE = re.compile(r"\.(\d+)(?:_\d+)?/")
"""The place of a layer in the name of a tensor: 3 in ``model_1/conv.3_1/convolution;model_1/norm.4_1/add``."""


def _numbered(model: Any) -> Any:
    """A copy of a model whose layers have their places in their names: TensorFlow's own numbering is ambiguous."""
    places = {layer.name: place for place, layer in enumerate(model.layers)}

    def copy(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "name": f"{layer.name}.{places[layer.name]}"})

    numbered = keras.models.clone_model(model, clone_function=copy)
    numbered.set_weights(model.get_weights())
    return numbered


def make_converter(model: Any) -> Any:
    """A converter of a model's inference from float32 ``image`` (1, height, width, 3) to ``logits``."""
    function = freeze(model, "float32", batch=1)
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())


def make_calibrating_converter(model: Any, calibration: Pixels) -> Any:
    """The same, which quantizes what it converts by ranges on uint8 (n, height, width, 3) images."""
    converter = make_converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representative(calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter


def _with_best_ranges(calibrated: bytes, calibration: Pixels) -> bytes:
    """A model between calibration and quantization, with our ranges (``export.ranges``) for the converter's own, which
    reach to the one largest value there is.

    Those of scaled pixels are exact: from what 0 becomes to what 255 becomes, so that one integer stands for each. The
    converter's reach farther, for it watches memory that two tensors share.
    """
    model = unpack_model(calibrated)
    opened = unpack_model(calibrated)
    open_batch(opened)
    graph = model.subgraphs[0]
    scaled = _pixel_tensors(model)
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
        except RuntimeError:  # the batch size is written into the graph in a way that is not known here
            if len(batch) == 1:
                raise
            singles = [values(batch[place : place + 1]) for place in range(len(batch))]
            return {index: np.concatenate([found[index].reshape(-1) for found in singles]) for index in ranged}
        interpreter.set_tensor(image, batch.astype(np.float32))
        interpreter.invoke()
        return {index: interpreter.get_tensor(index) for index in ranged}

    extremes = np.stack([np.zeros_like(calibration[0]), np.full_like(calibration[0], 255)])
    exact = {index: _reach(found) for index, found in values(extremes).items() if index in scaled}
    for index, found in {**observe(values, calibration), **exact}.items():
        graph.tensors[index].quantization.min = [found.low]
        graph.tensors[index].quantization.max = [found.high]
    return pack_model(model)


def _reach(values: npt.NDArray[np.float32]) -> Range:
    return Range(min(0.0, float(values.min())), max(0.0, float(values.max())))


def _has_range(tensor: Any) -> bool:
    return tensor.quantization is not None and tensor.quantization.max is not None and len(tensor.quantization.max) == 1


def _pixel_tensors(model: Any) -> set[int]:
    """The tensors that hold the image's pixels, scaled by one operator after the other: their ranges are exact."""
    graph = model.subgraphs[0]
    found = {int(index) for index in graph.inputs}
    for operator in graph.operators:
        given = {int(index) for index in operator.inputs if model.buffers[graph.tensors[index].buffer].data is None}
        if given and given <= found and _is_scaling(model, operator):
            found |= {int(index) for index in operator.outputs}
    return found


def _is_scaling(model: Any, operator: Any) -> bool:

    return model.operatorCodes[operator.opcodeIndex].builtinCode in (
        BuiltinOperator.MUL,
        BuiltinOperator.ADD,
        BuiltinOperator.SUB,
    )


def _representative(calibration: Pixels) -> Iterator[list[Any]]:
    """The calibration images one by one.

    Two pixels in the corner of the first one are set to 0 and 255: the input's range is then exactly that of
    8-bit images, its scale 1 and its zero point 0, and no image needs rescaling on the device.
    """
    for index, pixels in enumerate(calibration):
        image = pixels[np.newaxis].astype(np.float32)
        if index == 0:
            image[0, 0, 0] = 0.0
            image[0, 0, 1] = 255.0
        yield [image]

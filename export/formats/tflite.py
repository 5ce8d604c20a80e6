"""TFLite, by TensorFlow's own converter, and what is changed in its files so that they run faster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tledge.core.errors import ConversionError
from tledge.core.images import Pixels
from tledge.export.format import Format, Quantizer
from tledge.export.recipes import Recipe

if TYPE_CHECKING:
    from tledge.export.weight_rounding import CalibratedModel

LEVELS = 127
"""The largest integer of an 8-bit weight as the converter makes it."""


class TFLite(Format):
    """https://ai.google.dev/edge/litert/conversion/tensorflow/overview

    Its files are the same for every CPU: XNNPACK and LiteRT's kernels sum products of integers in 32 bits.
    """

    recipes = ("float32", "float16", "dynamic", "int8", "int16x8", "qat")
    modules = ("tensorflow", "keras")
    distributions = ("tensorflow", "keras")

    def convert(self, model: Any, recipe: Recipe, calibration: CalibratedModel | None, cpu: str = "any") -> bytes:
        import tensorflow as tf

        if recipe.calibrated and calibration is None:
            raise ConversionError(f"{recipe.name} needs calibration images; none were given")
        if calibration is not None and recipe.name != "int16x8":
            return self.quantizer(calibration, cpu).quantize(frozenset())
        if calibration is not None:
            converter = _calibrating_converter(calibration.rounded(LEVELS), calibration.pixels)
            operators = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [operators]
            return finish(converter.convert())
        converter = _converter(model)
        if recipe.name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if recipe.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return finish(converter.convert())

    def quantizer(self, calibration: CalibratedModel, cpu: str = "any") -> Quantizer:
        return TFLiteQuantizer(calibration.rounded(LEVELS), calibration.pixels)


class TFLiteQuantizer(Quantizer):
    """A model with the ranges of its activations, as the converter has them before it quantizes.

    Args:
        model: a ``keras.Model`` from float32 pixel values (N, height, width, 3), its kernels on the integer grid.
        calibration: uint8 (n, height, width, 3).
    """

    def __init__(self, model: Any, calibration: Pixels) -> None:
        self._places = {layer.name: place for place, layer in enumerate(model.layers)}
        converter = _calibrating_converter(_numbered(model), calibration)
        converter._experimental_calibrate_only = True
        self._calibrated: bytes = converter.convert()

    def quantize(self, float_layers: frozenset[str]) -> bytes:
        from tensorflow.lite.python.convert import mlir_quantize

        # What tf.lite.experimental.QuantizationDebugger calls for its option denylisted_nodes.
        outputs = self._outputs(float_layers) if float_layers else None
        return finish(mlir_quantize(self._calibrated, denylisted_nodes=outputs))

    def _outputs(self, layers: Iterable[str]) -> list[str]:
        """The names of the tensors that come out of the operators that compute some layers."""
        from tledge.export.tflite_metadata import unpack_model

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
    import keras

    places = {layer.name: place for place, layer in enumerate(model.layers)}

    def copy(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "name": f"{layer.name}.{places[layer.name]}"})

    numbered = keras.models.clone_model(model, clone_function=copy)
    numbered.set_weights(model.get_weights())
    return numbered


def _converter(model: Any) -> Any:
    """A converter of a model's inference from float32 ``image`` (1, height, width, 3) to ``logits``."""
    import tensorflow as tf

    from tledge.export.concrete_function import freeze

    function = freeze(model, "float32", batch=1)
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())


def _calibrating_converter(model: Any, calibration: Pixels) -> Any:
    import tensorflow as tf

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representative(calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter


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


def finish(converted: bytes) -> bytes:
    """A converted model that takes uint8 pixels and any batch, and leaves as little as can be to slow kernels.

    Args:
        converted: a TFLite file from float32 pixel values (1, height, width, 3).

    Returns:
        The same model from uint8 pixels.

    Raises:
        ConversionError: its input is of another type.
    """
    from tledge.export.tflite_metadata import pack_model, unpack_model

    model = unpack_model(converted)
    _widen_depthwise_kernels(model)
    _narrow_biases(model)
    _open_batch(model)
    _take_pixels(model)
    return pack_model(model)


def _take_pixels(model: Any) -> None:
    """Puts a DEQUANTIZE from uint8, of scale 1 and zero point 0, before a float32 input.

    It gives the pixel values exactly, as the CAST that a uint8 function begins with does, and as the QUANTIZE from
    uint8 to int8 of ``inference_input_type`` does; XNNPACK takes it and neither of those.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    values = int(graph.inputs[0])
    if graph.tensors[values].type != schema.TensorType.FLOAT32:
        raise ConversionError(
            f"the converted model takes type {graph.tensors[values].type}; expected float32 (type 0), before which the"
            " conversion from uint8 is put"
        )
    pixels = len(graph.tensors)
    image = schema.TensorT(
        shape=graph.tensors[values].shape,
        type=schema.TensorType.UINT8,
        name=graph.tensors[values].name,
        quantization=schema.QuantizationParametersT(scale=[1.0], zeroPoint=[0]),
        hasRank=True,
    )
    graph.tensors[values].name = "pixels"
    graph.tensors.append(image)
    code = schema.BuiltinOperator.DEQUANTIZE
    dequantize = schema.OperatorT(
        opcodeIndex=len(model.operatorCodes),
        inputs=[pixels],
        outputs=[values],
        builtinOptionsType=schema.BuiltinOptions.DequantizeOptions,
        builtinOptions=schema.DequantizeOptionsT(),
    )
    model.operatorCodes.append(schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code))
    graph.operators.insert(0, dequantize)
    graph.inputs = [pixels]
    for signature in model.signatureDefs:
        signature.inputs[0].tensorIndex = pixels


def _open_batch(model: Any) -> None:
    """Frees the batch size that is written into each RESHAPE: its first length is then found from the others."""
    from ai_edge_litert import schema_py_generated as schema

    for operator, (values, shape, *_) in _operators(model, "RESHAPE"):
        lengths = _constant(model, shape)
        if lengths is not None and lengths.size and lengths.min() > 0 and _constant(model, values) is None:
            opened = np.concatenate([[-1], lengths[1:]]).astype(np.int32)
            _set_constant(model, shape, opened)
            operator.builtinOptions = schema.ReshapeOptionsT(newShape=opened)


def _narrow_biases(model: Any) -> None:
    """Stores 64-bit biases in 32 bits wherever no sum can overflow, whatever the activations.

    With int16 activations LiteRT has a fast kernel for 32-bit biases and a plain loop for 64-bit ones (``conv.cc``,
    ``EvalQuantizedPerChannel16x8``): MobileNetV2 takes a third of the time, for the same logits.
    """
    from ai_edge_litert import schema_py_generated as schema

    for operator, (_, kernel, *rest) in _operators(model, "CONV_2D", "FULLY_CONNECTED"):
        biases = _constant(model, rest[0]) if rest and rest[0] is not None else None
        weights = _constant(model, kernel)
        if biases is None or weights is None or biases.dtype != np.int64:
            continue
        largest = np.abs(weights.reshape(len(biases), -1).astype(np.int64)).sum(axis=1) * 2**15 + np.abs(biases)
        if largest.max() < 2**31:
            _set_constant(model, rest[0], biases.astype(np.int32))
            rest[0].type = operator.builtinOptions.quantizedBiasType = schema.TensorType.INT32


def _widen_depthwise_kernels(model: Any) -> None:
    """Gives float32 kernels to the depthwise convolutions of float32 values, of which XNNPACK takes no others.

    They are the small part of a model's weights, and all that keeps ``dynamic`` from running in XNNPACK throughout.
    """
    from ai_edge_litert import schema_py_generated as schema

    for _, (values, kernel, *_) in _operators(model, "DEPTHWISE_CONV_2D"):
        weights = _constant(model, kernel)
        if values.type == schema.TensorType.FLOAT32 and weights is not None and weights.dtype == np.int8:
            scale = np.asarray(kernel.quantization.scale, np.float32)
            _set_constant(model, kernel, weights.reshape(kernel.shape) * scale)
            kernel.type = schema.TensorType.FLOAT32
            kernel.quantization = None


def _operators(model: Any, *names: str) -> Iterator[tuple[Any, list[Any]]]:
    """The operators of these kinds with the tensors that they take, None for one left out."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    codes = {getattr(schema.BuiltinOperator, name) for name in names}
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode in codes:
            yield operator, [graph.tensors[index] if index >= 0 else None for index in operator.inputs]


def _constant(model: Any, tensor: Any) -> npt.NDArray[Any] | None:
    """The values of a constant integer tensor, flat; None for one that is computed or of another type."""
    from ai_edge_litert import schema_py_generated as schema

    dtypes = {schema.TensorType.INT8: "i1", schema.TensorType.INT32: "<i4", schema.TensorType.INT64: "<i8"}
    data = model.buffers[tensor.buffer].data
    return None if data is None or tensor.type not in dtypes else np.frombuffer(data, dtypes[tensor.type])


def _set_constant(model: Any, tensor: Any, values: npt.NDArray[Any]) -> None:
    """Gives a tensor these values; other tensors that share its buffer keep theirs."""
    from ai_edge_litert import schema_py_generated as schema

    users = sum(other.buffer == tensor.buffer for graph in model.subgraphs for other in graph.tensors)
    if users > 1:
        tensor.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
    model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)


FORMAT = TFLite()
"""TFLite, by TensorFlow's own converter."""

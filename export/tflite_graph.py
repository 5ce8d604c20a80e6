"""Reads and writes TFLite files; rewrites a converted one so that it takes pixels and runs faster. Imports LiteRT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tledge.core.errors import ConversionError

ALIGNMENT = 16
"""Alignment of a model's constants in bytes: ``force_align`` of Buffer.data in schema.fbs, which ``Pack`` ignores."""


def unpack_model(model: bytes) -> Any:
    """Reads a TFLite file into a ``ModelT`` of LiteRT's schema, whose constants are views of the file's bytes.

    Raises:
        ConversionError: the constants are outside the FlatBuffer, as in models over 2 GB.
    """
    unpacked = schema.ModelT.InitFromPackedBuf(model)
    if any(buffer.offset > 1 for buffer in unpacked.buffers):
        raise ConversionError("a TFLite model over 2 GB cannot be rewritten; export a smaller backbone")
    return unpacked


def pack_model(model: Any) -> bytes:
    """Writes a ``ModelT`` as a TFLite file, with its constants aligned for a memory map."""
    model.buffers = [_AlignedBuffer(data=buffer.data) for buffer in model.buffers]
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = flatbuffers.Builder(size + 2**20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    def Pack(self, builder: Any) -> int:  # noqa: N802 - the name that ModelT calls
        if self.data is None:
            return int(super().Pack(builder))
        data = np.asarray(self.data, np.uint8).tobytes()
        builder.StartVector(1, len(data), ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def finish(converted: bytes) -> bytes:
    """Makes a converted model, from float32 (1, height, width, 3), take uint8 and any batch size, and run faster.

    Raises:
        ConversionError: the input has another type.
    """
    model = unpack_model(converted)
    _widen_depthwise_kernels(model)
    _narrow_biases(model)
    open_batch(model)
    _take_pixels(model)
    return pack_model(model)


def _take_pixels(model: Any) -> None:
    """Inserts a DEQUANTIZE from uint8, with scale 1 and zero point 0, before a float32 input.

    It gives the exact pixel values. So would the CAST at the start of a uint8 function, and the QUANTIZE from uint8 to
    int8 of ``inference_input_type``, but XNNPACK supports neither of them here.
    """
    graph = model.subgraphs[0]
    values = int(graph.inputs[0])
    if graph.tensors[values].type != schema.TensorType.FLOAT32:
        raise ConversionError(
            f"the converted model takes type {graph.tensors[values].type}; expected float32 (type 0), the result of the"
            " conversion from uint8"
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


def open_batch(model: Any) -> None:
    """Opens the batch size of each RESHAPE: its first length is then inferred from the others.

    For feature maps of one pixel, the converter drops the batch before a sum, (160,) for (1, 1, 1, 160); this function
    restores it.
    """
    graph = model.subgraphs[0]
    for operator, (values, shape, *_) in operators(model, "RESHAPE"):
        lengths = _constant(model, shape)
        if lengths is None or not lengths.size or lengths.min() < 1 or _constant(model, values) is not None:
            continue
        output = int(operator.outputs[0])
        if lengths[0] == 1 and lengths.size > 1:
            opened = np.array([-1, *lengths[1:]], np.int32)
        elif lengths.size == 1 and _is_only_summed(model, output):
            opened = np.array([-1, 1, 1, lengths[0]], np.int32)
            graph.tensors[output].shape = np.array([1, 1, 1, lengths[0]], np.int32)
        else:
            continue
        _set_constant(model, shape, opened)
        graph.tensors[operator.inputs[1]].shape = np.array([opened.size], np.int32)
        operator.builtinOptions = schema.ReshapeOptionsT(newShape=opened)


def _is_only_summed(model: Any, tensor: int) -> bool:
    consumers = [operator for operator in model.subgraphs[0].operators if tensor in operator.inputs]
    sums = [operator for operator, _ in operators(model, "ADD", "SUB", "MUL") if tensor in operator.inputs]
    return len(sums) == len(consumers) > 0


def _narrow_biases(model: Any) -> None:
    """Stores 64-bit biases in 32 bits if no sum can overflow, whatever the activations.

    With int16 activations LiteRT has a fast kernel for 32-bit biases and a simple loop for 64-bit ones (``conv.cc``,
    ``EvalQuantizedPerChannel16x8``): MobileNetV2 takes a third of the time and gives the same logits.
    """
    for operator, (_, kernel, *rest) in operators(model, "CONV_2D", "FULLY_CONNECTED"):
        biases = _constant(model, rest[0]) if rest and rest[0] is not None else None
        weights = _constant(model, kernel)
        if biases is None or weights is None or biases.dtype != np.int64:
            continue
        largest = np.abs(weights.reshape(len(biases), -1).astype(np.int64)).sum(axis=1) * 2**15 + np.abs(biases)
        if largest.max() < 2**31:
            _set_constant(model, rest[0], biases.astype(np.int32))
            rest[0].type = operator.builtinOptions.quantizedBiasType = schema.TensorType.INT32


def _widen_depthwise_kernels(model: Any) -> None:
    """Stores the kernels of float32 depthwise convolutions as float32, the only type that XNNPACK supports there.

    They are a small part of a model's weights. With them, XNNPACK runs the whole model of the recipe ``dynamic``.
    """
    for _, (values, kernel, *_) in operators(model, "DEPTHWISE_CONV_2D"):
        weights = _constant(model, kernel)
        if values.type == schema.TensorType.FLOAT32 and weights is not None and weights.dtype == np.int8:
            scale = np.asarray(kernel.quantization.scale, np.float32)
            _set_constant(model, kernel, weights.reshape(kernel.shape) * scale)
            kernel.type = schema.TensorType.FLOAT32
            kernel.quantization = None


def operators(model: Any, *names: str) -> Iterator[tuple[Any, list[Any]]]:
    """Yields the operators of some kinds with their input tensors, None for an optional one left out."""
    graph = model.subgraphs[0]
    codes = {getattr(schema.BuiltinOperator, name) for name in names}
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode in codes:
            yield operator, [graph.tensors[index] if index >= 0 else None for index in operator.inputs]


def _constant(model: Any, tensor: Any) -> npt.NDArray[Any] | None:
    """Returns the values of a constant integer tensor, flat; None if it is computed or has another type."""
    dtypes = {schema.TensorType.INT8: "i1", schema.TensorType.INT32: "<i4", schema.TensorType.INT64: "<i8"}
    data = model.buffers[tensor.buffer].data
    return None if data is None or tensor.type not in dtypes else np.frombuffer(data, dtypes[tensor.type])


def _set_constant(model: Any, tensor: Any, values: npt.NDArray[Any]) -> None:
    """Sets the values of a constant tensor; other tensors that share its buffer keep theirs."""
    users = sum(other.buffer == tensor.buffer for graph in model.subgraphs for other in graph.tensors)
    if users > 1:
        tensor.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
    model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)

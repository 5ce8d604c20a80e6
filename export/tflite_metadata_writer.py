"""Writes TensorFlow Lite Metadata: a description of a model's input, its output and its classes inside the model.

Android Studio, MediaPipe and Netron read this second FlatBuffer, in the buffer of the model's metadata entry. The file
of labels that it names is a member of the ZIP archive appended to the model (``core/sidecar_storage.py``).

Sources: https://ai.google.dev/edge/litert/conversion/tensorflow/metadata; the slots of the tables are those of
metadata_schema.fbs (tflite-support, tensorflow_lite_support/metadata), those of the model are schema.fbs (LiteRT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tledge.core.errors import ConversionError
from tledge.core.sidecar_storage import LABELS
from tledge.export.tflite_graph import pack_model, unpack_model

ENTRY = "TFLITE_METADATA"
PARSER_VERSION = "1.0.0"
"""The oldest reader that supports everything written here."""

_TENSOR_AXIS_LABELS = 2  # AssociatedFileType
_RGB = 1  # ColorSpaceType
_IMAGE_PROPERTIES = 2  # in the union ContentProperties
_NORMALIZATION_OPTIONS = 1  # in the union ProcessUnitOptions

_NOTHING: Mapping[int, int] = MappingProxyType({})


def add_metadata(model: bytes, class_names: Sequence[str], *, name: str = "", description: str = "") -> bytes:
    """Adds metadata to a TFLite model, or replaces its metadata.

    Args:
        model: a TFLite file from ``image``, uint8 (1, height, width, 3), to ``logits``, float32 (1, classes), with
            nothing appended.
        class_names: the class of each logit.
        name: of the model; without one, "image classifier".
        description: of the model, one sentence.

    Returns:
        The model with metadata; the same arguments give the same bytes.

    Raises:
        ConversionError: the model has more than one input or output, or another number of classes.
    """
    unpacked = unpack_model(model)
    graph = unpacked.subgraphs[0]
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ConversionError(
            f"an image classifier has one input and one output; received a TFLite model with {len(graph.inputs)} and"
            f" {len(graph.outputs)}"
        )
    _, height, width, _ = (int(length) for length in graph.tensors[graph.inputs[0]].shape)
    classes = int(graph.tensors[graph.outputs[0]].shape[-1])
    if classes != len(class_names):
        raise ConversionError(f"the model has {classes} classes; received {len(class_names)} class names")
    content = _write_metadata(name or "image classifier", description, (height, width))
    _set_entry(unpacked, np.frombuffer(content, np.uint8))
    return pack_model(unpacked)


def _set_entry(model: Any, content: Any) -> None:
    model.metadata = model.metadata or []
    for entry in model.metadata:
        if entry.name in (ENTRY, ENTRY.encode()):
            model.buffers[entry.buffer].data = content
            return
    model.metadata.append(schema.MetadataT(name=ENTRY, buffer=len(model.buffers)))
    model.buffers.append(schema.BufferT(data=content))


def _write_metadata(name: str, description: str, size: tuple[int, int]) -> bytes:
    builder = flatbuffers.Builder(1024)
    tensors = {
        2: _write_references(builder, [_write_image(builder, size)]),  # input_tensor_metadata
        3: _write_references(builder, [_write_logits(builder)]),  # output_tensor_metadata
    }
    graph = _write_table(builder, tensors)
    fields = {
        0: builder.CreateString(name),
        1: builder.CreateString(description),
        3: _write_references(builder, [graph]),  # subgraph_metadata
        7: builder.CreateString(PARSER_VERSION),  # min_parser_version
    }
    builder.Finish(_write_table(builder, fields), b"M001")
    return bytes(builder.Output())


def _write_image(builder: Any, size: tuple[int, int]) -> int:
    """Writes the TensorMetadata of the input."""
    height, width = size
    default_size = _write_table(builder, numbers={0: width, 1: height})  # ImageSize
    properties = _write_table(builder, {1: default_size}, kinds={0: _RGB})  # ImageProperties
    content = _write_table(builder, {1: properties}, kinds={0: _IMAGE_PROPERTIES})  # Content
    mean, deviation = _write_floats(builder, [0.0]), _write_floats(builder, [1.0])
    normalization = _write_table(builder, {0: mean, 1: deviation})  # NormalizationOptions
    unit = _write_table(builder, {1: normalization}, kinds={0: _NORMALIZATION_OPTIONS})  # ProcessUnit
    largest, smallest = _write_floats(builder, [255.0]), _write_floats(builder, [0.0])
    fields = {
        0: builder.CreateString("image"),
        1: builder.CreateString("RGB pixel values from 0 to 255"),
        3: content,
        4: _write_references(builder, [unit]),  # process_units
        5: _write_table(builder, {0: largest, 1: smallest}),  # stats
    }
    return _write_table(builder, fields)


def _write_logits(builder: Any) -> int:
    """Writes the TensorMetadata of the output."""
    file = {0: builder.CreateString(LABELS), 1: builder.CreateString("the class of each logit, one a line")}
    labels = _write_table(builder, file, kinds={2: _TENSOR_AXIS_LABELS})
    fields = {
        0: builder.CreateString("logits"),
        1: builder.CreateString("one logit per class; their softmax is the probabilities"),
        6: _write_references(builder, [labels]),  # associated_files
    }
    return _write_table(builder, fields)


def _write_table(
    builder: Any,
    references: Mapping[int, int] = _NOTHING,
    *,
    kinds: Mapping[int, int] = _NOTHING,
    numbers: Mapping[int, int] = _NOTHING,
) -> int:
    """Writes a table.

    Args:
        references: offsets of strings, vectors and tables, by the slots of their fields.
        kinds: enumerations of one byte, by slot.
        numbers: uint32 numbers, by slot.
    """
    builder.StartObject(1 + max([*kinds, *numbers, *references]))
    for slot, offset in references.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, number in numbers.items():
        builder.PrependUint32Slot(slot, number, 0)
    for slot, kind in kinds.items():
        builder.PrependUint8Slot(slot, kind, 0)
    return int(builder.EndObject())


def _write_references(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _write_floats(builder: Any, values: Sequence[float]) -> int:
    return int(builder.CreateNumpyVector(np.array(values, "<f4")))

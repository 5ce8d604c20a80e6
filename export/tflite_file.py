"""Reads TFLite files into objects, and writes them. Imports LiteRT's schema."""

from __future__ import annotations

from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
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

"""LiteRT's own profiler, which also times the operators that XNNPACK runs.

LiteRT has no Python interface to it, so the C interface of the installed library is called through ``ctypes``. The
profile is that of LiteRT's compiled model, which runs the same kernels as the interpreter.

Source: litert/c/{litert_profiler,litert_compiled_model,litert_tensor_buffer}.h of google-ai-edge/LiteRT. Times are
parsed from LiteRT's printed summary, because the layout of the event structure in the C header does not match the
library.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from tledge.bench.profile.operator_profile import ProfiledOperator
from tledge.core.errors import MeasurementError
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor

_CPU = 1  # kLiteRtHwAcceleratorCpu
_WRITE = 1  # kLiteRtTensorBufferLockModeWrite
_DELEGATE = "Delegate/"
_LINE = re.compile(
    r"\s*(?P<kind>\S.*?)\s+[\d.]+\s+[\d.]+\s+(?P<mean>[\d.]+)\s+[\d.]+%\s+[\d.]+%\s+[\d.]+\s+(?P<calls>\d+)\s+\[\w+\]:(?P<index>\d+)"
)
"""A line of the section "Run Order": kind, start, first, mean (ms), %, cumulated %, memory, calls, name."""

_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_XNNPACK_LAYERS = ("Convolution", "Deconvolution", "Fully Connected")


class _Layout(ctypes.Structure):
    """LiteRtLayout."""

    _fields_ = (("rank", ctypes.c_uint), ("dimensions", ctypes.c_int32 * 8), ("strides", ctypes.c_uint32 * 8))


class _TensorType(ctypes.Structure):
    """LiteRtRankedTensorType."""

    _fields_ = (("element", ctypes.c_int), ("layout", _Layout))


def profile_litert(
    model: Path, target: Target, query: Tensor, *, warm_up: int, runs: int
) -> tuple[float, list[ProfiledOperator]]:
    """Times the operators of a TFLite file on a CPU target in ``runs`` runs, after ``warm_up`` untimed ones.

    Returns:
        The mean duration of a run in ms, and the operators in execution order.

    Raises:
        MeasurementError: the installed LiteRT has no profiler, or cannot profile the model.
    """
    profiled = _ProfiledModel(model, target.threads or 1, query)
    for _ in range(warm_up):
        profiled.run()
    profiled.start()
    began = time.perf_counter()
    for _ in range(runs):
        profiled.run()
    elapsed = time.perf_counter() - began
    return 1000 * elapsed / runs, read_summary(profiled.stop(), runs, _layer_names(model))


def read_summary(summary: str, runs: int, layers: Sequence[tuple[str, str]]) -> list[ProfiledOperator]:
    """Parses the summary that LiteRT's profiler prints.

    Args:
        summary: the text.
        runs: number of runs in it.
        layers: kind and name of each convolution and dense layer in the file, in order. XNNPACK keeps their number and
            order but not their names; if those match, operators get the layers' names, otherwise an index.

    Raises:
        MeasurementError: the text has another format.
    """
    section = re.search(r"= Run Order =+\n.*\n((?:.+\n)+)", summary)
    lines = [_LINE.match(line) for line in section[1].splitlines()] if section else []
    matches = [line for line in lines if line]
    if not matches or len(matches) < len(lines):
        raise MeasurementError(
            "cannot read the summary of LiteRT's profiler: its format is not that of ai-edge-litert 2.3; install that"
            " version to profile"
        )
    kinds = [match["kind"] for match in matches]
    names = _find_names(kinds, layers)
    return [
        ProfiledOperator(
            name=names.get(index, f"#{match['index']}"),
            kind=match["kind"].removeprefix(_DELEGATE),
            milliseconds=float(match["mean"]) * int(match["calls"]) / runs,
            calls=int(match["calls"]) / runs,
        )
        for index, match in enumerate(matches)
    ]


def _find_names(kinds: Sequence[str], layers: Sequence[tuple[str, str]]) -> dict[int, str]:
    """Returns the names of convolutions and dense layers by index among the operators; empty unless certain."""
    ran = [
        index
        for index, kind in enumerate(kinds)
        if kind in _LAYERS or kind.removeprefix(_DELEGATE).startswith(_XNNPACK_LAYERS)
    ]
    alike = len(ran) == len(layers) and all(
        ("DEPTHWISE" in kind) == ("DEPTHWISE" in kinds[index] or "DWConv" in kinds[index])
        for index, (kind, _) in zip(ran, layers, strict=True)
    )
    # XNNPACK keeps the order of the file among its own operators only.
    one_side = len({kinds[index].startswith(_DELEGATE) for index in ran}) == 1
    return {index: name for index, (_, name) in zip(ran, layers, strict=True)} if alike and one_side else {}


def _layer_names(model: Path) -> list[tuple[str, str]]:
    """Returns the kind of each convolution and dense layer, and the name of its output (the first of fused ones)."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    tensors = {tensor["index"]: str(tensor["name"]) for tensor in interpreter.get_tensor_details()}
    return [
        (operator["op_name"], tensors.get(operator["outputs"][0], "?").split(";")[0])
        for operator in interpreter._get_ops_details()
        if operator["op_name"] in _LAYERS
    ]


class _ProfiledModel:
    """A TFLite file as a LiteRT compiled model with a profiler. Nothing is freed, because the process ends soon.

    Raises:
        MeasurementError: the library lacks a function, or one of them failed.
    """

    def __init__(self, model: Path, threads: int, query: Tensor) -> None:
        self._library = _load_library()
        self._kept: list[object] = []  # referenced by the library
        environment, file, options, signature = (ctypes.c_void_p() for _ in range(4))
        self._model, self._profiler = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("LiteRtCreateEnvironment", 0, None, ctypes.byref(environment))
        self._call("LiteRtCreateModelFromFile", environment, os.fsencode(model), ctypes.byref(file))
        self._call("LiteRtCreateOptions", ctypes.byref(options))
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        self._add_option(options, "runtime_options_string", "enable_profiling = true\n")
        self._add_option(options, "xnnpack", f"num_threads = {threads}\n")
        self._call("LiteRtCreateCompiledModel", environment, file, options, ctypes.byref(self._model))
        self._call("LiteRtCompiledModelGetProfiler", self._model, ctypes.byref(self._profiler))
        self._call("LiteRtGetModelSignature", file, ctypes.c_size_t(0), ctypes.byref(signature))
        self._input = self._make_buffer("Input", environment, signature)
        self._output = self._make_buffer("Output", environment, signature)
        self._write(query)

    def run(self) -> None:
        one = ctypes.c_size_t(1)
        given, taken = ctypes.byref(self._input), ctypes.byref(self._output)
        self._call("LiteRtRunCompiledModel", self._model, ctypes.c_size_t(0), one, given, one, taken)

    def start(self) -> None:
        self._call("LiteRtStartProfiler", self._profiler)

    def stop(self) -> str:
        """Stops profiling, and returns the summary of all runs since ``start``."""
        self._call("LiteRtStopProfiler", self._profiler)
        summary = ctypes.c_char_p()
        self._call("LiteRtGetProfileSummary", self._profiler, self._model, ctypes.byref(summary))
        return (summary.value or b"").decode(errors="replace")

    def _call(self, name: str, *arguments: object) -> None:
        try:
            function = getattr(self._library, name)
        except AttributeError as error:
            raise MeasurementError(
                f"the installed LiteRT has no profiler: its library lacks {name}; pip install 'ai-edge-litert>=2.3'"
            ) from error
        status = function(*arguments)
        if status != 0:
            raise MeasurementError(f"LiteRT's profiler cannot run the model: {name} returned status {status}")

    def _add_option(self, options: ctypes.c_void_p, kind: str, text: str) -> None:
        """Adds options, written in TOML. The library wants a function that frees the text; Python frees it here."""
        content = ctypes.create_string_buffer(text.encode())
        keep = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
        self._kept += [content, keep]
        option = ctypes.c_void_p()
        self._call("LiteRtCreateOpaqueOptions", kind.encode(), content, keep, ctypes.byref(option))
        self._call("LiteRtAddOpaqueOptions", options, option)

    def _make_buffer(self, side: str, environment: ctypes.c_void_p, signature: ctypes.c_void_p) -> ctypes.c_void_p:
        tensor, needs, buffer, kind = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p(), _TensorType()
        zero = ctypes.c_size_t(0)
        self._call(f"LiteRtGetSignature{side}TensorByIndex", signature, zero, ctypes.byref(tensor))
        self._call("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
        for axis, length in enumerate(kind.layout.dimensions):
            kind.layout.dimensions[axis] = 1 if length < 0 else length
        self._call(f"LiteRtGetCompiledModel{side}BufferRequirements", self._model, zero, zero, ctypes.byref(needs))
        create = "LiteRtCreateManagedTensorBufferFromRequirements"
        self._call(create, environment, ctypes.byref(kind), needs, ctypes.byref(buffer))
        return buffer

    def _write(self, query: Tensor) -> None:
        size, address = ctypes.c_size_t(), ctypes.c_void_p()
        self._call("LiteRtGetTensorBufferPackedSize", self._input, ctypes.byref(size))
        if size.value != query.nbytes:
            raise MeasurementError(
                f"LiteRT's profiler needs a fixed input shape: the model's input buffer has {size.value} bytes, the"
                f" input {query.dtype} {query.shape} has {query.nbytes}"
            )
        self._call("LiteRtLockTensorBuffer", self._input, ctypes.byref(address), _WRITE)
        ctypes.memmove(address, query.tobytes(), query.nbytes)
        self._call("LiteRtUnlockTensorBuffer", self._input)


def _load_library() -> ctypes.CDLL:
    import ai_edge_litert

    folder = Path(ai_edge_litert.__path__[0])
    found = [path for path in sorted(folder.glob("libLiteRt.*")) if path.suffix in (".so", ".dylib")]
    if not found:
        raise MeasurementError(f"the installed LiteRT has no profiler: no libLiteRt in '{folder}'")
    return ctypes.CDLL(str(found[0]))

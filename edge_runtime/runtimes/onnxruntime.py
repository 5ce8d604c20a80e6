"""ONNX Runtime: ONNX models on the CPU, and on an NVIDIA GPU through its CUDA and TensorRT execution providers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.errors import ArtifactError, OptionError, TargetError
from tledge.core.sidecar_storage import SIDECAR
from tledge.edge_runtime.load_faults import load_error
from tledge.edge_runtime.model_tasks import check_tensors
from tledge.edge_runtime.onnx_graph import read_graph
from tledge.edge_runtime.onnx_limits import check_graph
from tledge.edge_runtime.runtime import (
    NO_NVIDIA_DRIVER,
    Device,
    Runtime,
    Session,
    closed_error,
    has_nvidia_driver,
)
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor, TensorSpec

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
"""The execution provider of each device."""

DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int16)": np.dtype(np.int16),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(string)": np.dtype(np.object_),
}
"""The element types of inputs and outputs, by ONNX Runtime's names."""


SCALED = (np.uint8, np.int8, np.int16)
"""Types of quantized inputs and outputs."""


class OnnxRuntimeSession(Session):
    """An inference session on one execution provider, without fallback to another.

    ONNX Runtime's sessions are thread-safe and read the images in place. A graph can have a batch of 1 built in, such
    as in the shape of a Reshape, although its input takes any: several images are then computed one by one.
    """

    def __init__(self, model: Path, target: Target, batch: int = 1) -> None:
        import onnxruntime

        check_graph(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        if target.threads is not None:
            options.intra_op_num_threads = target.threads
            options.inter_op_num_threads = 1
        provider = PROVIDERS[target.device]
        if target.device != "cpu":  # otherwise unsupported operators would silently run on the CPU
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            session: Any = onnxruntime.InferenceSession(str(model), options, providers=[provider])
        except Exception as error:
            raise load_error("ONNX Runtime", model, error) from error
        self.provider = session.get_providers()[0]
        if self.provider != provider:  # it falls back to the CPU without an error
            raise TargetError(
                f"target '{target}' is not on this machine: ONNX Runtime fell back from {provider} to"
                f" {self.provider}; check the GPU driver and the libraries of CUDA, cuDNN and TensorRT"
            )
        images, answers = [[_spec(item, model) for item in of()] for of in (session.get_inputs, session.get_outputs)]
        check_tensors(images, answers, model)
        (self.image,), (self.output,) = images, answers
        if SIDECAR not in session.get_modelmeta().custom_metadata_map:  # tledge's own inputs are bytes, without a scale
            self.image, self.output = _with_scales(model, self.image, self.output)
        self._model, self._session = model, session
        self._names = [self.output.name]
        self._batch = self.image.shape[0] if self.image.shape else None
        self._splits = batch == 1

    def run(self, images: Tensor) -> Tensor:
        batch, count = self._batch, len(images)
        if batch is None and count > 1:
            try:
                outputs = self._run(images)
                if len(outputs) != count:
                    raise ArtifactError(f"the model only computes single images; received {count}")
                return outputs
            except ArtifactError:
                if not self._splits:
                    raise
            batch = 1
        if batch is None or batch == count:
            return self._run(images)
        if count % batch:
            raise OptionError(f"this model needs multiples of {batch} images; received {count}")
        outputs = np.concatenate([self._run(images[start : start + batch]) for start in range(0, count, batch)])
        self._batch = batch
        return outputs

    def _run(self, images: Tensor) -> Tensor:
        session = self._session  # keeps it alive until this run has ended, even if another thread closes it
        if session is None:
            raise closed_error()
        try:
            outputs: list[Tensor] = session.run(self._names, {self.image.name: images})
        except Exception as error:
            raise load_error("ONNX Runtime", self._model, error, to="run") from error
        return outputs[0]

    def close(self) -> None:
        self._session = None


def _spec(tensor: Any, model: Path) -> TensorSpec:
    if tensor.type not in DTYPES:
        raise ArtifactError(f"'{model}' is not an image classifier: its tensor '{tensor.name}' has type {tensor.type}")
    lengths = tuple(length if isinstance(length, int) else None for length in tensor.shape)  # otherwise a name or None
    return TensorSpec(tensor.name, lengths, DTYPES[tensor.type])


def _with_scales(model: Path, image: TensorSpec, output: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
    """Returns integer tensors with the scales that the graph has for them: ONNX has none in the type of a tensor."""
    if image.dtype not in SCALED and output.dtype not in SCALED:
        return image, output
    try:
        graph = read_graph(model)
    except ValueError:  # ONNX Runtime's own format: the integers have no known scale, as in other graphs without one
        return image, output
    if image.dtype in SCALED:
        scale, zero_point = graph.quantization_of_input(image.name, image.dtype)
        image = replace(image, scale=scale, zero_point=zero_point)
    if output.dtype in SCALED:
        scale, zero_point = graph.quantization_of_output(output.name, output.dtype)
        output = replace(output, scale=scale, zero_point=zero_point)
    return image, output


class OnnxRuntime(Runtime):
    """https://onnxruntime.ai"""

    formats = ("onnx",)
    modules = ("onnxruntime",)
    distributions = ("onnxruntime", "onnxruntime-gpu")
    extra = "onnx"

    def devices(self) -> list[Device]:
        return [
            Device("cpu"),
            Device("cuda", _why_not("cuda", "CUDA")),
            Device("tensorrt", _why_not("tensorrt", "TensorRT")),
        ]

    def load(self, model: Path, target: Target, batch: int = 1, size: tuple[int, ...] = ()) -> Session:
        session = OnnxRuntimeSession(model, target, batch)
        if batch > 1 and session.image.shape[:1] not in ((None,), (batch,)):
            raise ArtifactError(f"'{model}' only takes batches of {session.image.shape[0]}; received {batch}")
        return session


def _why_not(device: str, name: str) -> str:
    import onnxruntime

    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        also = " tensorrt" if device == "tensorrt" else ""
        install = f"pip uninstall -y onnxruntime && pip install 'tledge[cuda]'{also}"
        return f"no {name} provider in this onnxruntime: {install}"
    return "" if has_nvidia_driver() else NO_NVIDIA_DRIVER  # the provider is compiled in on every machine


RUNTIME = OnnxRuntime()

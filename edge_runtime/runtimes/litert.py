"""LiteRT: TFLite models through its interpreter and XNNPACK on the CPU, and through its compiled model on a GPU."""

from __future__ import annotations

import ctypes.util
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from tledge.core.cpu import CpuWarning
from tledge.core.errors import ArtifactError, OptionError, TargetError
from tledge.edge_runtime.delegation import SLOWER, WITHOUT_XNNPACK, read_delegation
from tledge.edge_runtime.load_faults import load_error
from tledge.edge_runtime.model_tasks import check_tensors
from tledge.edge_runtime.runtime import Device, Runtime, Session, closed_error, has_nvidia_driver
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor, TensorSpec
from tledge.edge_runtime.tflite_limits import check_model

GPU_NODES = "dev/dri/renderD*"
"""The device files of GPUs with a driver in the Linux kernel."""


class LiteRTSession(Session):
    """An interpreter with a fixed batch size, as it runs on a device: at batch 1, N images are N invocations."""

    def __init__(self, model: Path, threads: int | None, batch: int, size: tuple[int, ...] = ()) -> None:
        self._model, self._threads, self._batch = model, threads, batch
        self._lengths: tuple[int, ...] = ()
        self._size = size
        self._interpreter: Any = None
        self._prepare()
        self._lock = Lock()  # an interpreter has one input buffer: one thread at a time
        self._open = None in self.image.shape[1:]

    def _prepare(self) -> None:
        """Allocates the tensors, without XNNPACK if it cannot prepare the model.

        Warns:
            CpuWarning: it cannot.

        Raises:
            ArtifactError: LiteRT's own kernels cannot prepare it either.
        """
        try:
            self._allocate(xnnpack=True)
        except (ValueError, RuntimeError):
            try:
                self._allocate(xnnpack=False)
            except (ValueError, RuntimeError) as error:
                raise load_error("LiteRT", self._model, error) from error
            warnings.warn(f"'{self._model}': {SLOWER}", CpuWarning, stacklevel=2)

    def _resize(self) -> None:
        try:
            self._interpreter.resize_tensor_input(self._input_index, self._lengths)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError):
            self._prepare()

    def _allocate(self, *, xnnpack: bool) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kernels = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(
            model_path=str(self._model), num_threads=self._threads, experimental_op_resolver_type=kernels
        )
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        images, answers = [_spec(item) for item in inputs], [_spec(item) for item in outputs]
        check_tensors(images, answers, self._model)
        (self.image,), (self.output,) = images, answers
        self._input_index, self._output_index = inputs[0]["index"], outputs[0]["index"]
        lengths = self._lengths or self.image.lengths(self._batch, self._size)
        if self._batch > 1 or None in self.image.shape:
            interpreter.resize_tensor_input(self._input_index, lengths)
        interpreter.allocate_tensors()
        found = interpreter.get_output_details()[0]["shape"]
        if self._batch > 1 and (not len(found) or found[0] != self._batch):
            raise ArtifactError(f"'{self._model}' only computes single images; received batches of {self._batch}")
        self.provider = read_delegation(interpreter).provider if xnnpack else WITHOUT_XNNPACK
        self._interpreter, self._lengths = interpreter, lengths

    def run(self, images: Tensor) -> Tensor:
        with self._lock:
            return self._run(images)

    def run_filled(self, count: int, fill: Callable[[Tensor | None], Tensor]) -> Tensor:
        with self._lock:
            if count != self._batch or self._open or self._interpreter is None:
                return self._run(fill(None))
            try:  # saves a copy of the input, and the memory for it
                fill(self._interpreter.tensor(self._input_index)())
                self._interpreter.invoke()
                output: Tensor = self._interpreter.get_tensor(self._output_index)
                return output
            except (ValueError, RuntimeError) as error:
                return self._run_without_xnnpack(fill(None), error)

    def _run_without_xnnpack(self, images: Tensor, cause: Exception) -> Tensor:
        """Runs images after XNNPACK failed to, as it does where it prepares a model only when it runs.

        Warns:
            CpuWarning: LiteRT's own kernels run it.

        Raises:
            ArtifactError: they fail, too.
        """
        failed = load_error("LiteRT", self._model, cause, to="run")
        if self.provider == WITHOUT_XNNPACK:
            raise failed from cause
        before = self._interpreter, self.provider
        try:
            self._allocate(xnnpack=False)
            outputs = self._run(images)
        except (ArtifactError, ValueError, RuntimeError):
            self._interpreter, self.provider = before
            raise failed from cause
        warnings.warn(f"'{self._model}': {SLOWER}", CpuWarning, stacklevel=2)
        return outputs

    def _run(self, images: Tensor) -> Tensor:
        interpreter, batch = self._interpreter, self._batch
        if interpreter is None:
            raise closed_error()
        try:
            if self._open and images.shape[1:] != self._lengths[1:]:
                self._lengths = (batch, *images.shape[1:])
                self._resize()
                interpreter = self._interpreter
            if len(images) == batch:  # the hot path: get_tensor already copies
                interpreter.set_tensor(self._input_index, images)
                interpreter.invoke()
                output: Tensor = interpreter.get_tensor(self._output_index)
                return output
            if len(images) % batch:
                raise OptionError(f"this session needs multiples of {batch} images; received {len(images)}")
            outputs = []
            for start in range(0, len(images), batch):
                interpreter.set_tensor(self._input_index, images[start : start + batch])
                interpreter.invoke()
                outputs.append(interpreter.get_tensor(self._output_index))
            return np.concatenate(outputs)
        except (ValueError, RuntimeError) as error:
            return self._run_without_xnnpack(images, error)

    def close(self) -> None:
        with self._lock:
            self._interpreter = None


class LiteRTCompiledSession(Session):
    """LiteRT's compiled model on one accelerator; operators that it cannot compute are an error."""

    def __init__(self, model: Path, target: Target, batch: int) -> None:
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.hardware_accelerator import HardwareAccelerator

        if batch != 1:
            raise ArtifactError(f"'{target}' runs one image at a time; received batches of {batch}")
        wanted = HardwareAccelerator[target.device.upper()]
        try:
            compiled = CompiledModel.from_file(str(model), hardware_accel=wanted)
            whole = compiled.is_fully_accelerated()
        except (ValueError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            raise TargetError(
                f"target '{target}' cannot run '{model}': {first}; LiteRT's accelerator found no usable GPU, or has"
                " no kernel for a layer of the model; use `target='litert:cpu'`"
            ) from error
        if target.device != "cpu" and not whole:
            raise TargetError(f"target '{target}' can run only part of '{model}'; the rest would run on the CPU")
        (signature,) = compiled.get_signature_list()
        inputs, outputs = (
            [_spec(item) for item in details.values()]
            for details in (compiled.get_input_tensor_details(signature), compiled.get_output_tensor_details(signature))
        )
        check_tensors(inputs, outputs, model)
        (self.image,), (self.output,) = inputs, outputs
        self.provider = f"LiteRT {wanted.name}"
        self._compiled: Any = compiled
        self._inputs, self._outputs = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
        self._shape = [length or 1 for length in self.output.shape]
        self._lock = Lock()

    def run(self, images: Tensor) -> Tensor:
        outputs = []
        with self._lock:
            if self._compiled is None:
                raise closed_error()
            try:
                for index in range(len(images)):
                    self._inputs[0].write(images[index : index + 1])
                    self._compiled.run_by_index(0, self._inputs, self._outputs)
                    output = self._outputs[0].read(int(np.prod(self._shape)), self.output.dtype)
                    outputs.append(output.reshape(self._shape))
            except (ValueError, RuntimeError) as error:
                raise ArtifactError(f"LiteRT cannot run the model: {error}") from error
        return np.concatenate(outputs)

    def close(self) -> None:
        with self._lock:
            self._inputs = self._outputs = self._compiled = None


def _spec(details: Mapping[str, Any]) -> TensorSpec:
    """Reads the details of a tensor of an interpreter or a compiled model."""
    lengths = details.get("shape_signature", details["shape"])
    scale, zero_point = details.get("quantization", (0.0, 0))
    return TensorSpec(
        name=str(details["name"]),
        shape=tuple(None if length < 0 else int(length) for length in lengths),
        dtype=np.dtype(details["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )


class LiteRT(Runtime):
    """https://ai.google.dev/edge/litert"""

    formats = ("tflite",)
    modules = ("ai_edge_litert",)
    distributions = ("ai-edge-litert",)

    def devices(self) -> list[Device]:
        return [Device("cpu"), Device("gpu", _why_no_gpu())]

    def load(self, model: Path, target: Target, batch: int = 1, size: tuple[int, ...] = ()) -> Session:
        check_model(model)
        if target.device == "gpu":
            return LiteRTCompiledSession(model, target, batch)
        return LiteRTSession(model, target.threads, batch, size)


def _why_no_gpu() -> str:
    """Returns why LiteRT's GPU accelerator, which uses Vulkan, cannot run here; empty if it can."""
    if not any(Path("/").glob(GPU_NODES)) and not has_nvidia_driver():
        return f"no GPU with a driver (no /{GPU_NODES}, no NVIDIA driver)"
    if ctypes.util.find_library("vulkan") is None:
        return "no Vulkan loader, which LiteRT's GPU accelerator needs (apt-get install libvulkan1 mesa-vulkan-drivers)"
    return ""


RUNTIME = LiteRT()

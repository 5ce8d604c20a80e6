"""ONNX Runtime: ONNX models on the CPU, and on an NVIDIA GPU through its CUDA execution provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.errors import ArtifactError, TargetError
from tledge.core.images import Pixels
from tledge.edge_runtime.nvidia import NO_NVIDIA_DRIVER, has_nvidia_driver
from tledge.edge_runtime.runtime import Device, Logits, Runtime, Session
from tledge.edge_runtime.target import Target

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""The execution provider behind each device."""


class OnnxRuntimeSession(Session):
    """An inference session that runs on one named execution provider and nowhere else."""

    def __init__(self, model: Path, target: Target) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        if target.threads is not None:
            options.intra_op_num_threads = target.threads
            options.inter_op_num_threads = 1
        provider = PROVIDERS[target.device]
        if target.device != "cpu":  # else what the GPU cannot do would run on the CPU without a word
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            session: Any = onnxruntime.InferenceSession(str(model), options, providers=[provider])
        except Exception as error:
            raise ArtifactError(f"ONNX Runtime cannot load '{model}': {error}; copy or export it again") from error
        running = session.get_providers()
        if running[0] != provider:  # it falls back to the CPU without an error
            raise TargetError(
                f"target '{target}' is not on this machine: asked for {provider}, ONNX Runtime fell back to"
                f" {running[0]}: check the GPU driver and the CUDA and cuDNN libraries"
            )
        (image,) = session.get_inputs()
        (logits,) = session.get_outputs()
        if image.type != "tensor(uint8)" or image.shape[3:] != [3] or len(logits.shape) != 2:
            raise ArtifactError(
                f"'{model}' is not an image classifier as tledge exports it: input {image.type} {image.shape}, output"
                f" {logits.shape}; expected tensor(uint8) [batch, height, width, 3] and [batch, classes]"
            )
        self._session = session
        self._input: str = image.name
        self._output: str = logits.name
        self.input_size = (image.shape[1], image.shape[2])
        self.classes = logits.shape[1]

    def run(self, images: Pixels) -> Logits:
        try:
            (logits,) = self._session.run([self._output], {self._input: images})
        except Exception as error:
            raise ArtifactError(f"ONNX Runtime cannot run the model: {error}; copy or export it again") from error
        return np.asarray(logits, np.float32)

    def close(self) -> None:
        self._session = None


class OnnxRuntime(Runtime):
    """https://onnxruntime.ai"""

    formats = ("onnx",)
    modules = ("onnxruntime",)
    distributions = ("onnxruntime", "onnxruntime-gpu")
    extra = "onnx"

    def devices(self) -> list[Device]:
        import onnxruntime

        missing = ""
        if PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
            missing = "no CUDA provider in this onnxruntime (pip uninstall onnxruntime; pip install 'tledge[cuda]')"
        elif not has_nvidia_driver():  # the provider was compiled in, which says nothing of this machine
            missing = NO_NVIDIA_DRIVER
        return [Device("cpu"), Device("cuda", missing)]

    def load(self, model: Path, target: Target) -> Session:
        return OnnxRuntimeSession(model, target)


RUNTIME = OnnxRuntime()

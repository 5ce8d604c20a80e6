"""LiteRT: TFLite models through its interpreter and XNNPACK, on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tledge.core.errors import ArtifactError
from tledge.core.images import Pixels
from tledge.edge_runtime.runtime import Device, Logits, Runtime, Session
from tledge.edge_runtime.target import Target


class LiteRTSession(Session):
    """An interpreter at batch 1, as it runs on a device: N images are N invocations."""

    def __init__(self, model: Path, threads: int | None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_path=str(model), num_threads=threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"LiteRT cannot load '{model}': {error}; copy or export it again") from error
        (image,) = interpreter.get_input_details()
        (logits,) = interpreter.get_output_details()
        if image["dtype"] is not np.uint8 or image["shape"][-1:].tolist() != [3] or len(logits["shape"]) != 2:
            raise ArtifactError(
                f"'{model}' is not an image classifier as tledge exports it: input {image['dtype'].__name__}"
                f" {list(image['shape'])}, output {list(logits['shape'])}; expected uint8 [1, height, width, 3] and"
                " [1, classes]"
            )
        self._interpreter = interpreter
        self._input = image["index"]
        self._output = logits["index"]
        height, width = (int(length) for length in image["shape"][1:3])
        self.input_size = (height, width)
        self.classes = int(logits["shape"][1])

    def run(self, images: Pixels) -> Logits:
        logits = np.empty((len(images), self.classes), np.float32)
        try:
            for index in range(len(images)):
                self._interpreter.set_tensor(self._input, images[index : index + 1])
                self._interpreter.invoke()
                logits[index] = self._interpreter.get_tensor(self._output)[0]
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"LiteRT cannot run the model: {error}; copy or export it again") from error
        return logits

    def close(self) -> None:
        self._interpreter = None


class LiteRT(Runtime):
    """https://ai.google.dev/edge/litert"""

    formats = ("tflite",)
    modules = ("ai_edge_litert",)
    distributions = ("ai-edge-litert",)

    def devices(self) -> list[Device]:
        return [Device("cpu")]

    def load(self, model: Path, target: Target) -> Session:
        return LiteRTSession(model, target.threads)


RUNTIME = LiteRT()

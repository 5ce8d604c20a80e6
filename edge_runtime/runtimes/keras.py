"""Keras: the trained model itself, on a workstation, as the reference that artifacts are held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.errors import ArtifactError
from tledge.core.extras import keras_backend, require
from tledge.core.images import Pixels
from tledge.edge_runtime.nvidia import NO_NVIDIA_DRIVER, has_nvidia_driver
from tledge.edge_runtime.runtime import Device, Logits, Runtime, Session
from tledge.edge_runtime.target import Target


class KerasSession(Session):
    """A Keras model in inference mode, compiled by its backend."""

    def __init__(self, model: Path, target: Target) -> None:
        import keras

        self._device = f"{target.device}:0"
        try:
            with keras.device(self._device):
                self._model: Any = keras.saving.load_model(model, compile=False)
        except Exception as error:
            raise ArtifactError(f"Keras cannot load '{model}': {error}; copy or train it again") from error

        # TensorFlow's XLA is many times slower than its own kernels on a CPU; JAX has nothing else.
        self.input_size = tuple(self._model.input_shape[1:3])
        self.classes = self._model.output_shape[-1]
        self._model.jit_compile = keras_backend() == "jax" or target.device != "cpu"

    def run(self, images: Pixels) -> Logits:
        import keras

        with keras.device(self._device):
            return np.asarray(self._model.predict_on_batch(images.astype(np.float32)), np.float32)

    def close(self) -> None:
        self._model = None


class Keras(Runtime):
    """https://keras.io"""

    formats = ("keras",)
    modules = ("keras",)
    distributions = ("keras", "tensorflow", "jax")
    extra = "train"
    takes_threads = False

    def require_installed(self, purpose: str) -> None:
        super().require_installed(purpose)
        require(keras_backend(), extra=self.extra, purpose=purpose)

    def devices(self) -> list[Device]:
        return [Device("cpu"), Device("gpu", _why_no_gpu())]

    def load(self, model: Path, target: Target) -> Session:
        return KerasSession(model, target)


def _why_no_gpu() -> str:
    if not has_nvidia_driver():  # spares the import of a whole framework
        return NO_NVIDIA_DRIVER
    import keras

    try:
        gpus = keras.distribution.list_devices("gpu")
    except RuntimeError:  # JAX raises where it has no GPU backend
        gpus = []
    return "" if gpus else f"{keras_backend()} sees no GPU (pip install 'tledge[cuda]')"


RUNTIME = Keras()

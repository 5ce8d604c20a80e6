"""Keras: the trained model itself, on a workstation, as the reference for artifacts."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from tledge.core.errors import ArtifactError
from tledge.core.extras import keras_backend, require
from tledge.core.keras_archive import check_keras_archive
from tledge.edge_runtime.runtime import NO_NVIDIA_DRIVER, Device, Runtime, Session, closed_error, has_nvidia_driver
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor, TensorSpec


class KerasSession(Session):
    """A Keras model in inference mode, compiled by its backend; it also accepts uint8 pixel values."""

    def __init__(self, model: Path, target: Target) -> None:
        import keras

        self._device = f"{target.device}:0"
        self._lock = Lock()  # Keras compiles a model at its first call, which is not thread-safe
        try:
            check_keras_archive(model)
            with keras.device(self._device):
                self._model: Any = _as_functional(keras.saving.load_model(model, compile=False))
        except Exception as error:
            raise ArtifactError(f"Keras cannot load '{model}': {error}; copy or train it again") from error

        ends = (getattr(self._model, name, None) for name in ("input", "output"))
        if not all(isinstance(end, keras.KerasTensor) for end in ends):
            raise ArtifactError(f"'{model}' is not an image classifier: expected one input and one output")
        self.image = TensorSpec(self._model.input.name, self._model.input_shape, np.dtype(np.uint8))
        self.output = TensorSpec(self._model.output.name, self._model.output_shape, np.dtype(np.float32))
        self.provider = f"{keras_backend()} {_device_of(self._model)}"
        # On a CPU, TensorFlow's XLA is many times slower than its kernels; JAX has only XLA.
        self._model.jit_compile = keras_backend() == "jax" or target.device != "cpu"

    def run(self, images: Tensor) -> Tensor:
        import keras

        with self._lock, keras.device(self._device):
            if self._model is None:
                raise closed_error()
            return np.asarray(self._model.predict_on_batch(images.astype(np.float32)), np.float32)

    def close(self) -> None:
        with self._lock:
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

    def load(self, model: Path, target: Target, batch: int = 1, size: tuple[int, ...] = ()) -> Session:
        return KerasSession(model, target)


def _as_functional(model: Any) -> Any:
    """Returns a ``keras.Sequential`` as the functional model in it: on its own, it has no input until it is called."""
    import keras

    if not isinstance(model, keras.Sequential):
        return model
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def _device_of(model: Any) -> str:
    """Returns the device that holds the model's weights ("cpu:0")."""
    if not model.weights:
        return "cpu:0"
    value = model.weights[0].value
    device = value.device
    if isinstance(device, str):  # TensorFlow: /job:localhost/replica:0/task:0/device:CPU:0
        return device.rpartition("device:")[2].lower()
    return f"{device.platform}:{device.id}"


def _why_no_gpu() -> str:
    if not has_nvidia_driver():  # avoids importing a whole framework
        return NO_NVIDIA_DRIVER
    import keras

    try:
        gpus = keras.distribution.list_devices("gpu")
    except RuntimeError:  # JAX raises where it has no GPU backend
        gpus = []
    return "" if gpus else f"{keras_backend()} finds no GPU (pip install 'tledge[cuda]')"


RUNTIME = Keras()

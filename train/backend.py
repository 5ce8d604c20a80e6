"""What differs between Keras' backends: the only file that asks which one it is. Imports Keras."""

from __future__ import annotations

import keras

from tledge.core.loading import usable_cores

_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}


def device_kind() -> str:
    """What the backend computes on: "CPU", "GPU" or "TPU"."""
    return str(keras.distribution.list_devices()[0]).split(":")[0].upper()


def use_xla() -> bool:
    """What to pass as ``jit_compile``.

    TensorFlow's XLA runs MobileNetV2 twelve times slower than its own kernels on a CPU; JAX has nothing else.
    """
    return keras.backend.backend() == "jax" or device_kind() != "CPU"


def describe_device() -> str:
    """The backend and device for a person ("TensorFlow on CPU (2 cores)")."""
    cores = f" ({usable_cores()} cores)" if device_kind() == "CPU" else ""
    return f"{_NAMES.get(keras.backend.backend(), keras.backend.backend())} on {device_kind()}{cores}"

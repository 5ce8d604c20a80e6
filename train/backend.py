"""Differences between Keras' backends; no other file of the room depends on the backend. Imports Keras.

Several devices and hosts can share a training step, each with its part of the batch: on TensorFlow through
``tf.distribute``, on JAX through ``keras.distribution``, and several hosts through JAX's distributed runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras

from tledge.core.cores import usable_cores
from tledge.core.errors import HostError, OptionError, TargetError, first_line


def configure_backend(devices: int | None, *, hosts: int = 1, host: int = 0, coordinator: str | None = None) -> None:
    """Sets up the backend; this must happen before it computes anything.

    Args:
        devices: devices of each host; on a CPU, its cores are divided into that many virtual devices.
        host: the index of this host, from 0.
        coordinator: "address:port" of the first host.

    Raises:
        TargetError: the backend does not support it.
        HostError: the other hosts cannot be reached.
        OptionError: the backend has computed something already.
    """
    if hosts > 1:
        if keras.backend.backend() != "jax":
            raise TargetError(f"training on several hosts needs JAX; Keras runs on {_name()}: set KERAS_BACKEND=jax")
        _join_hosts(hosts, host, str(coordinator))
    if devices is not None and devices > 1:
        _split_cpu(devices)
    if keras.backend.backend() == "tensorflow" and device_kind() == "CPU":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()  # a resumed run must give the result of an uninterrupted one


def _join_hosts(hosts: int, host: int, coordinator: str) -> None:
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # for hosts without GPUs
    try:
        keras.distribution.initialize(job_addresses=coordinator, num_processes=hosts, process_id=host)
    except (RuntimeError, ValueError) as error:
        raise HostError(
            f"host {host} of {hosts} cannot connect to the others at {coordinator}: {first_line(error)}"
        ) from error


def _split_cpu(devices: int) -> None:
    try:
        if keras.backend.backend() == "jax":
            import jax  # its devices must not be listed here: their number could not be changed afterwards

            jax.config.update("jax_num_cpu_devices", devices)
        elif device_kind() == "CPU":
            import tensorflow as tf

            virtual = [tf.config.LogicalDeviceConfiguration() for _ in range(devices)]
            tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], virtual)
    except RuntimeError as error:
        raise OptionError(
            f"`devices={devices}` must be set before {_name()} computes anything; start a new process"
        ) from error


def _name() -> str:
    backend = str(keras.backend.backend())
    return {"tensorflow": "TensorFlow", "jax": "JAX"}.get(backend, backend)


def device_kind() -> str:
    """Returns the kind of device that the backend uses: "CPU", "GPU" or "TPU"."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # its list of devices, unlike Keras', does not initialize them

        kinds = {device.device_type for device in tf.config.list_physical_devices()}
        return next((kind for kind in ("TPU", "GPU") if kind in kinds), "CPU")
    import jax

    return str(jax.default_backend()).upper()


def should_jit_compile() -> bool:
    """Returns whether models are compiled with XLA (Keras' ``jit_compile``).

    On a CPU, TensorFlow's XLA runs MobileNetV2 twelve times slower than its own kernels. JAX always uses XLA.
    """
    return keras.backend.backend() == "jax" or device_kind() != "CPU"


def describe_device(devices: int, hosts: int = 1) -> str:
    """Returns the backend and devices as a text: "TensorFlow on CPU (2 cores)"."""
    cores = f" ({usable_cores()} cores)" if device_kind() == "CPU" else ""
    count = f"{devices} x " if devices > 1 else ""
    others = f", {hosts} hosts" if hosts > 1 else ""
    return f"{_name()} on {count}{device_kind()}{cores}{others}"


def stateless_scope(model: Any, state: Sequence[Any]) -> AbstractContextManager[Any]:
    """Returns a context in which the variables of a model have the values passed to a training step.

    Args:
        state: the arguments of the training step besides the batch: none on TensorFlow; on JAX the values of all
            variables, in groups.
    """
    if not state:
        return nullcontext()
    groups = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
    values = state[0][: len(groups)]
    pairs = [pair for group in zip(groups, values, strict=True) for pair in zip(*group, strict=True)]
    return keras.StatelessScope(state_mapping=pairs)  # type: ignore[no-any-return]


def gradient_of(function: Callable[[Any], Any], at: Any) -> Any:
    """Returns the gradient of a scalar function of a tensor; for use within a compiled step."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(function)(at)
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        value = function(at)
    return tape.gradient(value, at)


def draw_noise(shape: Any, seed: int, number: Any) -> Any:
    """Returns random values, uniform from -1 to 1; for use within a compiled step.

    Args:
        seed: 0 to 2**32 - 1.
        number: an integer or an integer tensor; the same seed and number give the same values.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.random.uniform(jax.random.fold_in(jax.random.key(seed), number), shape, minval=-1, maxval=1)
    import tensorflow as tf

    seeds = tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
    return tf.random.stateless_uniform(shape, seed=seeds, minval=-1, maxval=1)


class Devices:
    """The devices that share each batch of a training.

    Args:
        count: devices of this host; None for every GPU or TPU, or one CPU.

    Raises:
        OptionError: this host has fewer devices.
    """

    def __init__(self, count: int | None, hosts: int = 1) -> None:
        found = _local_devices()
        if count is None:
            count = 1 if device_kind() == "CPU" else len(found)
        if count > len(found):
            raise OptionError(f"`devices={count}` is too many: this machine has {len(found)} ({', '.join(found)})")
        self.count: int = count
        self._strategy: Any = None
        self._distribution: Any = None
        if count == hosts == 1:
            return
        if keras.backend.backend() == "jax":
            every = keras.distribution.list_devices(device_kind().lower())
            self._distribution = keras.distribution.DataParallel(
                devices=every if hosts > 1 else every[:count], auto_shard_dataset=False
            )
        else:
            import tensorflow as tf

            self._strategy = tf.distribute.MirroredStrategy(found[:count])

    def build_scope(self) -> AbstractContextManager[Any]:
        """Returns a context in which models are built and compiled with their variables on all devices."""
        if self._strategy is not None:
            return self._strategy.scope()  # type: ignore[no-any-return]
        return self.fit_scope()

    def fit_scope(self) -> AbstractContextManager[Any]:
        """Returns a context in which a model that was built on all devices is trained."""
        return _distributing(self._distribution) if self._distribution is not None else nullcontext()

    def local_scope(self) -> AbstractContextManager[Any]:
        """Returns a context within :meth:`fit_scope` in which this host computes alone, with a model of its own."""
        return _distributing(None) if self._distribution is not None else nullcontext()


def _local_devices() -> list[str]:
    kind = device_kind()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [device.name.replace("/device:", "") for device in tf.config.list_logical_devices(kind)]
    import jax

    return [f"{kind}:{device.id}" for device in jax.local_devices()]


@contextmanager
def _distributing(distribution: Any) -> Iterator[None]:
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(distribution)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)

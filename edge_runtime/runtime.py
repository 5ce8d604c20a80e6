"""The base classes of every module in ``edge_runtime/runtimes``, and the choice of a target."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tledge.core.cores import usable_cores
from tledge.core.cpu import CpuWarning
from tledge.core.errors import MissingExtraError, OptionError, TargetError, UnknownNameError
from tledge.core.extras import require
from tledge.core.registry import Registry
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor, TensorSpec

NO_NVIDIA_DRIVER = "no NVIDIA driver (no /dev/nvidiactl)"


class Session(ABC):
    """A model loaded on a target. Several threads may use it at once.

    Attributes:
        image: the input tensor.
        output: the output tensor.
        provider: what runs it, as the runtime reports it ("XNNPACK", "CPUExecutionProvider").
    """

    image: TensorSpec
    output: TensorSpec
    provider: str

    @abstractmethod
    def run(self, images: Tensor) -> Tensor:
        """Runs the model.

        Args:
            images: N images along the first axis, contiguous, with the dtype and the other lengths of ``image``.

        Returns:
            N rows along the first axis, with the dtype of ``output``.

        Raises:
            ArtifactError: the runtime cannot run the model.
            OptionError: the session is closed, or N is not a multiple of its batch size.
        """

    def run_filled(self, count: int, fill: Callable[[Tensor | None], Tensor]) -> Tensor:
        """Runs the model on ``count`` images, as ``run`` does, which ``fill`` computes.

        Args:
            count: number of images.
            fill: writes the images to the array that it receives, the input's own memory, and returns it; or returns
                them in an array of its own if it receives None.
        """
        return self.run(fill(None))

    @abstractmethod
    def close(self) -> None:
        """Frees the session's memory, after the runs of other threads have ended; safe to call twice."""


def closed_error() -> OptionError:
    """Returns the error for a session that is run after it was closed."""
    return OptionError("this model was closed and is no longer loaded; load it again, or close it after its last use")


@dataclass(frozen=True)
class Device:
    """A device of a runtime on this machine.

    Attributes:
        name: the second part of a target ("cuda").
        missing: why it cannot be used, and the remedy; empty if it can be used.
    """

    name: str
    missing: str = ""


class Runtime(ABC):
    """A library that runs model files.

    Attributes:
        formats: the artifact formats that it runs.
        modules: top-level modules that must be importable.
        distributions: distributions whose versions are part of the environment record.
        extra: the extra of tledge that installs it; empty for the base install.
        takes_threads: whether its targets may set a thread count.
    """

    formats: tuple[str, ...]
    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    extra: str = ""
    takes_threads: bool = True

    @abstractmethod
    def devices(self) -> list[Device]:
        """Returns the devices of the runtime, with the reason for those that this machine does not have."""

    @abstractmethod
    def load(self, model: Path, target: Target, batch: int = 1, size: tuple[int, ...] = ()) -> Session:
        """Loads a model file.

        Args:
            model: a file of one of ``formats``.
            target: a device that this machine has, with its thread count.
            batch: images to compute at once; ``run`` then takes multiples of it.
            size: (height, width) of the images to prepare for, where the file leaves it open.

        Raises:
            ArtifactError: the file cannot be loaded, or does not have exactly one input and one output.
            TargetError: the device cannot run the model.
        """

    def missing(self) -> str:
        """Returns why the runtime cannot be used here, and the remedy; empty if it can be used."""
        try:
            self.require_installed("it")
        except MissingExtraError as error:
            return str(error).removeprefix("it ")
        return ""

    def require_installed(self, purpose: str) -> None:
        """Raises MissingExtraError if the runtime's library is not installed."""
        require(*self.modules, extra=self.extra, purpose=purpose)


def has_nvidia_driver() -> bool:
    """Whether this machine has an NVIDIA GPU, found without importing a framework: by the driver's control device."""
    return Path("/dev/nvidiactl").exists()


RUNTIMES = Registry[Runtime]("tledge.edge_runtime.runtimes", "runtime", "RUNTIME", Runtime)


def resolve(target: Target) -> tuple[Runtime, Target]:
    """Checks that this machine has a target, and sets its thread count.

    Raises:
        UnknownNameError: no such runtime.
        MissingExtraError: its library is not installed.
        OptionError: the runtime has no such device, or takes no thread count.
        TargetError: this machine lacks the device.

    Warns:
        CpuWarning: the target has more threads than this process may use cores.
    """
    if target.runtime not in RUNTIMES.names():
        here = sorted(map(str, targets_of_this_machine()), key=lambda name: f":{target.runtime}" not in name)
        form = f"; a target is runtime:device:threads, on this machine {' or '.join(here[:3])} (see 'tledge doctor')"
        raise UnknownNameError("runtime", target.runtime, RUNTIMES.names(), form if here else "")
    runtime = RUNTIMES.load(target.runtime)
    runtime.require_installed(f"target '{target}'")
    devices = {device.name: device for device in runtime.devices()}
    if target.device not in devices:
        raise OptionError(
            f"target '{target}' is unknown: {target.runtime} has no device '{target.device}'; its devices:"
            f" {', '.join(devices)}"
        )
    if devices[target.device].missing:
        raise TargetError(f"target '{target}' is not on this machine: {devices[target.device].missing}")
    if target.threads is not None and not runtime.takes_threads:
        raise OptionError(f"target '{target}': {target.runtime} takes no thread count; leave it out")
    if target.threads is not None and target.threads > usable_cores():
        warnings.warn(
            f"target '{target}' has more threads than this process may use cores ({usable_cores()}): they wait for one"
            f" another, which is slow; use '{replace(target, threads=usable_cores())}'",
            CpuWarning,
            stacklevel=2,
        )
    if target.threads is None and runtime.takes_threads and target.device == "cpu":
        return runtime, replace(target, threads=usable_cores())
    return runtime, target


def targets_of_this_machine() -> list[Target]:
    """Returns every target of this machine, one per runtime and device, on all usable cores."""
    found = []
    for name in RUNTIMES.names():
        runtime = RUNTIMES.load(name)
        if not runtime.missing():
            found += [resolve(Target(name, device.name))[1] for device in runtime.devices() if not device.missing]
    return found


def default_target(model_format: str) -> Target:
    """Returns the CPU target of the first runtime that runs a format, on all usable cores.

    Raises:
        MissingExtraError: that runtime's library is not installed.
        TargetError: no runtime runs the format.
    """
    for name in RUNTIMES.names():
        if model_format in RUNTIMES.load(name).formats:
            return resolve(Target(name, "cpu"))[1]
    raise TargetError(f"no runtime runs .{model_format} files")

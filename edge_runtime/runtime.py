"""What a runtime is: the base of every module in ``edge_runtime/runtimes``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.core.cores import usable_cores
from tledge.core.errors import ArtifactError, MissingExtraError, OptionError, TargetError
from tledge.core.extras import require
from tledge.core.registry import Registry
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor, TensorSpec


class Session(ABC):
    """A model that is loaded on a target. Several threads may use it at once.

    Attributes:
        image: the tensor that it takes.
        output: the tensor that it gives.
        provider: what runs it, as the runtime says once it is loaded ("XNNPACK", "CPUExecutionProvider").
    """

    image: TensorSpec
    output: TensorSpec
    provider: str

    @abstractmethod
    def run(self, images: Tensor) -> Tensor:
        """Runs the model.

        Args:
            images: N images along the first axis, contiguous, of the dtype and the other lengths of ``image``.

        Returns:
            N answers along the first axis, of the dtype of ``output``.

        Raises:
            ArtifactError: the runtime cannot run the model.
            OptionError: the session is closed, or N is no multiple of the batch that it computes at once.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees what the session holds, once a run in another thread has ended; closing it again does nothing."""


def closed_error() -> OptionError:
    """What a session raises that is run after it was closed."""
    return OptionError("this model was closed and is no longer loaded; load it again, or close it after its last use")


@dataclass(frozen=True)
class Device:
    """A device of a runtime on this machine.

    Attributes:
        name: the second part of a target ("cuda").
        missing: why it cannot be used and how to get it; empty where it can.
    """

    name: str
    missing: str = ""


class Runtime(ABC):
    """A library that runs model files.

    Attributes:
        formats: the artifact formats that it takes.
        modules: top-level modules that must be importable.
        distributions: whose versions belong into the environment record.
        extra: the extra of tledge that brings it; empty for the base install.
        takes_threads: whether targets of it may name a thread count.
    """

    formats: tuple[str, ...]
    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    extra: str = ""
    takes_threads: bool = True

    @abstractmethod
    def devices(self) -> list[Device]:
        """The devices that the runtime knows, and which of them this machine has."""

    @abstractmethod
    def load(self, model: Path, target: Target, batch: int = 1) -> Session:
        """Loads a model file.

        Args:
            model: of one of ``formats``.
            target: a device that this machine has, thread count filled in.
            batch: images that it computes at once, where the runtime wants to know that beforehand; ``run`` then
                takes multiples of it.

        Raises:
            ArtifactError: the file cannot be loaded, or is not of one input and one output.
            TargetError: the device does not take the model.
        """

    def missing(self) -> str:
        """Why the runtime cannot be used here and how to get it; empty where it can."""
        try:
            self.require_installed("it")
        except MissingExtraError as error:
            return str(error).removeprefix("it ")
        return ""

    def require_installed(self, purpose: str) -> None:
        """Raises MissingExtraError where the runtime's library is not installed."""
        require(*self.modules, extra=self.extra, purpose=purpose)


RUNTIMES = Registry[Runtime]("tledge.edge_runtime.runtimes", "runtime", "RUNTIME", Runtime)


def resolve(target: Target) -> tuple[Runtime, Target]:
    """Checks that this machine has a target, and fills in its thread count.

    Raises:
        UnknownNameError: no such runtime.
        MissingExtraError: its library is not installed.
        TargetError: this machine lacks the device, or the runtime takes no thread count.
    """
    runtime = RUNTIMES.load(target.runtime)
    runtime.require_installed(f"target '{target}'")
    devices = {device.name: device for device in runtime.devices()}
    if target.device not in devices:
        raise TargetError(
            f"target '{target}' is unknown: {target.runtime} has no device '{target.device}'; its devices:"
            f" {', '.join(devices)}"
        )
    if devices[target.device].missing:
        raise TargetError(f"target '{target}' is not on this machine: {devices[target.device].missing}")
    if not runtime.takes_threads:
        if target.threads is not None:
            raise TargetError(f"target '{target}': {target.runtime} takes no thread count; leave it out")
        return runtime, target
    if target.device == "cpu" and target.threads is None:
        return runtime, Target(target.runtime, target.device, usable_cores())
    return runtime, target


def targets_of_this_machine() -> list[Target]:
    """Every target that can be used here, one per runtime and device, on all usable cores."""
    found = []
    for name in RUNTIMES.names():
        runtime = RUNTIMES.load(name)
        if not runtime.missing():
            found += [resolve(Target(name, device.name))[1] for device in runtime.devices() if not device.missing]
    return found


def only_tensor(kind: str, tensors: Sequence[TensorSpec], model: Path) -> TensorSpec:
    """The one input or output of an image classifier.

    Args:
        kind: "input" or "output".
        tensors: all of them.
        model: the file.

    Raises:
        ArtifactError: there are several, or none.
    """
    if len(tensors) != 1:
        listed = "; ".join(map(str, tensors)) or "none"
        raise ArtifactError(f"'{model}' is no image classifier: expected one {kind}, found {len(tensors)}: {listed}")
    return tensors[0]


def default_target(model_format: str) -> Target:
    """The CPU target of the first runtime that takes a format, on all usable cores.

    Raises:
        MissingExtraError: that runtime's library is not installed.
    """
    for name in RUNTIMES.names():
        if model_format in RUNTIMES.load(name).formats:
            return resolve(Target(name, "cpu"))[1]
    raise TargetError(f"no runtime takes .{model_format} files")

"""Profiles of model files: which operators take the time, as measured by the runtime's own profiler."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tledge.core.errors import OptionError
from tledge.core.records import Record
from tledge.core.worker import python_module, run_worker
from tledge.edge_runtime import Target
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.runtime import resolve

TIMEOUT = 3600.0
"""Seconds after which a profiler counts as stuck."""


@dataclass(frozen=True, kw_only=True)
class ProfiledOperator:
    """One operator of a model, as a runtime's profiler measured it.

    Attributes:
        name: its name in the file; its index ("#12", from 0) if the runtime fused several operators or added one.
        kind: what the runtime ran ("QLinearConv", "Convolution (NHWC, QC8) IGEMM").
        milliseconds: mean per run.
        calls: per run; more than 1 inside a loop.
    """

    name: str
    kind: str
    milliseconds: float
    calls: float


@dataclass(frozen=True, kw_only=True)
class OperatorTime(ProfiledOperator):
    """An operator with its fraction of the time of all operators, 0 to 1."""

    share: float


@dataclass(frozen=True, kw_only=True)
class Profile(Record):
    """Where the time of a model goes.

    Attributes:
        runs: number of profiled runs, one image each.
        milliseconds: mean of a whole run with the profiler on, which is slower than without.
        operators: all operators, slowest first.
    """

    artifact: str
    target: str
    runs: int
    milliseconds: float
    operators: tuple[OperatorTime, ...]


def profile_operators(artifact: Path, target: str, *, runs: int = 50, input_size: tuple[int, ...] = ()) -> Profile:
    """Profiles a model file, with or without a sidecar, on random input in a fresh process.

    Args:
        artifact: a TFLite or ONNX file.
        target: "runtime:device:threads"; LiteRT's profiler supports the CPU only.
        runs: number of profiled runs, after 10 warm-up runs.
        input_size: (height, width) of the input, for a file that leaves it open.

    Raises:
        OptionError: fewer than 1 run, or a target without a profiler of operators.
        TargetError: this machine does not have the target.
        ArtifactError: the file cannot be loaded.
        MeasurementError: the profiler failed.
    """
    if runs < 1:
        raise OptionError(f"a profile needs 1 run or more; received {runs}")
    _, full = resolve(Target.parse(target))
    check_profiler(full)
    BareModel(artifact, full, input_size=input_size).close()  # its error types are lost in another process
    fields = run_worker(
        python_module("tledge.bench.profile.profile_worker"),
        {"artifact": str(artifact), "target": str(full), "runs": runs, "input_size": input_size},
        name=f"profiling {artifact} on {full}",
        timeout=TIMEOUT,
    )
    return Profile.from_dict(fields, "the profiler's process")


def check_profiler(target: Target) -> None:
    """Raises OptionError if a target's runtime has no profiler of operators on its device."""
    if target.runtime == "keras":
        raise OptionError(
            f"cannot profile on '{target}': Keras has no profiler of operators; profile the model's .tflite or .onnx"
            " export"
        )
    if target.runtime == "litert" and target.device != "cpu":
        raise OptionError(
            f"cannot profile on '{target}': LiteRT's profiler measures operators on the CPU only; use litert:cpu"
        )

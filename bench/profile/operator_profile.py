"""Which operators of a model file take the time, by its runtime's own profiler.

The profiler runs in a process of its own: ``python -m tledge.bench.profile.operator_profile MODEL TARGET RUNS RESULT``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tledge.bench.measure.endings import describe_end
from tledge.bench.profile import litert_profiler, onnxruntime_profiler
from tledge.core import atomic
from tledge.core.child import python_module
from tledge.core.errors import MeasurementError, OptionError, TledgeError
from tledge.edge_runtime import Target
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.runtime import resolve

WARM_UP = 10
"""Untimed runs before the profiled ones."""

TIMEOUT = 3600.0
"""Seconds after which a profiler is taken for stuck."""


@dataclass(frozen=True, kw_only=True)
class OperatorTime:
    """One operator.

    Attributes:
        name: its name in the file; its place ("#12", from 0) where the runtime made it of several or of none.
        kind: what the runtime ran ("QLinearConv", "Convolution (NHWC, QC8) IGEMM").
        milliseconds: mean of a run.
        share: of all operators' time, 0 to 1.
        calls: in a run; more than 1 inside of a loop.
    """

    name: str
    kind: str
    milliseconds: float
    share: float
    calls: float


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Where the time of a model goes.

    Attributes:
        artifact: the file's name.
        target: in full ("litert:cpu:2").
        runs: how many were profiled, one image each.
        milliseconds: mean of a whole run while the profiler watched, which is slower than without.
        operators: all of them, slowest first.
    """

    artifact: str
    target: str
    runs: int
    milliseconds: float
    operators: tuple[OperatorTime, ...]

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Profile:
        """Reads what ``to_dict`` gave."""
        operators = tuple(OperatorTime(**operator) for operator in fields["operators"])
        return cls(**{**fields, "operators": operators})


def profile_operators(artifact: Path, target: str, *, runs: int = 50) -> Profile:
    """Profiles a model file on random input, with a sidecar or without, in a fresh process.

    Args:
        artifact: a TFLite or ONNX file.
        target: "runtime:device:threads"; of LiteRT's the CPU only.
        runs: how many to profile, after 10 that warm up.

    Raises:
        OptionError: fewer than 1 run, or a Keras model, which has no such profiler.
        TargetError: this machine does not have the target.
        ArtifactError: the file cannot be loaded.
        MeasurementError: the profiler failed.
    """
    if runs < 1:
        raise OptionError(f"a profile takes 1 run or more; received {runs}")
    _, full = resolve(Target.parse(target))
    _check_profiler(full)
    BareModel(artifact, full).close()  # its errors say more than those of another process
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "profile.json"
        try:
            done = subprocess.run(
                python_module("tledge.bench.profile.operator_profile", artifact, str(full), str(runs), result),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MeasurementError(f"the profiler gave no answer for {TIMEOUT:.0f} s: {artifact} on {full}") from error
        if done.returncode != 0:
            raise MeasurementError(f"profiling {artifact} on {full} {describe_end(done.returncode, done.stderr)}")
        return Profile.from_dict(json.loads(result.read_text(encoding="utf-8")))


def _check_profiler(target: Target) -> None:
    if target.runtime == "keras":
        raise OptionError(
            f"there is no profile on '{target}': Keras has no profiler of operators; profile the model's .tflite or"
            " .onnx export"
        )
    if target.runtime == "litert" and target.device != "cpu":
        raise OptionError(
            f"there is no profile on '{target}': LiteRT's profiler sees the CPU's operators only; take litert:cpu"
        )


def profile_here(artifact: Path, target: Target, runs: int) -> Profile:
    """Profiles in this process; arguments and errors as those of :func:`profile_operators`."""
    model = BareModel(artifact, target)
    query = model.random_input(seed=0)
    model.close()
    profiler = {"litert": litert_profiler.profile_litert, "onnxruntime": onnxruntime_profiler.profile_onnxruntime}[
        target.runtime
    ]
    milliseconds, operators = profiler(artifact, target, query, warm_up=WARM_UP, runs=runs)
    whole = sum(operator.milliseconds for operator in operators)
    if whole == 0:
        raise MeasurementError(
            f"{artifact.name} on {target} is too quick to profile: no operator takes the microsecond that the profiler"
            " counts in"
        )
    return Profile(
        artifact=artifact.name,
        target=str(target),
        runs=runs,
        milliseconds=milliseconds,
        operators=tuple(
            OperatorTime(
                name=operator.name,
                kind=operator.kind,
                milliseconds=operator.milliseconds,
                share=operator.milliseconds / whole,
                calls=operator.calls,
            )
            for operator in sorted(operators, key=lambda operator: -operator.milliseconds)
        ),
    )


def main(arguments: Sequence[str]) -> int:
    """Profiles MODEL on TARGET in RUNS runs and writes RESULT."""
    model, target, runs, result = arguments
    try:
        found = profile_here(Path(model), Target.parse(target), int(runs))
    except TledgeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    atomic.write_json(Path(result), found.to_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The process of a profile: runs the runtime's own profiler; ``core.worker`` has the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tledge.bench.profile.litert_profiler import profile_litert
from tledge.bench.profile.onnxruntime_profiler import profile_onnxruntime
from tledge.bench.profile.operator_profile import OperatorTime, Profile, ProfiledOperator
from tledge.core.errors import MeasurementError
from tledge.core.progress import Progress
from tledge.core.worker_child import serve
from tledge.edge_runtime import Target
from tledge.edge_runtime.bare import BareModel

WARM_UP = 10
"""Untimed runs before the profiled ones."""

PROFILERS = {"litert": profile_litert, "onnxruntime": profile_onnxruntime}


def run_profile(request: Mapping[str, Any], _: Progress) -> dict[str, Any]:
    """Profiles the model of a request; errors are those of ``profile_operators``."""
    artifact, target, runs = Path(request["artifact"]), Target.parse(request["target"]), request["runs"]
    model = BareModel(artifact, target, input_size=tuple(request["input_size"]))
    query = model.random_input(seed=0)
    model.close()
    milliseconds, operators = PROFILERS[target.runtime](artifact, target, query, warm_up=WARM_UP, runs=runs)
    times = rank_operators(operators)
    if not times:
        raise MeasurementError(
            f"cannot profile {artifact.name} on {target}: every operator takes less than a microsecond, which is the"
            " profiler's resolution"
        )
    return Profile(
        artifact=artifact.name, target=str(target), runs=runs, milliseconds=milliseconds, operators=times
    ).to_dict()


def rank_operators(operators: Sequence[ProfiledOperator]) -> tuple[OperatorTime, ...]:
    """Returns the operators with their shares of the time, slowest first; empty if all times are 0."""
    total = sum(operator.milliseconds for operator in operators)
    if total == 0:
        return ()
    return tuple(
        OperatorTime(**vars(operator), share=operator.milliseconds / total)
        for operator in sorted(operators, key=lambda operator: -operator.milliseconds)
    )


if __name__ == "__main__":
    raise SystemExit(serve(run_profile))

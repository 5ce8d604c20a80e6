"""From a cell's raw samples to its measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.bench.cell import CellResult, Timing
from tledge.core.artifact import Artifact
from tledge.core.cpu import mismatch
from tledge.core.measurement import Measurement
from tledge.core.statistics import percentile, wilson_interval
from tledge.edge_runtime.target import Target

WRONG_CPU = "wrong_cpu"
"""The flag of accuracies that are those of this machine and not of the CPU that the artifact was exported for."""

Classes = npt.NDArray[np.intp]


def to_measurements(
    artifact: Artifact,
    target: Target,
    result: CellResult,
    timing: Timing,
    *,
    labels: Classes,
    expected: Classes | None,
) -> list[Measurement]:
    """The measurements of one cell.

    Args:
        artifact: what ran.
        target: where.
        result: its raw samples.
        timing: how it was timed.
        labels: (images,), the class of each test image.
        expected: (images,), the class that the Keras model gives; None where that could not run.
    """

    def measurement(
        metric: str,
        scenario: str,
        value: float,
        n: int,
        *,
        interval: tuple[float, float] | None = None,
        params: Mapping[str, Any] | None = None,
        flags: tuple[str, ...] = (),
    ) -> Measurement:
        return Measurement(
            artifact=artifact.name,
            artifact_sha256=result.artifact_sha256,
            target=str(target),
            scenario=scenario,
            metric=metric,
            value=value,
            n=n,
            interval=interval,
            params=params or {},
            environment=result.environment_id,
            flags=flags,
        )

    def rate(metric: str, hits: npt.NDArray[np.bool_]) -> Measurement:
        count = int(hits.sum())
        interval = wilson_interval(count, len(hits))
        return measurement(
            metric,
            "accuracy",
            count / len(hits),
            len(hits),
            interval=interval,
            params={"split": "test"},
            flags=(WRONG_CPU,) if mismatch(artifact.sidecar.cpu) else (),
        )

    def latency(percent: int) -> Measurement:
        value, interval = percentile(result.latencies, percent)
        name, queries = f"latency_p{percent}", len(result.latencies)
        return measurement(name, "single-stream", value, queries, interval=interval, params=asdict(timing))

    predicted = result.logits.argmax(axis=1)
    return [
        measurement("file_size", "static", artifact.size, 1),
        measurement("load_time", "static", result.load_time, 1),
        rate("top1", predicted == labels),
        *([] if expected is None else [rate("agreement", predicted == expected)]),
        *(latency(percent) for percent in (50, 90, 99)),
    ]

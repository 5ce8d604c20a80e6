"""Clocks, models and rounds with chosen durations: what is measured on them has a known answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from stored_sample import PI, QUIET, SHA

from tledge.bench.measure.round_worker import LoadedModel
from tledge.bench.results.cell_result import Round, Timing
from tledge.edge_runtime.target import Target

MS = 1_000_000
"""ns in a ms."""


@dataclass
class MadeClock:
    """A clock that models and sleeps turn on; nothing else does."""

    now: int = 0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += round(seconds * 1e9)


@dataclass
class MadeModel:
    """A model whose runs take chosen durations in ns, the last one again and again.

    Attributes:
        queries: what it was run on.
    """

    clock: MadeClock
    durations: Sequence[int]
    queries: list[Any] = field(default_factory=list)

    def run(self, query: Any) -> None:
        self.clock.now += self.durations[min(len(self.queries), len(self.durations) - 1)]
        self.queries.append(query)

    def loaded(self, *queries: Any) -> LoadedModel:
        return LoadedModel(
            self.run, queries or ("a", "b"), Target("litert", "cpu", 1), lambda: "XNNPACK", 1.0, lambda: None
        )


def timing(**options: Any) -> Timing:
    return Timing(**{"warm_up": 0, "minimum_queries": 1, "minimum_seconds": 0.0, **options})


def made_round(number: int = 0, **conditions: Any) -> Round:
    return Round(
        latencies=np.array([float(number)]),
        throughputs=np.array([100.0]),
        logits=np.full((1, 2), number, np.float32),
        load_time=1.0,
        answered=0,
        peak_memory=1.0,
        energy=float("nan"),
        energy_source="",
        conditions=replace(QUIET, **conditions),
        provider="XNNPACK",
        artifact_sha256=SHA,
        environment=PI.to_dict(),
        environment_id=PI.id,
    )

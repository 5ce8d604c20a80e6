"""How long and how often is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.bench.results.cell_result import Timing
from tledge.core.errors import OptionError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Rigor:
    """A choice of durations.

    Attributes:
        rounds: fresh processes a cell.
        seconds: least duration of a cell's timed queries, of all rounds together.
        queries: least number of a cell's timed queries, of all rounds together.
        batch_seconds: least duration of each batch size of the offline scenario in a round.
        fixed: seconds and queries are those of each round times the rounds, and nobody's choice.
    """

    rounds: int
    seconds: float
    queries: int
    batch_seconds: float
    fixed: bool = False


WARM_UP = 10
"""Untimed queries before the timed ones of each round."""

RIGORS: Mapping[str, Rigor] = {
    "quick": Rigor(rounds=5, seconds=2.0, queries=100, batch_seconds=0.2),
    "mlperf": Rigor(rounds=3, seconds=180.0, queries=3072, batch_seconds=10.0, fixed=True),
}
"""``mlperf`` keeps the 60 s and 1,024 queries of MLPerf Mobile's single-stream scenario in each of its rounds.

Source: MLCommons, MLPerf inference rules, section "Scenarios"; V. Janapa Reddi et al., MLPerf Mobile inference
benchmark, arXiv 2012.02328, table 2.
"""


@dataclass(frozen=True, kw_only=True)
class Duration:
    """How long a benchmark measures.

    Attributes:
        rounds: fresh processes a cell.
        seconds, queries: least duration and number of a cell's timed queries, of all rounds together.
        timing: how each round is timed.
    """

    rounds: int
    seconds: float
    queries: int
    timing: Timing


def plan_duration(rigor: str, *, rounds: int | None, seconds: float | None, batch_sizes: Sequence[int]) -> Duration:
    """The durations of a rigor, changed as a person asks.

    Args:
        rigor: a key of ``RIGORS``.
        rounds, seconds: instead of the rigor's own.
        batch_sizes: images a call in the offline scenario.

    Raises:
        UnknownNameError: no such rigor.
        OptionError: seconds where the rigor has its own.
    """
    if rigor not in RIGORS:
        raise UnknownNameError("rigor", rigor, RIGORS)
    chosen = RIGORS[rigor]
    count = chosen.rounds if rounds is None else rounds
    if seconds is not None and chosen.fixed:
        raise OptionError(f"--rigor {rigor} has durations of its own; leave --seconds {seconds:g} out")
    whole = count / chosen.rounds if chosen.fixed else 1.0
    seconds, queries = whole * chosen.seconds if seconds is None else seconds, math.ceil(whole * chosen.queries)
    timing = Timing(
        warm_up=WARM_UP,
        minimum_queries=-(-queries // count),
        minimum_seconds=seconds / count,
        batch_sizes=tuple(batch_sizes),
        batch_seconds=min(chosen.batch_seconds, seconds / count),
    )
    return Duration(rounds=count, seconds=seconds, queries=queries, timing=timing)

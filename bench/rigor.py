"""How long and how often is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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

"""How long and how often a benchmark measures; ``rigor`` chooses one of the presets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tledge.bench.results.bench_options import MeasurementOptions
from tledge.bench.results.cell_result import Timing
from tledge.core.errors import OptionError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class DurationPreset:
    """A preset that ``rigor`` names.

    Attributes:
        rounds: fresh processes per cell.
        seconds: minimum duration of a cell's timed queries, over all rounds.
        queries: minimum number of a cell's timed queries, over all rounds.
        batch_seconds: minimum duration of each batch size of the offline scenario, per round.
        fixed: each round keeps its duration and queries, so they scale with the number of rounds, and ``seconds``
            cannot change them.
    """

    rounds: int
    seconds: float
    queries: int
    batch_seconds: float
    fixed: bool = False


WARM_UP = 10
"""Untimed queries before the timed ones of each round."""

DURATION_PRESETS: Mapping[str, DurationPreset] = {
    "quick": DurationPreset(rounds=5, seconds=2.0, queries=100, batch_seconds=0.2),
    "mlperf": DurationPreset(rounds=3, seconds=180.0, queries=3072, batch_seconds=10.0, fixed=True),
}
"""``mlperf`` keeps the 60 s and 1,024 queries of MLPerf Mobile's single-stream scenario in each of its rounds.

Source: MLCommons, MLPerf inference rules, section "Scenarios"; V. Janapa Reddi et al., MLPerf Mobile inference
benchmark, arXiv 2012.02328, table 2.
"""


@dataclass(frozen=True, kw_only=True)
class Duration:
    """How long a benchmark measures.

    Attributes:
        rounds: fresh processes per cell.
        seconds, queries: minimum duration and number of a cell's timed queries, over all rounds.
        timing: how each round is timed.
    """

    rounds: int
    seconds: float
    queries: int
    timing: Timing


def plan_duration(options: MeasurementOptions) -> Duration:
    """Returns the durations of the preset that ``rigor`` names, with the user's rounds, seconds and batch sizes.

    Raises:
        UnknownNameError: unknown preset.
        OptionError: ``seconds`` with a preset of fixed durations.
    """
    seconds = options.seconds
    if options.rigor not in DURATION_PRESETS:
        raise UnknownNameError("rigor", options.rigor, DURATION_PRESETS)
    preset = DURATION_PRESETS[options.rigor]
    count = preset.rounds if options.rounds is None else options.rounds
    if seconds is not None and preset.fixed:
        raise OptionError(f"`rigor='{options.rigor}'` has fixed durations; leave `seconds={seconds:g}` out")
    scale = count / preset.rounds if preset.fixed else 1.0
    seconds, queries = scale * preset.seconds if seconds is None else seconds, math.ceil(scale * preset.queries)
    timing = Timing(
        warm_up=WARM_UP,
        minimum_queries=math.ceil(queries / count),
        minimum_seconds=seconds / count,
        batch_sizes=tuple(options.batch_sizes),
        batch_seconds=min(preset.batch_seconds, seconds / count),
    )
    return Duration(rounds=count, seconds=seconds, queries=queries, timing=timing)

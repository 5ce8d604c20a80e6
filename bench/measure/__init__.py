"""Measures artifacts: rounds, the processes that run them, the state of the machine and of the board."""

from tledge.bench.measure.benchmark_lock import alone_on_this_machine
from tledge.bench.measure.conditions import ConditionsMonitor
from tledge.bench.measure.durations import DURATION_PRESETS, Duration, DurationPreset, plan_duration
from tledge.bench.measure.energy import EnergyMeter, find_meter
from tledge.bench.measure.keras_reference import find_reference, measure_reference
from tledge.bench.measure.paired_run import PairedRun, measure_in_turns
from tledge.bench.measure.round_launcher import measure_in_own_process
from tledge.bench.measure.rounds import Launch, Rounds, RoundsResult, TimedRound

__all__ = [
    "DURATION_PRESETS",
    "ConditionsMonitor",
    "Duration",
    "DurationPreset",
    "EnergyMeter",
    "Launch",
    "PairedRun",
    "Rounds",
    "RoundsResult",
    "TimedRound",
    "alone_on_this_machine",
    "find_meter",
    "find_reference",
    "measure_in_own_process",
    "measure_in_turns",
    "measure_reference",
    "plan_duration",
]

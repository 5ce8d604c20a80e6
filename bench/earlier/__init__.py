"""Compares a benchmark with an earlier one, and checks it against a gate's conditions."""

from tledge.bench.earlier.comparison import ComparedRow, Comparison, compare_with_earlier
from tledge.bench.earlier.earlier_files import PairedRuns, check_in_common, measure_earlier_in_turns
from tledge.bench.earlier.gate import GateCondition, GateResult, check_conditions, check_rows, parse_conditions
from tledge.bench.earlier.metric_change import MetricChange

__all__ = [
    "ComparedRow",
    "Comparison",
    "GateCondition",
    "GateResult",
    "MetricChange",
    "PairedRuns",
    "check_conditions",
    "check_in_common",
    "check_rows",
    "compare_with_earlier",
    "measure_earlier_in_turns",
    "parse_conditions",
]

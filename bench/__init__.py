"""Benchmarks: accuracy, latency, memory and robustness of artifacts, on the machine that runs them."""

from typing import TYPE_CHECKING

from tledge.bench.leaderboard.compare_options import CompareOptions
from tledge.bench.results.bench_options import BenchOptions
from tledge.core.lazy_exports import lazy_names

if TYPE_CHECKING:
    from tledge.bench.bench_api import BenchInterrupted, BenchRecord, bench
    from tledge.bench.leaderboard.compare_api import CompareRecord, compare
    from tledge.bench.results.rows import Row, summarize

__all__ = [
    "BenchInterrupted",
    "BenchOptions",
    "BenchRecord",
    "CompareOptions",
    "CompareRecord",
    "Row",
    "bench",
    "compare",
    "summarize",
]

__getattr__ = lazy_names(
    __name__,
    {
        "BenchInterrupted": "tledge.bench.bench_api",
        "BenchRecord": "tledge.bench.bench_api",
        "CompareRecord": "tledge.bench.leaderboard.compare_api",
        "Row": "tledge.bench.results.rows",
        "bench": "tledge.bench.bench_api",
        "compare": "tledge.bench.leaderboard.compare_api",
        "summarize": "tledge.bench.results.rows",
    },
)

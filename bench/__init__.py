"""Benchmarks: what the artifacts that ship cost and reach, on the machine that runs them."""

from tledge.bench.bench_api import BenchRecord, bench
from tledge.bench.results.rows import Row, summarize

__all__ = ["BenchRecord", "Row", "bench", "summarize"]

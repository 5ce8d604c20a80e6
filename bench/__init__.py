"""Benchmarks: what the artifacts that ship cost and reach, on the machine that runs them."""

from tledge.bench.benchmarking import BenchRecord, bench
from tledge.bench.summary import Row, summarize

__all__ = ["BenchRecord", "Row", "bench", "summarize"]

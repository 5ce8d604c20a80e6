"""The process of one model of a paired run: runs as many queries as each request asks for.

The first request is the specification, and is answered when the model is warmed up. Each further request is a number of
queries; the result is the latency of each in ns. One untimed query precedes those of each turn, because the other
model has used the caches in the meantime.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from tledge.bench.measure.round_worker import LoadedModel, import_runtime, load_model, warm_up
from tledge.bench.results.cell_result import Specification
from tledge.core.progress import Progress
from tledge.core.worker_child import serve


class TurnTimer:
    """Times turns of one model; an instance is the function that ``worker_child.serve`` calls."""

    def __init__(self) -> None:
        self._loaded: LoadedModel | None = None
        self._done = 0

    def __call__(self, request: Any, _: Progress) -> list[int] | None:
        """Loads the model of a specification, or times as many queries as the request says."""
        if self._loaded is None:
            self._loaded = _load(Specification.from_dict(request, "the request"))
            return None
        latencies = time_turn(self._loaded, self._done, request)
        self._done += request
        return latencies


def _load(specification: Specification) -> LoadedModel:
    import_runtime(specification)
    loaded = load_model(specification)
    warm_up(loaded, specification.timing)
    gc.collect()
    gc.disable()
    return loaded


def time_turn(loaded: LoadedModel, first: int, count: int) -> list[int]:
    """Times ``count`` queries, beginning with the query of index ``first``; returns the ns of each."""
    run, queries, clock = loaded.run, loaded.queries, time.perf_counter_ns
    run(queries[first % len(queries)])
    latencies = []
    for index in range(first, first + count):
        query = queries[index % len(queries)]
        start = clock()
        run(query)
        latencies.append(clock() - start)
    return latencies


if __name__ == "__main__":
    raise SystemExit(serve(TurnTimer()))

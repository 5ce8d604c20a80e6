"""The process of one side of a duel: answers as many queries as it is told to, whenever it is told to.

It reads a number a line on standard input and writes a line with the latencies of so many queries, in ns, on standard
output. Before the timed queries of each turn one is answered untimed, since the other side had the caches meanwhile.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path

from tledge.bench.measure.round_worker import Loaded, import_runtime, load_model, warm_up
from tledge.bench.results.cell_result import Specification
from tledge.core.errors import TledgeError


def main() -> int:
    """Loads the model of the specification that the argument names, and answers until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a native library prints is no answer
    try:
        specification = Specification.load(Path(sys.argv[1]))
        import_runtime(specification)
        loaded = load_model(specification)
        warm_up(loaded, specification.timing)
        gc.collect()
        gc.disable()
        done = 0
        for line in sys.stdin:
            count = int(line)
            print(json.dumps(_answer(loaded, done, count)), file=answers, flush=True)
            done += count
    except TledgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _answer(loaded: Loaded, first: int, count: int) -> list[int]:
    """The ns of each of ``count`` queries, of which the first is that of index ``first``."""
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
    raise SystemExit(main())

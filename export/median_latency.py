"""Median latencies of a few artifacts, measured alternately in a child process without TensorFlow.

Accurate enough to choose between artifacts; ``tledge bench`` measures the figures of a report.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tledge.core.errors import ConversionError
from tledge.core.progress import Progress
from tledge.core.worker import python_module, run_worker
from tledge.core.worker_child import serve
from tledge.edge_runtime import Classifier
from tledge.export.keras_parity import one_thread

ROUNDS = 40
WARM_UP_ROUNDS = 10

TIMEOUT = 600.0
"""Seconds after which the child process counts as stuck."""


def median_latencies(artifacts: Sequence[Path]) -> list[float]:
    """Measures the median latency of each artifact on one thread, in milliseconds per image.

    Raises:
        ConversionError: an artifact cannot be loaded or run in the child process.
    """
    latencies: list[float] = run_worker(
        python_module("tledge.export.median_latency"),
        [str(path) for path in artifacts],
        name="measuring the exported artifacts",
        error=ConversionError,
        timeout=TIMEOUT,
    )
    return latencies


def _measure(paths: Sequence[str], progress: Progress) -> list[float]:
    with ExitStack() as stack:
        artifacts = [Path(path) for path in paths]
        classifiers = [stack.enter_context(Classifier(path, target=one_thread(path))) for path in artifacts]
        samples = np.empty((ROUNDS, len(classifiers)))
        for row in samples:
            for index, classifier in enumerate(classifiers):
                image = np.full((1, *classifier.input_size, 3), 127, np.uint8)
                started = time.perf_counter()
                classifier.logits(image)
                row[index] = time.perf_counter() - started
    return list((1000 * np.median(samples[WARM_UP_ROUNDS:], axis=0)).tolist())


if __name__ == "__main__":
    sys.exit(serve(_measure))

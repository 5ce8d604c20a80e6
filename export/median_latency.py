"""Median latencies of a few artifacts, side by side, in a process that holds no TensorFlow.

A look for choosing between artifacts; what a report says comes from ``tledge bench``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tledge.core.child import python_module
from tledge.core.errors import ConversionError
from tledge.edge_runtime import Classifier
from tledge.export.keras_parity import one_thread

ROUNDS = 40
SECONDS = 600.0
"""After which the process is taken for stuck."""


def median_latencies(artifacts: Sequence[Path]) -> list[float]:
    """Milliseconds an image, on one thread, one value for each artifact.

    Raises:
        ConversionError: an artifact does not run in a process of its own.
    """
    command = python_module("tledge.export.median_latency", *artifacts)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()[-1:]), f"exit code {done.returncode}")
        raise ConversionError(f"the exported artifacts do not run in a process of their own: {reason}")
    latencies: list[float] = json.loads(done.stdout)
    return latencies


def _measure(artifacts: Sequence[Path]) -> list[float]:
    with ExitStack() as stack:
        classifiers = [stack.enter_context(Classifier(path, target=one_thread(path))) for path in artifacts]
        samples = np.empty((ROUNDS, len(classifiers)))
        for row in samples:
            for place, classifier in enumerate(classifiers):
                image = np.full((1, *classifier.input_size, 3), 127, np.uint8)
                began = time.perf_counter()
                classifier.logits(image)
                row[place] = time.perf_counter() - began
    medians: list[float] = (1000 * np.median(samples[ROUNDS // 4 :], axis=0)).tolist()
    return medians


if __name__ == "__main__":
    print(json.dumps(_measure([Path(argument) for argument in sys.argv[1:]])))

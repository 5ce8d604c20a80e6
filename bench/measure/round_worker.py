"""One round of a cell, in a process that holds nothing but its runtime.

The benchmark starts ``python -m tledge.bench.measure.round_worker SPECIFICATION RESULT`` for each.
"""

from __future__ import annotations

import gc
import importlib
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from tledge.bench.measure.conditions import Watch
from tledge.bench.measure.energy import EnergyMeter, find_meter
from tledge.bench.results.cell_result import Round, Samples, Specification, Timing
from tledge.core.environment import read_environment
from tledge.core.errors import ArtifactError, TledgeError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.edge_runtime import Classifier, Target
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.runtime import RUNTIMES
from tledge.edge_runtime.tensor import Logits

ACCURACY_BATCH = 16
SAMPLING_INTERVAL = 0.05
"""Seconds between two looks at a meter of energy."""

ENERGY_SECONDS = 1.0
"""Duration of the phase in which energy is measured, at least."""

RANDOM_QUERIES = 4
"""Different random inputs that the timed queries go through in turn, where there are no photos."""


@dataclass(frozen=True)
class Loaded:
    """A model that is loaded, and what it is timed on.

    Attributes:
        run: answers one query.
        queries: arrays of one image each, as ``run`` takes them.
        target: in full.
        provider: what runs it.
        load_time: ms.
        close: frees it.
    """

    run: Callable[[Any], Any]
    queries: Sequence[Any]
    target: Target
    provider: str
    load_time: float
    close: Callable[[], None]


def measure(specification: Specification) -> Round:
    """Runs one round in this process: load, answer, time single images, then batches, then classify the images."""
    bare_memory = _read_memory("VmRSS")
    timing = specification.timing
    import_runtime(specification)
    loaded = load_model(specification)
    loaded.run(loaded.queries[0])
    answered = time.monotonic_ns()
    watch = Watch()
    latencies = _time_single_stream(loaded, timing)
    peak_memory = _read_memory("VmHWM") - bare_memory
    conditions = watch.end()
    meter = find_meter()
    energy = float("nan") if meter is None else _measure_energy(loaded, timing, meter)
    loaded.close()
    throughputs = np.array([_time_batches(specification, size, latencies) for size in timing.batch_sizes])
    logits = _classify_all(specification) if specification.images else np.empty((0, 0), np.float32)
    environment = read_environment(RUNTIMES.load(loaded.target.runtime).distributions)
    return Round(
        latencies=latencies,
        throughputs=throughputs,
        logits=logits,
        load_time=loaded.load_time,
        answered=answered,
        peak_memory=float(peak_memory),
        energy=energy,
        energy_source="" if meter is None else meter.source,
        conditions=conditions,
        provider=loaded.provider,
        artifact_sha256=sha256_of_file(Path(specification.artifact)),
        environment=environment.to_dict(),
        environment_id=environment.id,
    )


def import_runtime(specification: Specification) -> None:
    """Imports the runtime's own libraries: their time is not the model's."""
    for module in RUNTIMES.load(Target.parse(specification.target).runtime).modules:
        importlib.import_module(module)


def load_model(specification: Specification, batch: int = 1) -> Loaded:
    """Loads the model; its queries hold ``batch`` images each."""
    model: Classifier | BareModel
    began = time.perf_counter_ns()
    if specification.bare:
        model = BareModel(Path(specification.artifact), specification.target, batch=batch)
        load_time = (time.perf_counter_ns() - began) / 1e6
        queries = [model.random_input(seed, batch) for seed in range(RANDOM_QUERIES)]
        return Loaded(model.run, queries, model.target, model.provider, load_time, model.close)
    # Not warmed up: load time ends with the load, and a cold start at the first answer.
    model = Classifier(specification.artifact, target=specification.target, batch=batch, warm_up=False)
    load_time = (time.perf_counter_ns() - began) / 1e6
    images = _photos(specification) or [
        np.random.default_rng(seed).integers(0, 256, (1, *model.input_size, 3), np.uint8)
        for seed in range(RANDOM_QUERIES)
    ]
    if batch > 1:
        images = [np.concatenate([images[index % len(images)] for index in range(batch)])]
    return Loaded(model.logits, images, model.target, model.provider, load_time, model.close)


def _photos(specification: Specification) -> list[Pixels]:
    """The photos of the timed queries, decoded beforehand: each uint8 (1, height, width, 3)."""
    if not specification.pixels:
        return []
    pixels: Pixels = np.load(specification.pixels)
    return [pixels[place : place + 1] for place in range(len(pixels))]


def warm_up(loaded: Loaded, timing: Timing) -> None:
    """Answers the untimed queries."""
    for index in range(timing.warm_up):
        loaded.run(loaded.queries[index % len(loaded.queries)])


def _time_single_stream(loaded: Loaded, timing: Timing) -> Samples:
    """Milliseconds of each query, the next one only after the answer of the last."""
    run, queries = loaded.run, loaded.queries
    warm_up(loaded, timing)
    latencies: list[int] = []
    clock = time.perf_counter_ns
    gc.collect()
    gc.disable()
    began = clock()
    while len(latencies) < timing.minimum_queries or clock() - began < timing.minimum_seconds * 1e9:
        query = queries[len(latencies) % len(queries)]
        start = clock()
        run(query)
        latencies.append(clock() - start)
    gc.enable()
    return np.array(latencies, np.float64) / 1e6


def _measure_energy(loaded: Loaded, timing: Timing, meter: EnergyMeter) -> float:
    """The mJ of a query, in a phase of its own, since reading a meter takes time; NaN where it did not answer."""
    done = Event()

    def sample() -> None:
        while not done.wait(SAMPLING_INTERVAL):
            meter.sample()

    sampler = Thread(target=sample)
    count = 0
    meter.start()
    sampler.start()
    began = time.perf_counter_ns()
    while time.perf_counter_ns() - began < max(timing.minimum_seconds, ENERGY_SECONDS) * 1e9:
        loaded.run(loaded.queries[count % len(loaded.queries)])
        count += 1
    done.set()
    sampler.join()
    return 1e3 * meter.stop() / count


def _time_batches(specification: Specification, size: int, latencies: Samples) -> float:
    """Images a second in batches of a size; NaN where the model does not take it."""
    if size == 1:
        return 1e3 / float(latencies.mean())
    try:
        loaded = load_model(specification, batch=size)
        (query,) = loaded.queries[:1]
        loaded.run(query)
        calls = 0
        began = time.perf_counter_ns()
        while calls < 2 or time.perf_counter_ns() - began < specification.timing.batch_seconds * 1e9:
            loaded.run(query)
            calls += 1
        elapsed = time.perf_counter_ns() - began
        loaded.close()
    except ArtifactError as error:
        print(f"batches of {size}: {error}", file=sys.stderr)
        return float("nan")
    return calls * size * 1e9 / elapsed


def _classify_all(specification: Specification) -> Logits:
    """The logits of all images. Raises ArtifactError where one is no number: its class would be a matter of chance."""
    with Classifier(specification.artifact, target=specification.target, warm_up=False) as classifier:
        images = [Path(image) for image in specification.images]
        loaded = batches(images, classifier.input_size, classifier.sidecar.resize, ACCURACY_BATCH)
        logits = np.concatenate([classifier.logits(batch) for batch in loaded])
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise ArtifactError(f"'{specification.artifact}' gives logits that are no numbers for {broken} images")
    return logits


def _read_memory(field: str) -> int:
    """Bytes of this process's memory: ``VmRSS`` now, or ``VmHWM`` at its highest.

    Not by getrusage on Linux: its maximum begins with that of the process that started this one.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024


def main() -> int:
    """Runs the round that the first argument describes and writes the second."""
    specification, result = (Path(argument) for argument in sys.argv[1:3])
    try:
        measure(Specification.load(specification)).save(result)
    except TledgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""One round of a cell, in a process that loads nothing but the cell's runtime; ``core.worker`` has the protocol."""

from __future__ import annotations

import gc
import importlib
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from tledge.bench.measure.conditions import ConditionsMonitor
from tledge.bench.measure.energy import EnergyMeter, find_meter
from tledge.bench.results.cell_result import Round, Specification, Timing
from tledge.core.array_file import load_array
from tledge.core.environment import read_environment
from tledge.core.errors import ArtifactError, first_line
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.model_files import sha256_of_model
from tledge.core.progress import Progress
from tledge.core.significance import Samples
from tledge.core.system_files import read_text
from tledge.core.worker_child import serve
from tledge.edge_runtime import Classifier, Target
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.runtime import RUNTIMES
from tledge.edge_runtime.tensor import Logits

ACCURACY_BATCH = 16
"""Images per inference while the accuracy is measured."""

SAMPLING_INTERVAL = 0.05
"""Seconds between two samples of an energy meter."""

ENERGY_SECONDS = 1.0
"""Minimum duration of the phase in which energy is measured."""

MINIMUM_CALLS = 2
"""Timed inferences of each batch size, at least."""

RANDOM_QUERIES = 4
"""Different random inputs that the timed queries cycle through when there are no photos."""


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model and its timed queries.

    Attributes:
        run: runs one query.
        queries: arrays of one batch each, as ``run`` takes them.
        target: the target in full.
        read_provider: returns what runs the model ("XNNPACK"), which its runs can change.
        load_time: ms.
        close: frees the model.
    """

    run: Callable[[Any], Any]
    queries: Sequence[Any]
    target: Target
    read_provider: Callable[[], str]
    load_time: float
    close: Callable[[], None]


def measure(specification: Specification) -> Round:
    """Runs one round in this process.

    The order is: load, first inference, single-stream latency, energy, batch throughput, accuracy.

    Raises:
        TledgeError: the model cannot be loaded or run, or its logits are not finite.
    """
    bare_memory = read_memory("VmRSS")
    timing = specification.timing
    import_runtime(specification)
    loaded = load_model(specification)
    loaded.run(loaded.queries[0])
    answered = time.monotonic_ns()
    monitor = ConditionsMonitor()
    latencies = time_single_stream(loaded, timing)
    peak_memory = read_memory("VmHWM") - bare_memory
    conditions = monitor.finish()
    meter = find_meter()
    energy = float("nan") if meter is None else measure_energy(loaded, timing, meter)
    loaded.close()
    throughputs, failures = measure_throughputs(specification, latencies)
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
        provider=loaded.read_provider(),
        artifact_sha256=sha256_of_model(Path(specification.artifact)),
        environment=environment.to_dict(),
        environment_id=environment.id,
        batch_failures=failures,
    )


def import_runtime(specification: Specification) -> None:
    """Imports the runtime's own libraries, so that the model's load time does not include them."""
    for module in RUNTIMES.load(Target.parse(specification.target).runtime).modules:
        importlib.import_module(module)


def load_model(specification: Specification, batch: int = 1) -> LoadedModel:
    """Loads the model and prepares its queries of ``batch`` images each."""
    model: Classifier | BareModel
    began = time.perf_counter_ns()
    if specification.bare:
        size = specification.input_size
        model = BareModel(Path(specification.artifact), specification.target, batch=batch, input_size=size)
        load_time = (time.perf_counter_ns() - began) / 1e6
        queries = [model.random_input(seed, batch) for seed in range(RANDOM_QUERIES)]
        return LoadedModel(model.run, queries, model.target, lambda: model.provider, load_time, model.close)
    # No warm-up: the load time ends with the load, and the cold start with the first inference.
    model = Classifier(specification.artifact, target=specification.target, batch=batch, warm_up=False)
    load_time = (time.perf_counter_ns() - began) / 1e6
    if specification.pixels:
        pixels: Pixels = load_array(Path(specification.pixels))
    else:
        pixels = np.random.default_rng(0).integers(0, 256, (RANDOM_QUERIES, *model.input_size, 3), np.uint8)
    images = [pixels[index : index + 1] for index in range(len(pixels))]
    if batch > 1:
        images = [np.concatenate([images[index % len(images)] for index in range(batch)])]
    return LoadedModel(model.logits, images, model.target, lambda: model.provider, load_time, model.close)


def warm_up(loaded: LoadedModel, timing: Timing) -> None:
    """Runs the untimed queries."""
    for index in range(timing.warm_up):
        loaded.run(loaded.queries[index % len(loaded.queries)])


def time_single_stream(loaded: LoadedModel, timing: Timing) -> Samples:
    """Times one query after the other, until both the minimum number and the minimum duration are reached.

    Returns:
        The latency of each query in ms: float64 (queries,).
    """
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


def measure_energy(loaded: LoadedModel, timing: Timing, meter: EnergyMeter) -> float:
    """Returns the mJ of a query; NaN if the meter cannot be read.

    Energy is measured in a phase of its own, because reading a meter takes time.
    """
    count = 0
    with _sampled(meter):
        began = time.perf_counter_ns()
        while time.perf_counter_ns() - began < max(timing.minimum_seconds, ENERGY_SECONDS) * 1e9:
            loaded.run(loaded.queries[count % len(loaded.queries)])
            count += 1
    return 1e3 * meter.stop() / count


@contextmanager
def _sampled(meter: EnergyMeter) -> Iterator[None]:
    """Starts a meter, and samples it in a thread during the block."""
    done = Event()

    def sample() -> None:
        while not done.wait(SAMPLING_INTERVAL):
            meter.sample()

    sampler = Thread(target=sample)
    meter.start()
    sampler.start()
    try:
        yield
    finally:
        done.set()
        sampler.join()


def measure_throughputs(specification: Specification, latencies: Samples) -> tuple[Samples, dict[str, str]]:
    """Measures the throughput of each batch size.

    Returns:
        Images per second, float64 (batch sizes,), NaN where batches of a size cannot be run; and why, by the size as
        text.
    """
    found: list[float] = []
    failures: dict[str, str] = {}
    for size in specification.timing.batch_sizes:
        try:
            found.append(1e3 / float(latencies.mean()) if size == 1 else measure_throughput(specification, size))
        except (ArtifactError, MemoryError) as error:
            found.append(float("nan"))
            failures[str(size)] = "not enough memory" if isinstance(error, MemoryError) else first_line(error)
    return np.array(found), failures


def measure_throughput(specification: Specification, size: int) -> float:
    """Returns images per second in batches of a size. Raises ArtifactError if the model does not run them."""
    loaded = load_model(specification, batch=size)
    try:
        return time_batches(loaded, size, specification.timing.batch_seconds)
    finally:
        loaded.close()


def time_batches(loaded: LoadedModel, size: int, seconds: float) -> float:
    """Times batches of ``size`` images for some seconds at least, and returns the throughput in images/s."""
    query = loaded.queries[0]
    loaded.run(query)
    calls = 0
    began = time.perf_counter_ns()
    while calls < MINIMUM_CALLS or time.perf_counter_ns() - began < seconds * 1e9:
        loaded.run(query)
        calls += 1
    return calls * size * 1e9 / (time.perf_counter_ns() - began)


def _classify_all(specification: Specification) -> Logits:
    """Returns the logits of all images. Raises ArtifactError if some are not finite: their class would be arbitrary."""
    with Classifier(specification.artifact, target=specification.target, warm_up=False) as classifier:
        images = [Path(image) for image in specification.images]
        loaded = batches(images, classifier.input_size, classifier.sidecar.resize, ACCURACY_BATCH)
        logits = np.concatenate([classifier.logits(batch) for batch in loaded])
    return check_finite(logits, specification.artifact)


def check_finite(logits: Logits, artifact: str) -> Logits:
    """Returns the logits. Raises ArtifactError if those of any image hold an infinity or a NaN."""
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise ArtifactError(f"'{artifact}' computes logits that are not finite for {broken} of {len(logits)} images")
    return logits


def read_memory(field: str, status: Path = Path("/proc/self/status")) -> int:
    """Returns bytes of this process's memory.

    Linux's getrusage does not serve: its maximum includes the memory of the process that started this one.

    Args:
        field: ``VmRSS`` for the current amount, ``VmHWM`` for the maximum.
        status: the file in which Linux reports them; elsewhere, getrusage's maximum stands for both.
    """
    found = re.search(rf"^{field}:\s+(\d+) kB$", read_text(status), re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024


def run_round(request: Any, _: Progress) -> None:
    """Runs the round of a request, and writes what it measured to the file that the request names."""
    measure(Specification.from_dict(request["specification"], "the request")).save(Path(request["result"]))


if __name__ == "__main__":
    raise SystemExit(serve(run_round))

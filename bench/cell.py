"""One cell: one artifact on one target, in a process that holds nothing but that runtime.

The benchmark starts ``python -m tledge.bench.cell SPECIFICATION RESULT`` for each.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.atomic import replacing
from tledge.core.environment import read_environment
from tledge.core.errors import TledgeError
from tledge.core.images import Pixels
from tledge.core.loading import batches
from tledge.edge_runtime import Classifier, Target
from tledge.edge_runtime.runtime import RUNTIMES, Logits

ACCURACY_BATCH = 16
TIMED_IMAGES = 32
"""Different images that the timed queries go through in turn."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How single images are timed.

    Attributes:
        warm_up: untimed queries before the timed ones.
        minimum_queries: timed queries, at least.
        minimum_seconds: duration of the timed queries, at least.
    """

    warm_up: int
    minimum_queries: int
    minimum_seconds: float


@dataclass(frozen=True, kw_only=True)
class Specification:
    """What a cell has to do.

    Attributes:
        artifact: the model file.
        target: "runtime:device:threads".
        images: the test images, in order.
        timing: how single images are timed.
    """

    artifact: str
    target: str
    images: tuple[str, ...]
    timing: Timing

    def save(self, path: Path) -> None:
        """Writes it for the cell's process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Specification:
        """Reads what ``save`` wrote."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "images": tuple(fields["images"]), "timing": Timing(**fields["timing"])})


@dataclass(frozen=True)
class CellResult:
    """What a cell measured.

    Attributes:
        logits: float32 (images, classes), of the test images in order.
        latencies: float64 (queries,), ms, one image each, in order.
        load_time: ms from the model file to a loaded session, the runtime's library being imported already.
        artifact_sha256: of the file that was measured.
        environment: the record of the machine, by its field names.
        environment_id: the record's id.
    """

    logits: Logits
    latencies: npt.NDArray[np.float64]
    load_time: float
    artifact_sha256: str
    environment: dict[str, Any]
    environment_id: str

    def save(self, path: Path) -> None:
        """Writes an ``.npz``: the raw samples that stay beside the results."""
        record = json.dumps({"id": self.environment_id, "record": self.environment})
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                logits=self.logits,
                latencies=self.latencies,
                load_time=self.load_time,
                artifact_sha256=self.artifact_sha256,
                environment=record,
            )

    @classmethod
    def load(cls, path: Path) -> CellResult:
        """Reads what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            environment = json.loads(str(arrays["environment"]))
            return cls(
                logits=arrays["logits"],
                latencies=arrays["latencies"],
                load_time=float(arrays["load_time"]),
                artifact_sha256=str(arrays["artifact_sha256"]),
                environment=environment["record"],
                environment_id=environment["id"],
            )


def measure(specification: Specification) -> CellResult:
    """Runs one cell in this process: load, classify the test images, then time single images."""
    target = Target.parse(specification.target)
    for module in RUNTIMES.load(target.runtime).modules:
        importlib.import_module(module)  # its own time is not the model's
    began = time.perf_counter_ns()
    with Classifier(specification.artifact, target=specification.target) as classifier:
        load_time = (time.perf_counter_ns() - began) / 1e6
        images = [Path(image) for image in specification.images]
        logits = _classify_all(classifier, images)
        latencies = _time_single_stream(classifier, images[:TIMED_IMAGES], specification.timing)
        environment = read_environment(RUNTIMES.load(classifier.target.runtime).distributions)
        sha256 = classifier.artifact.sha256
    return CellResult(logits, latencies, load_time, sha256, environment.to_dict(), environment.id)


def _classify_all(classifier: Classifier, images: Sequence[Path]) -> Logits:
    loaded = batches(images, classifier.input_size, classifier.sidecar.resize, ACCURACY_BATCH)
    return np.concatenate([classifier.logits(batch) for batch in loaded])


def _time_single_stream(classifier: Classifier, images: Sequence[Path], timing: Timing) -> npt.NDArray[np.float64]:
    """Milliseconds of each query: one decoded image in, logits out, the next one only after that."""
    queries: list[Pixels] = [classifier.load(image)[np.newaxis] for image in images]
    for index in range(timing.warm_up):
        classifier.logits(queries[index % len(queries)])
    gc.collect()
    gc.disable()
    latencies: list[int] = []
    clock = time.perf_counter_ns
    began = clock()
    while len(latencies) < timing.minimum_queries or clock() - began < timing.minimum_seconds * 1e9:
        query = queries[len(latencies) % len(queries)]
        start = clock()
        classifier.logits(query)
        latencies.append(clock() - start)
    gc.enable()
    return np.array(latencies, np.float64) / 1e6


def main() -> int:
    """Runs the cell that the first argument describes and writes the second."""
    specification, result = (Path(argument) for argument in sys.argv[1:3])
    try:
        measure(Specification.load(specification)).save(result)
    except TledgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A cell, one artifact on one target: what its processes are told, and what they measured."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.bench.results.round_conditions import Conditions
from tledge.core.atomic import replacing
from tledge.core.environment import Environment
from tledge.edge_runtime.tensor import Logits

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How a round of a cell is timed.

    Attributes:
        warm_up: untimed queries before the timed ones.
        minimum_queries: timed queries, at least.
        minimum_seconds: duration of the timed queries, at least.
        batch_sizes: images a call in the offline scenario.
        batch_seconds: duration of each of its batch sizes, at least.
    """

    warm_up: int
    minimum_queries: int
    minimum_seconds: float
    batch_sizes: tuple[int, ...] = ()
    batch_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Specification:
    """What the process of one round has to do.

    Attributes:
        artifact: the model file.
        target: "runtime:device:threads".
        bare: the file has no sidecar: it is timed on random input.
        pixels: an ``.npy`` file of the timed queries' photos, uint8 (photos, height, width, 3); random pixels without.
        images: the images to classify after that, in order.
        timing: how it is timed.
    """

    artifact: str
    target: str
    bare: bool
    pixels: str
    images: tuple[str, ...]
    timing: Timing

    def to_json(self) -> str:
        """All of it as text."""
        return json.dumps(asdict(self))

    def save(self, path: Path) -> None:
        """Writes it for the process."""
        path.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Specification:
        """Reads what ``save`` wrote."""
        return cls.from_json(path.read_text(encoding="utf-8"))

    @classmethod
    def from_json(cls, text: str) -> Specification:
        """Reads what ``to_json`` gave."""
        fields = json.loads(text)
        timing = fields.pop("timing")
        return cls(
            artifact=fields["artifact"],
            target=fields["target"],
            bare=fields["bare"],
            pixels=fields["pixels"],
            images=tuple(fields["images"]),
            timing=Timing(**{**timing, "batch_sizes": tuple(timing["batch_sizes"])}),
        )


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one fresh process measured.

    Attributes:
        latencies: float64 (queries,), ms, one image each, in order.
        throughputs: float64 (batch sizes,), images a second; NaN where the model does not take that batch.
        logits: float32 (images, classes), of the images in order; (0, 0) where none were to be classified.
        load_time: ms from the model file to a loaded session, the runtime's library being imported already.
        answered: when the first answer was there, in ns of the monotonic clock, which all processes share.
        peak_memory: bytes, of the process after its timed queries, above the interpreter with NumPy and Pillow.
        energy: mJ an image; NaN where the machine does not tell.
        energy_source: who tells: "rapl" or "pmic"; empty where nobody does.
        conditions: how the machine was meanwhile.
        provider: what ran the model, as its runtime says.
        artifact_sha256: of the file that was measured.
        environment: the record of the machine, by its field names.
        environment_id: the record's id.
    """

    latencies: Samples
    throughputs: Samples
    logits: Logits
    load_time: float
    answered: int
    peak_memory: float
    energy: float
    energy_source: str
    conditions: Conditions
    provider: str
    artifact_sha256: str
    environment: dict[str, Any]
    environment_id: str

    def save(self, path: Path) -> None:
        """Writes an ``.npz`` for the benchmark."""
        arrays = ("latencies", "throughputs", "logits")
        rest = {name: value for name, value in vars(self).items() if name not in (*arrays, "conditions")}
        record = json.dumps({**rest, "conditions": self.conditions.to_dict()})
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, record=record, **{name: getattr(self, name) for name in arrays})

    @classmethod
    def load(cls, path: Path) -> Round:
        """Reads what ``save`` wrote. Raises OSError, KeyError, TypeError or ValueError if it cannot."""
        arrays = _read_arrays(path)
        record = json.loads(str(arrays.pop("record")))
        conditions = Conditions.from_dict(record.pop("conditions"))
        return cls(conditions=conditions, **arrays, **record)


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What a cell measured in all its rounds: the raw samples that stay beside the results.

    Attributes:
        logits: float32 (images, classes), of the images in order; (0, 0) where none were classified.
        latencies: float64 (queries,), ms, one image each, of all rounds in order.
        rounds: int64 (queries,), the round of each query, from 0.
        load_times, cold_starts: float64 (rounds,), ms.
        peak_memories: float64 (rounds,), bytes.
        energies: float64 (rounds,), mJ an image; NaN where the machine does not tell.
        energy_source: who tells; empty where nobody does.
        batch_sizes: int64 (batch sizes,).
        throughputs: float64 (rounds, batch sizes), images a second; NaN where the model does not take that batch.
        conditions: how the machine was in each round.
        provider: what ran the model, as its runtime says.
        artifact_sha256: of the file that was measured.
        environment: the record of the machine, by its field names.
        environment_id: the record's id.
    """

    logits: Logits
    latencies: Samples
    rounds: npt.NDArray[np.int64]
    load_times: Samples
    cold_starts: Samples
    peak_memories: Samples
    energies: Samples
    energy_source: str
    batch_sizes: npt.NDArray[np.int64]
    throughputs: Samples
    conditions: tuple[Conditions, ...]
    provider: str
    artifact_sha256: str
    environment: dict[str, Any]
    environment_id: str

    @property
    def yardsticks(self) -> Samples:
        """float64 (rounds,), ms that the fixed piece of work took."""
        return np.array([item.yardstick for item in self.conditions])

    @property
    def by_round(self) -> list[Samples]:
        """The latencies of each round, ms."""
        return [self.latencies[self.rounds == number] for number in range(len(self.conditions))]

    @classmethod
    def join(cls, rounds: Sequence[Round], cold_starts: Sequence[float], batch_sizes: Sequence[int]) -> CellResult:
        """One cell's rounds in order; the logits and the environment are those of the first.

        Args:
            rounds: at least one.
            cold_starts: ms from the start of each round's process to its first answer.
            batch_sizes: those of the offline scenario.
        """
        first = rounds[0]
        return cls(
            logits=first.logits,
            latencies=np.concatenate([item.latencies for item in rounds]),
            rounds=np.repeat(np.arange(len(rounds)), [len(item.latencies) for item in rounds]),
            load_times=np.array([item.load_time for item in rounds]),
            cold_starts=np.array(cold_starts, np.float64),
            peak_memories=np.array([item.peak_memory for item in rounds]),
            energies=np.array([item.energy for item in rounds]),
            energy_source=first.energy_source,
            batch_sizes=np.array(batch_sizes, np.int64),
            throughputs=np.stack([item.throughputs for item in rounds]),
            conditions=tuple(item.conditions for item in rounds),
            provider=first.provider,
            artifact_sha256=first.artifact_sha256,
            environment=first.environment,
            environment_id=first.environment_id,
        )

    @classmethod
    def untimed(cls, logits: Logits, *, provider: str, artifact_sha256: str, environment: Environment) -> CellResult:
        """A cell of which nothing is known but its answers: no rounds.

        Args:
            logits: float32 (images, classes).
            provider, artifact_sha256: as above.
            environment: the machine that answered.
        """
        none = np.empty(0)
        return cls(
            logits=logits,
            latencies=none,
            rounds=np.empty(0, np.int64),
            load_times=none,
            cold_starts=none,
            peak_memories=none,
            energies=none,
            energy_source="",
            batch_sizes=np.empty(0, np.int64),
            throughputs=np.empty((0, 0)),
            conditions=(),
            provider=provider,
            artifact_sha256=artifact_sha256,
            environment=environment.to_dict(),
            environment_id=environment.id,
        )

    @property
    def timed(self) -> bool:
        """Whether anything was timed."""
        return bool(self.conditions)

    def save(self, path: Path) -> None:
        """Writes an ``.npz``."""
        record = {
            "provider": self.provider,
            "artifact_sha256": self.artifact_sha256,
            "environment": self.environment,
            "environment_id": self.environment_id,
            "energy_source": self.energy_source,
            "conditions": [item.to_dict() for item in self.conditions],
        }
        arrays: dict[str, Any] = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, record=json.dumps(record), **arrays)

    @classmethod
    def load(cls, path: Path) -> CellResult:
        """Reads what ``save`` wrote. Raises OSError, KeyError, TypeError or ValueError if it cannot."""
        samples = _read_arrays(path)
        record = json.loads(str(samples.pop("record")))
        conditions = tuple(Conditions.from_dict(item) for item in record.pop("conditions"))
        return cls(conditions=conditions, **samples, **record)


def _read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of an ``.npz``. Raises OSError or ValueError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, EOFError) as error:  # cut off
        raise ValueError(f"'{path}' is no whole .npz: {error}") from error

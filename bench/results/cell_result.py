"""A cell (one artifact on one target): the specification of its rounds, and what they measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tledge.bench.results.round_conditions import Conditions, ConditionsRecord
from tledge.bench.results.sample_file import read_sample_file, unreadable, write_sample_file
from tledge.core.environment import Environment
from tledge.core.errors import MeasurementError
from tledge.core.field_bounds import AnyFloat, Count, NotNegative, OptionalSha256
from tledge.core.record_types import FieldError, convert
from tledge.core.records import Record, with_present_names
from tledge.core.significance import Samples
from tledge.edge_runtime.tensor import Logits


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How a round of a cell is timed.

    Attributes:
        warm_up: untimed queries before the timed ones.
        minimum_queries: minimum number of timed queries.
        minimum_seconds: minimum duration of the timed queries.
        batch_sizes: images per call in the offline scenario.
        batch_seconds: minimum duration of each batch size of the offline scenario.
    """

    warm_up: int
    minimum_queries: int
    minimum_seconds: float
    batch_sizes: tuple[int, ...] = ()
    batch_seconds: float = 0.0

    @property
    def least_seconds(self) -> float:
        """Seconds that a round takes at least."""
        return self.minimum_seconds + self.batch_seconds * len(self.batch_sizes)


@dataclass(frozen=True, kw_only=True)
class Specification(Record, error=MeasurementError, remedy="benchmark again"):
    """What the process of one round has to do.

    Attributes:
        artifact: the model file.
        target: "runtime:device:threads".
        bare: the file has no sidecar: it is timed on random input.
        pixels: an ``.npy`` file of the timed queries' photos, uint8 (photos, height, width, 3); random pixels if empty.
        images: the images to classify afterwards, in order.
        timing: how the round is timed.
        input_size: (height, width) of the random input of a bare file that leaves it open; by default
            ``tensor.OPEN_LENGTH``.
    """

    artifact: str
    target: str
    bare: bool
    pixels: str
    images: tuple[str, ...]
    timing: Timing
    input_size: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _SharedFields:
    """What is known of a round and of a cell alike, besides arrays.

    Attributes:
        energy_source: "rapl" or "pmic"; empty where the machine does not report energy.
        provider: what ran the model, as its runtime names it.
        artifact_sha256: of the measured file.
        environment: the record of the machine, by its field names.
        environment_id: the record's id.
        batch_failures: why batches of a size could not be run, by the size as text.
    """

    energy_source: str
    provider: str
    artifact_sha256: OptionalSha256
    environment: Mapping[str, Any]
    environment_id: str
    batch_failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _RoundFields(_SharedFields):
    """What is known of a round, besides arrays.

    Attributes:
        load_time: ms from the model file to a loaded session, with the runtime's library already imported.
        answered: when the first prediction was there, in ns of the monotonic clock, which all processes share.
        peak_memory: bytes, of the process after its timed queries, above the interpreter with NumPy and Pillow.
        energy: mJ/image; NaN where the machine does not report it.
    """

    load_time: NotNegative
    answered: Count
    peak_memory: float
    energy: AnyFloat


@dataclass(frozen=True, kw_only=True)
class Round(_RoundFields):
    """What one fresh process measured.

    Attributes:
        logits: float32 (images, classes), of the images in order; (0, 0) if none were classified.
        latencies: float64 (queries,), ms, one image each, in order.
        throughputs: float64 (batch sizes,), images/s; NaN where the model does not take that batch.
        conditions: the machine during the round.
    """

    logits: Logits
    latencies: Samples
    throughputs: Samples
    conditions: Conditions

    def save(self, path: Path) -> None:
        """Writes an ``.npz`` file."""
        _save_samples(path, self, (self.conditions,))

    @classmethod
    def load(cls, path: Path) -> Round:
        """Reads what :meth:`save` wrote. Raises MeasurementError if the file is absent, incomplete or too old."""
        fields, conditions = _load_samples(path, _ROUND_ARRAYS, _RoundRecord)
        if len(conditions) != 1:
            raise unreadable(path, f"'conditions' is of {len(conditions)} rounds, not of 1")
        return cls(conditions=conditions[0], **fields)


@dataclass(frozen=True, kw_only=True)
class CellResult(_SharedFields):
    """What a cell measured in all its rounds: the raw samples kept beside the results.

    Attributes:
        logits: float32 (images, classes), of the images in order; (0, 0) if none were classified.
        latencies: float64 (queries,), ms, one image each, of all rounds in order.
        rounds: int64 (queries,), the round of each query, from 0.
        load_times, cold_starts: float64 (rounds,), ms.
        peak_memories: float64 (rounds,), bytes.
        energies: float64 (rounds,), mJ/image; NaN where the machine does not report it.
        batch_sizes: int64 (batch sizes,).
        throughputs: float64 (rounds, batch sizes), images/s; NaN where the model does not take that batch.
        conditions: the machine during each round.
    """

    logits: Logits
    latencies: Samples
    rounds: npt.NDArray[np.int64]
    load_times: Samples
    cold_starts: Samples
    peak_memories: Samples
    energies: Samples
    batch_sizes: npt.NDArray[np.int64]
    throughputs: Samples
    conditions: tuple[Conditions, ...]

    @property
    def reference_times(self) -> Samples:
        """float64 (rounds,), ms that the fixed piece of work took in each round."""
        return np.array([item.reference_time for item in self.conditions])

    @property
    def by_round(self) -> list[Samples]:
        """The latencies of each round, ms."""
        return [self.latencies[self.rounds == number] for number in range(len(self.conditions))]

    @classmethod
    def join(cls, rounds: Sequence[Round], cold_starts: Sequence[float], batch_sizes: Sequence[int]) -> CellResult:
        """Joins one cell's rounds in order; the logits and the environment are those of the first."""
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
            batch_failures={size: reason for item in rounds for size, reason in item.batch_failures.items()},
        )

    @classmethod
    def untimed(cls, logits: Logits, *, provider: str, artifact_sha256: str, environment: Environment) -> CellResult:
        """Returns a cell that was classified on a machine but not timed: it has no rounds."""
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
        """Writes an ``.npz`` file."""
        _save_samples(path, self, self.conditions)

    @classmethod
    def load(cls, path: Path) -> CellResult:
        """Reads what :meth:`save` wrote. Raises MeasurementError if the file is absent, incomplete or too old."""
        fields, conditions = _load_samples(path, _CELL_ARRAYS, _CellRecord)
        rounds = len(fields["load_times"])
        if len(conditions) != rounds:
            raise unreadable(path, f"'conditions' is of {len(conditions)} rounds, not of {rounds}")
        if len(fields["rounds"]) and not 0 <= fields["rounds"].min() <= fields["rounds"].max() < rounds:
            raise unreadable(path, f"'rounds' names a round that is not one of {rounds}")
        return cls(conditions=conditions, **fields)


_SHARED_ARRAYS = {"logits": ("images", "classes")}
_ROUND_ARRAYS = {**_SHARED_ARRAYS, "latencies": ("queries",), "throughputs": ("batch sizes",)}
_CELL_ARRAYS = {
    **_SHARED_ARRAYS,
    "latencies": ("queries",),
    "rounds": ("queries",),
    "load_times": ("rounds",),
    "cold_starts": ("rounds",),
    "peak_memories": ("rounds",),
    "energies": ("rounds",),
    "throughputs": ("rounds", "batch sizes"),
    "batch_sizes": ("batch sizes",),
}
"""The axes of the arrays of a file of samples."""


@dataclass(frozen=True, kw_only=True)
class _CellRecord(ConditionsRecord, _SharedFields):
    """What a file of samples holds besides the arrays of a cell."""


@dataclass(frozen=True, kw_only=True)
class _RoundRecord(_CellRecord, _RoundFields):
    """What a file of samples holds besides the arrays of a round."""


RecordType = TypeVar("RecordType", bound=_CellRecord)


def _save_samples(path: Path, result: Round | CellResult, conditions: tuple[Conditions, ...]) -> None:
    """Writes the arrays and the other fields of a result as one ``.npz`` file, whole or not at all."""
    arrays = {name: value for name, value in vars(result).items() if isinstance(value, np.ndarray)}
    record = {name: value for name, value in vars(result).items() if name not in arrays}
    write_sample_file(path, arrays, record | ConditionsRecord(conditions=conditions).to_dict())


def _load_samples(
    path: Path, axes: Mapping[str, Sequence[str]], record_type: type[RecordType]
) -> tuple[dict[str, Any], tuple[Conditions, ...]]:
    """Reads what :func:`_save_samples` wrote: the fields of the result, and the conditions of its rounds."""
    arrays, fields = read_sample_file(path, axes)
    renamed = {"conditions": with_present_names(fields.get("conditions"), {"yardstick": "reference_time"})}
    record = record_type.from_dict({**fields, **(renamed if "conditions" in fields else {})}, path)
    try:
        convert(record.environment, Environment, "environment")
    except FieldError as error:
        raise unreadable(path, str(error)) from error
    latencies = arrays["latencies"]
    if not (np.isfinite(latencies) & (latencies > 0)).all():
        raise unreadable(path, "'latencies' has values that are not above 0")
    return {
        **arrays,
        **{name: value for name, value in vars(record).items() if name != "conditions"},
    }, record.conditions

"""What one round loads and measures, with models, meters and a memory whose figures are known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_sample import MS, MadeClock, MadeModel, timing
from stored_sample import QUIET

from tledge.bench.measure import round_worker
from tledge.bench.measure.round_worker import load_model, measure
from tledge.bench.results.cell_result import Specification
from tledge.core.fingerprint import sha256_of_file
from tledge.edge_runtime.target import Target

pytestmark = pytest.mark.unit

LITERT = Target("litert", "cpu", 1)


class MadeClassifier:
    """Takes 30 ms to load; the logits of an image are the number of images in its batch and its first pixel."""

    input_size = (4, 6)
    target = LITERT
    provider = "XNNPACK"

    def __init__(self, clock: MadeClock, made: list[Any]) -> None:
        self._clock = clock
        self._made = made

    def __call__(self, *arguments: Any, **options: Any) -> MadeClassifier:
        self._made.append((arguments, options))
        self._clock.now += 30 * MS
        return self

    def random_input(self, seed: int, batch: int) -> tuple[int, int]:
        return seed, batch

    def run(self, query: Any) -> None: ...

    def logits(self, images: Any) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def made(clock: MadeClock, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How models were made: their arguments and options."""
    found: list[Any] = []
    for name in ("Classifier", "BareModel"):
        monkeypatch.setattr(round_worker, name, MadeClassifier(clock, found))
    return found


def specification(tmp_path: Path, **options: Any) -> Specification:
    artifact = tmp_path / "int8.tflite"
    artifact.write_bytes(b"model")
    defaults = {"target": "litert:cpu:1", "bare": False, "pixels": "", "images": (), "timing": timing()}
    return Specification(artifact=str(artifact), **(defaults | options))


def save_pixels(tmp_path: Path) -> str:
    """Three photos of 4 x 6 pixels, of values 0, 1 and 2."""
    np.save(tmp_path / "pixels.npy", np.arange(3, dtype=np.uint8).repeat(4 * 6 * 3).reshape(3, 4, 6, 3))
    return str(tmp_path / "pixels.npy")


def test_photos_are_queries_of_one_image_each(made: list[Any], tmp_path: Path) -> None:
    loaded = load_model(specification(tmp_path, pixels=save_pixels(tmp_path)))
    assert [query.shape for query in loaded.queries] == [(1, 4, 6, 3)] * 3
    assert [int(query[0, 0, 0, 0]) for query in loaded.queries] == [0, 1, 2]
    assert (loaded.load_time, loaded.target, loaded.read_provider()) == (30.0, LITERT, "XNNPACK")
    ((_, options),) = made
    assert options == {"target": "litert:cpu:1", "batch": 1, "warm_up": False}


@pytest.mark.parametrize(("batch", "values"), [(2, [0, 1]), (5, [0, 1, 2, 0, 1])])
def test_a_batch_cycles_through_the_photos(made: list[Any], tmp_path: Path, batch: int, values: list[int]) -> None:
    (query,) = load_model(specification(tmp_path, pixels=save_pixels(tmp_path)), batch).queries
    assert query.shape == (batch, 4, 6, 3)
    assert query[:, 0, 0, 0].tolist() == values
    assert made[0][1]["batch"] == batch


def test_without_photos_there_are_four_random_queries(made: list[Any], tmp_path: Path) -> None:
    first, again = (load_model(specification(tmp_path)).queries for _ in range(2))
    assert [query.shape for query in first] == [(1, 4, 6, 3)] * 4
    assert first[0].dtype == np.uint8
    assert len({query.tobytes() for query in first}) == 4
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    expected = np.random.default_rng(0).integers(0, 256, (4, 4, 6, 3), np.uint8)
    np.testing.assert_array_equal(np.concatenate(first), expected)


def test_a_bare_model_gets_random_tensors(made: list[Any], tmp_path: Path) -> None:
    loaded = load_model(specification(tmp_path, bare=True), batch=8)
    assert loaded.queries == [(0, 8), (1, 8), (2, 8), (3, 8)]
    assert loaded.load_time == 30.0
    ((arguments, options),) = made
    assert arguments == (tmp_path / "int8.tflite", "litert:cpu:1")
    assert options == {"batch": 8, "input_size": ()}


class MadeMonitor:
    def finish(self) -> Any:
        return QUIET


@pytest.mark.parametrize("with_meter", [True, False])
def test_a_round_measures_in_order(
    clock: MadeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_meter: bool
) -> None:
    """A first inference of 500 ms, then queries of 2 ms; memory 700 at the most, 100 before the model."""
    model = MadeModel(clock, [500 * MS, 2 * MS])
    meter = type("Meter", (), {"source": "rapl"})() if with_meter else None
    replaced = {
        "read_memory": lambda field: {"VmRSS": 100, "VmHWM": 700}[field],
        "load_model": lambda _: model.loaded("a", "b"),
        "ConditionsMonitor": MadeMonitor,
        "find_meter": lambda: meter,
        "measure_energy": lambda *_: 1.5,
        "measure_throughput": lambda _, size: {8: 900.0}[size],
        "_classify_all": lambda given: np.ones((len(given.images), 2), np.float32),
    }
    for name, value in replaced.items():
        monkeypatch.setattr(round_worker, name, value)
    monkeypatch.setattr("time.monotonic_ns", lambda: clock.now)
    asked = specification(tmp_path, images=("x.jpg",), timing=timing(minimum_queries=3, batch_sizes=(1, 8)))
    found = measure(asked)
    assert model.queries == ["a", "a", "b", "a"], "the first inference, then the timed queries"
    assert found.answered == 500 * MS
    np.testing.assert_array_equal(found.latencies, [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(found.throughputs, [500.0, 900.0])
    assert found.peak_memory == 600.0
    assert found.logits.shape == (1, 2)
    assert (found.load_time, found.conditions, found.provider) == (1.0, QUIET, "XNNPACK")
    assert found.artifact_sha256 == sha256_of_file(Path(asked.artifact))
    if with_meter:
        assert (found.energy, found.energy_source) == (1.5, "rapl")
    else:
        assert math.isnan(found.energy)
        assert found.energy_source == ""


def test_a_round_without_images_has_no_logits(
    clock: MadeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_worker, "load_model", lambda _: MadeModel(clock, [MS]).loaded())
    monkeypatch.setattr(round_worker, "ConditionsMonitor", MadeMonitor)
    found = measure(specification(tmp_path, timing=timing(batch_sizes=(1,))))
    assert found.logits.shape == (0, 0)

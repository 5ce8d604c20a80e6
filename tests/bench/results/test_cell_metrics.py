"""A cell's measurements, from raw samples whose results are known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from external_model import write_external
from results_sample import QUIET, cell, cell_result

from tledge.bench.results.board_readings import BoardReadings, Throttling
from tledge.bench.results.cell_result import CellResult, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.metrics import CellMetrics, MeasuredCell, find_baseline
from tledge.bench.results.rows import summarize
from tledge.core.measurement import Measurement
from tledge.edge_runtime.delegation import WITHOUT_XNNPACK

pytestmark = pytest.mark.unit

TIMING = Timing(warm_up=10, minimum_queries=3, minimum_seconds=0.5)
LABELS = np.array([0, 0, 1, 1])


@pytest.fixture
def int8(tmp_path: Path) -> Cell:
    """A cell whose file has 1,234 bytes."""
    found = cell("int8.tflite")
    path = tmp_path / "int8.tflite"
    path.write_bytes(bytes(1234))
    return Cell(replace(found.model, path=path), found.target)


def logits(classes: Sequence[int]) -> Any:
    return np.eye(2, dtype=np.float32)[list(classes)]


def measure(
    int8: Cell, result: CellResult, labels: Any = LABELS, expected: Any = None
) -> dict[tuple[str, Any], Measurement]:
    found = CellMetrics(int8, result, TIMING, labels).all(expected)
    assert len({(item.metric, item.params.get("batch")) for item in found}) == len(found), "one of each"
    return {(item.metric, item.params.get("batch")): item for item in found}


def test_every_metric_has_its_value(int8: Cell) -> None:
    result = cell_result(
        [[1.0, 2.0, 9.0], [3.0, 4.0, 5.0]],
        logits=logits([0, 1, 1, 1]),
        load_times=np.array([10.0, 30.0]),
        cold_starts=np.array([100.0, 300.0]),
        peak_memories=np.array([1e6, 3e6]),
        energies=np.array([5.0, np.nan]),
        energy_source="rapl",
        batch_sizes=np.array([1, 8, 64]),
        throughputs=np.array([[100.0, 200.0, 300.0], [120.0, 220.0, np.nan]]),
    )
    found = measure(int8, result, expected=np.array([0, 1, 0, 0]))
    assert {key: (item.value, item.n) for key, item in found.items()} == {
        ("file_size", None): (1234, 1),
        ("load_time", None): (20.0, 2),
        ("peak_memory", None): (2e6, 2),
        ("top1", None): (0.75, 4),
        ("agreement", None): (0.5, 4),
        ("latency_p50", None): (3.0, 6),
        ("latency_p90", None): (9.0, 6),
        ("latency_p99", None): (9.0, 6),
        ("cold_start", None): (200.0, 2),
        ("throughput", 1): (110.0, 2),
        ("throughput", 8): (210.0, 2),  # batch 64 failed in one round
        ("energy", None): (5.0, 1),
    }
    assert found["top1", None].params == {"provider": "XNNPACK", "split": "test"}
    assert found["energy", None].params["source"] == "rapl"
    assert found["latency_p50", None].params["rounds"] == 2
    assert found["latency_p50", None].flags == ()


def test_nothing_is_measured_that_is_not_there(int8: Cell) -> None:
    assert {metric for metric, _ in measure(int8, cell_result([]), labels=np.empty(0, int))} == {"file_size"}
    found = measure(int8, cell_result([], logits=logits([0, 0, 0, 0])))
    assert {metric for metric, _ in found} == {"file_size", "top1"}
    assert found["top1", None].value == 0.5


def test_an_interval_over_rounds_holds_the_value_of_all_queries(int8: Cell) -> None:
    low = measure(int8, cell_result([[1.0] * 50, *[[10.0]] * 12]))["latency_p50", None]
    assert (low.value, low.interval) == (1.0, (1.0, pytest.approx(12.3, abs=0.1)))
    high = measure(int8, cell_result([[10.0] * 50, *[[1.0]] * 12]))["latency_p50", None]
    assert (high.value, high.interval) == (10.0, (pytest.approx(0.81, abs=0.01), 10.0))
    assert measure(int8, cell_result([[1.0, 2.0]]))["latency_p50", None].interval is None


def board(now: int, since_boot: int) -> BoardReadings:
    return BoardReadings(model="Pi", samples=1, throttling=Throttling(now=now, since_boot=since_boot))


@pytest.mark.parametrize(
    ("conditions", "flags"),
    [
        (QUIET, ()),
        (replace(QUIET, load=0.06), ("noisy",)),
        (replace(QUIET, throttled=True), ("throttled",)),
        (replace(QUIET, throttled=False), ()),
        (replace(QUIET, board=board(now=0, since_boot=8)), ("throttled_since_boot",)),
        (replace(QUIET, board=board(now=1, since_boot=0)), ("under_voltage",)),
        (replace(QUIET, board=board(now=2, since_boot=0)), ()),  # `throttled` says so, from the conditions themselves
        (replace(QUIET, board=replace(board(0, 0), throttling=None)), ()),
    ],
)
def test_one_bad_round_flags_times_and_nothing_else(int8: Cell, conditions: Any, flags: tuple[str, ...]) -> None:
    result = cell_result([[1.0], [1.0]], logits=logits([0, 0, 1, 1]), conditions=(QUIET, conditions))
    found = measure(int8, result)
    for metric in ("latency_p50", "cold_start"):
        assert found[metric, None].flags == flags
    for metric in ("top1", "file_size", "load_time", "peak_memory"):
        assert found[metric, None].flags == ()


def test_times_on_random_pixels_are_flagged(int8: Cell) -> None:
    bare = Cell(replace(int8.model, artifact=None), int8.target)
    assert measure(bare, cell_result([[1.0], [1.0]]))["latency_p50", None].flags == ("random_input",)
    found = measure(int8, cell_result([[1.0], [1.0]]), labels=np.empty(0, int))
    assert found["latency_p50", None].flags == ("random_input",)


def test_a_single_round_is_flagged(int8: Cell) -> None:
    found = measure(int8, cell_result([[1.0, 1.0]]))
    assert {found[metric, None].flags for metric in ("latency_p50", "cold_start")} == {("one_round",)}
    assert found["file_size", None].flags == ()


@pytest.mark.parametrize(
    ("threads", "cores", "flagged"), [(2, 2, False), (3, 2, True), (64, 4, True), (None, 1, False)]
)
def test_more_threads_than_cores_are_flagged(int8: Cell, threads: int | None, cores: int, flagged: bool) -> None:
    """By the cores of the machine that measured, of which this process may use fewer."""
    target = replace(int8.target, threads=threads)
    result = cell_result([[1.0], [1.0]])
    result = replace(result, environment={**result.environment, "usable_cores": cores})
    found = measure(Cell(int8.model, target), result)
    assert found["latency_p50", None].flags == (("more_threads_than_cores",) if flagged else ())
    row = summarize(found.values())[0]
    assert row.timely is not flagged


def test_slower_kernels_are_flagged(int8: Cell) -> None:
    found = measure(int8, cell_result([[1.0], [1.0]], provider=WITHOUT_XNNPACK))
    assert found["latency_p50", None].flags == ("without_xnnpack",)
    assert found["latency_p50", None].params["provider"] == WITHOUT_XNNPACK
    assert measure(int8, cell_result([[1.0], [1.0]], provider="LiteRT kernels"))["latency_p50", None].flags == ()


def test_the_size_is_that_of_all_files_of_a_model(tmp_path: Path) -> None:
    found, model = cell("int8.onnx"), write_external(tmp_path / "int8.onnx", "weights/a.bin")
    size = model.stat().st_size + (tmp_path / "weights/a.bin").stat().st_size
    assert (
        measure(Cell(replace(found.model, path=model), found.target), cell_result([[1.0]]))["file_size", None].value
        == size
    )


def test_two_artifacts_are_compared_round_by_round(int8: Cell) -> None:
    mine = cell_result([[1.0, 1.0], [4.0, 4.0]], logits=logits([0, 0, 1, 0]))
    base = cell_result(
        [[2.0, 2.0], [8.0, 8.0]], logits=logits([0, 1, 0, 0]), conditions=(replace(QUIET, load=1.0),) * 2
    )
    one, other = (
        CellMetrics(where, result, TIMING, LABELS) for where, result in ((int8, mine), (cell("float32.tflite"), base))
    )
    ratio, test = one.against(other)
    assert (ratio.metric, ratio.value, ratio.n) == ("latency_ratio", pytest.approx(0.5), 4)
    assert ratio.interval == (pytest.approx(0.5), pytest.approx(0.5)), (
        "rounds are pairs, so the machine's speed drops out"
    )
    assert ratio.flags == ("noisy",), "the flags of both"
    assert ratio.params["against"] == "float32.tflite"
    assert test.metric == "mcnemar"
    assert (test.params["only_this_right"], test.params["only_baseline_right"]) == (2, 0)
    assert (test.value, test.n) == (0.5, 4)  # 2 / 2**2
    back = other.against(one)[1]
    assert (back.params["only_this_right"], back.params["only_baseline_right"]) == (0, 2)


def test_only_what_both_measured_is_compared(int8: Cell) -> None:
    timed = CellMetrics(int8, cell_result([[1.0]]), TIMING, LABELS)
    classified = CellMetrics(int8, cell_result([], logits=logits([0, 0, 1, 1])), TIMING, LABELS)
    assert [item.metric for item in timed.against(timed)] == ["latency_ratio"]
    assert [item.metric for item in classified.against(classified)] == ["mcnemar"]
    assert timed.against(classified) == classified.against(timed) == []


@pytest.mark.parametrize(("cpu", "flags"), [("any", ()), ("x86", ()), ("arm", ("wrong_cpu", "masked"))])
def test_a_rate_is_flagged_on_the_wrong_cpu(cpu: str, flags: tuple[str, ...]) -> None:
    hits = np.array([True, True, True, False])
    measured = MeasuredCell(cell("int8.tflite", cpu=cpu), cell_result([[1.0]]))
    found = measured.rate("top1", hits, flags=flags[1:])
    assert (found.value, found.n, found.flags) == (0.75, 4, flags)
    assert found.interval == (pytest.approx(0.3006, abs=1e-4), pytest.approx(0.9544, abs=1e-4))


def test_the_baseline_is_float32_of_the_same_format_target_and_model() -> None:
    float32, int8 = cell("float32.tflite", recipe="float32"), cell("int8.tflite")
    others = [
        cell("float32.onnx", recipe="float32", target="onnxruntime:cpu:2"),
        cell("float32.tflite", recipe="float32", target="litert:cpu:1"),
        cell("float32.tflite", recipe="float32", source="another model"),
    ]
    assert find_baseline(int8, [*others, int8, float32]) is float32
    assert find_baseline(float32, [*others, int8, float32]) is None
    assert find_baseline(int8, [*others, int8]) is None, "itself, the first"
    first = cell("dynamic.tflite", recipe="dynamic")
    assert find_baseline(int8, [*others, first, int8]) is first, "without a float32"


def test_a_keras_model_and_a_stranger_have_their_own_baselines() -> None:
    keras = cell("model.keras", recipe="float32", target="keras:cpu")
    tuned = cell("tuned.keras", recipe="int8", target="keras:cpu")
    assert find_baseline(tuned, [keras, tuned]) is None
    one, two = cell("one.tflite", recipe=None), cell("two.tflite", recipe=None)
    assert find_baseline(two, [cell("float32.tflite", recipe="float32"), one, two]) is one

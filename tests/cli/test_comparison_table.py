"""The table of two benchmarks, as it is printed."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from comparison_sample import PI, Machine, Planted, write_bench
from rich.console import Console

from tledge.bench.earlier.comparison import compare_with_earlier
from tledge.bench.results.stored_results import read_stored
from tledge.cli.comparison_table import comparison_table

pytestmark = pytest.mark.unit

INT8 = Planted()
FLOAT = Planted(artifact="float32.onnx", target="onnxruntime:cpu:2", build="f", latency=16.0)


def printed(old: Path, new: Path, width: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, markup=False)
    console.print(comparison_table(compare_with_earlier(read_stored(new), read_stored(old)), width))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_it_holds_in_100_columns_and_is_plain_when_piped(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [FLOAT, INT8])
    new = write_bench(tmp_path / "new", 2, [FLOAT, replace(INT8, build="b", latency=8.0, wrong=40)])
    lines = printed(old, new, 100)
    assert "\x1b" not in "".join(lines)
    assert "…" not in "".join(lines)
    (row,) = [line for line in lines if line.startswith("int8.tflite ")]
    assert "slower, worse" in row
    assert "0.980 → 0.867" in row
    (unchanged,) = [line for line in lines if line.startswith("float32.onnx ")]
    assert "slower" not in unchanged
    assert "Rows: 1 slower, 1 worse; the others are not significantly different." in lines
    reason = "Latency of float32.onnx on onnxruntime:cpu:2 was not judged: the same"
    assert any(line.startswith(reason) for line in lines)
    narrow = printed(old, new, 80)
    assert "…" not in "".join(narrow)
    assert any("slower, worse" in line for line in narrow)


def test_it_says_what_is_on_one_side_only_and_on_which_machine(tmp_path: Path) -> None:
    desk = replace(PI, cpu="Core i7", host="desk")
    old = write_bench(tmp_path / "old", 1, [INT8, FLOAT])
    new = write_bench(
        tmp_path / "new", 2, [replace(INT8, target="litert:cpu:8"), replace(INT8, artifact="qat.tflite")],
        Machine(environment=desk), photos="others",
    )  # fmt: skip
    lines = printed(old, new, 200)
    assert "Measured on another machine: CPU Cortex-A76 → Core i7" in lines
    assert "int8.tflite on litert:cpu:8 was measured on litert:cpu:2 before" in lines
    assert "Not measured now: float32.onnx on onnxruntime:cpu:2" in lines
    assert "Not measured before: qat.tflite on litert:cpu:2" in lines
    assert any(line.startswith("Top-1 was compared by 95% intervals") for line in lines)

"""Conditions that break somebody's CI."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from comparison_sample import Machine, Planted, write_bench

from tledge.bench.earlier.comparison import compare_with_earlier
from tledge.bench.earlier.gate import GateResult, check_conditions, parse_conditions
from tledge.bench.results.settings import BenchSettings
from tledge.bench.results.stored_results import read_stored
from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.measurement import Measurement, read_results, write_results

INT8 = Planted()
FLOAT = Planted(artifact="float32.tflite", latency=6.0)
KERAS = Planted(artifact="model.keras", target="keras:cpu", latency=30.0)


def gate(new: Path, *conditions: str, old: Path | None = None) -> GateResult:
    results = read_stored(new)
    comparison = None if old is None else compare_with_earlier(results, read_stored(old))
    return check_conditions(parse_conditions(conditions, compared=old is not None), results, comparison)


@pytest.mark.unit
def test_an_absolute_limit_is_held_against_every_artifact_but_the_keras_model(tmp_path: Path) -> None:
    new = write_bench(tmp_path / "new", 0, [KERAS, FLOAT, INT8])
    result = gate(new, "p50_ms > 5")
    assert result.checked == 2
    (line,) = result.violations
    assert line.startswith("float32.tflite on litert:cpu:2: p50_ms ")
    assert line.endswith("(p50_ms > 5)")
    assert gate(new, "p50_ms > 9", "p50_ms < 2", "top1 < 0.5").passed
    assert len(gate(new, "model.keras: p50_ms > 5").violations) == 1
    assert gate(new, "*8.tflite: p50_ms > 5").passed
    assert gate(new, "int8.tflite@litert:cpu:2: p50_ms > 5").passed
    assert not gate(new, "int8.tflite@litert:*: p50_ms >= 2").passed
    size = (tmp_path / "new-files" / "int8.tflite").stat().st_size
    assert gate(new, f"int8.tflite: size_kb > {size / 1e3}").passed
    assert not gate(new, f"int8.tflite: size_kb >= {size / 1e3}").passed


def test_a_planted_slowdown_is_caught_and_noise_is_not(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 0, [FLOAT, INT8])
    slower = write_bench(tmp_path / "slower", 1, [FLOAT, replace(INT8, build="b", latency=4.6)])
    (line,) = gate(slower, "p50_ms > 1.1x", old=old).violations
    assert "int8.tflite on litert:cpu:2: p50_ms" in line
    assert "95%" in line
    assert gate(slower, "p50_ms > 1.3x", old=old).passed
    assert not gate(slower, "throughput < 0.95x", old=old).passed
    for seed in range(2, 22):
        drifted = write_bench(
            tmp_path / f"again{seed}", seed, [FLOAT, replace(INT8, build="b")], Machine(speed=1.06, unseen=1.01)
        )
        assert gate(drifted, "p50_ms > 1.02x", old=old).passed


@pytest.mark.unit
def test_what_is_beyond_a_limit_and_not_shown_to_be_is_said(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 0, [INT8])
    new = write_bench(tmp_path / "new", 1, [replace(INT8, build="b")], Machine(unseen=1.05))
    result = gate(new, "p50_ms > 1.02x", old=old)
    assert result.passed
    (line,) = result.unsure
    assert "int8.tflite on litert:cpu:2: p50_ms" in line
    assert "too wide to decide" in line
    assert gate(new, "p50_ms > 1.2x", old=old).unsure == ()


@pytest.mark.unit
def test_the_same_file_breaks_nothing(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 0, [INT8])
    new = write_bench(tmp_path / "new", 1, [INT8], Machine(unseen=1.3))
    assert gate(new, "p50_ms > 1.1x", old=old).passed


@pytest.mark.unit
def test_a_planted_loss_of_accuracy_is_caught(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 0, [FLOAT, INT8])
    new = write_bench(tmp_path / "new", 1, [FLOAT, replace(INT8, build="b", wrong=12)])
    (line,) = gate(new, "top1_drop > 0.01", old=old).violations
    assert "top1 fell by 0.0200" in line
    assert gate(new, "top1_drop > 0.021", old=old).passed
    assert not gate(new, "top1 < 0.97").passed
    assert not gate(new, "top1 < 0.99x", old=old).passed


@pytest.mark.unit
def test_what_cannot_be_judged_does_not_pass(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 0, [FLOAT, INT8])
    noisy = write_bench(tmp_path / "noisy", 1, [replace(INT8, build="b", latency=5.0, noisy=True)])
    line, gone = gate(noisy, "p50_ms > 1.1x", old=old).unjudged
    assert "noisy now" in line
    assert gone == "float32.tflite on litert:cpu:2 was measured before, but not now"
    once = write_bench(tmp_path / "once", 2, [replace(INT8, build="b", latency=5.0, rounds=1)])
    assert "one round" in gate(once, "p50_ms > 1.1x", old=old).unjudged[0]
    other = write_bench(tmp_path / "other", 3, [INT8, Planted(artifact="new.tflite", build="c")])
    assert "has no such row" in gate(other, "p90_ms > 1.1x", old=old).unjudged[0]
    assert "matches no row" in gate(old, "gone.tflite: top1 < 0.5").unjudged[0]
    assert "energy was not measured" in gate(old, "energy_mj > 1").unjudged[0]


@pytest.mark.unit
@pytest.mark.parametrize("text", ["top1 = 0.9", "top1 <", "< 0.9", "top1 < -1", "top1 < 1.1y", ""])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="`fail_on` takes conditions like"):
        parse_conditions([text], compared=True)


@pytest.mark.unit
def test_unknown_metrics_and_a_missing_benchmark_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'p99_ms'"):
        parse_conditions(["p9_ms > 3"], compared=False)
    for text in ("p90_ms > 1.1x", "top1_drop > 0.01"):
        with pytest.raises(OptionError, match="`against`"):
            parse_conditions([text], compared=False)


def attacked(results: Path, worst: float, **attacks: Any) -> Path:
    """Adds what attacks left of int8.tflite at eps 1 and 8, and how it was attacked."""
    rows = read_results(results)
    for attack, eps, value in (("none", 0, 0.98), ("worst", 1, worst), ("worst", 8, worst / 2), ("pgd", 8, 0.9)):
        rows.append(
            Measurement(
                artifact="int8.tflite",
                artifact_sha256=rows[0].artifact_sha256,
                target="litert:cpu:2",
                scenario="robustness",
                metric="robust_accuracy",
                value=value,
                n=100,
                params={"attack": attack, "eps": eps, "norm": "linf"},
            )
        )
    write_results(results, rows)
    replace(BenchSettings.load(results.parent), attacks={"attack": ["pgd"], **attacks}).save(results.parent)
    return results


@pytest.mark.unit
def test_robust_accuracy_is_that_of_the_worst_and_compared_with_the_same_attacks_only(tmp_path: Path) -> None:
    new = attacked(write_bench(tmp_path / "new", 0, [INT8]), 0.4, eps=[1, 8])
    assert gate(new, "robust_accuracy < 0.19").passed
    (line,) = gate(new, "robust_accuracy < 0.21").violations
    assert "robust_accuracy 0.2" in line
    alike = attacked(write_bench(tmp_path / "alike", 1, [INT8]), 0.8, eps=[1, 8])
    assert not gate(new, "robust_accuracy < 0.9x", old=alike).passed
    assert gate(new, "robust_accuracy < 0.4x", old=alike).passed
    others = attacked(write_bench(tmp_path / "others", 1, [INT8]), 0.8, eps=[1, 2, 8])
    result = gate(new, "robust_accuracy < 0.9x", old=others)
    assert not result.violations
    (line,) = result.unjudged
    assert "used other attacks" in line

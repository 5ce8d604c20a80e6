"""Two benchmarks compared: on results that were never measured, whose truth is known."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from comparison_sample import PI, Machine, Planted, write_bench

from tledge.bench.earlier.comparison import UNCHANGED, ComparedRow, Comparison, compare_with_earlier
from tledge.bench.earlier.gate import check_conditions, parse_conditions
from tledge.bench.measure.paired_run import PairedRun
from tledge.bench.results.stored_results import read_stored
from tledge.core.errors import MeasurementError

FLOAT = Planted(artifact="float32.tflite", build="f", latency=6.0)
INT8 = Planted()


def compared(old: Path, new: Path) -> Comparison:
    return compare_with_earlier(read_stored(new), read_stored(old))


def only_row(comparison: Comparison, artifact: str = "int8.tflite") -> ComparedRow:
    (row,) = [row for row in comparison.rows if row.artifact == artifact]
    return row


def rebuilt(cell: Planted, **changes: object) -> Planted:
    return replace(cell, build="b", **changes)


def test_another_build_of_the_same_is_neither_faster_nor_slower(tmp_path: Path) -> None:
    """Under drift that the reference workload sees, and drift of models alone, as large as the unchanged cell shows."""
    rng = np.random.default_rng(5)
    said, drifts = [], []
    for seed in range(60):
        machine = Machine(speed=float(np.exp(rng.normal(0, 0.05))), unseen=float(np.exp(rng.normal(0, 0.02))))
        old = write_bench(tmp_path / f"old{seed}", 2 * seed, [FLOAT, INT8])
        new = write_bench(tmp_path / f"new{seed}", 2 * seed + 1, [FLOAT, rebuilt(INT8)], machine)
        row = only_row(compared(old, new))
        assert not row.unchanged
        assert row.no_latency_verdict == ""
        said += row.verdicts
        drifts.append(abs((row.changes["latency_p50"].ratio or 1) - 1))
    assert max(drifts) > 0.08  # what a look at the two values would have called a slowdown
    assert said == []


@pytest.mark.parametrize("beside", [True, False], ids=["beside-an-unchanged-one", "alone"])
def test_a_tenth_is_found(tmp_path: Path, beside: bool) -> None:
    others = [FLOAT] if beside else []
    said = []
    for seed in range(20):
        old = write_bench(tmp_path / f"old{seed}", 2 * seed, [*others, INT8])
        new = write_bench(tmp_path / f"new{seed}", 2 * seed + 1, [*others, rebuilt(INT8, latency=4.4)])
        row = only_row(compared(old, new))
        said.append(row.verdicts)
        change = row.changes["latency_p50"]
        assert change.ratio == pytest.approx(1.1, abs=0.05)
        assert change.interval is not None
        assert change.interval[0] < 1.1 < change.interval[1]
    assert set(said) <= {("slower",), ()}
    assert said.count(("slower",)) >= 16
    assert only_row(compared(new, old)).verdicts == ("faster",) * (said[-1] == ("slower",))


def test_files_that_were_measured_in_turns_are_judged_by_pairs_of_rounds(tmp_path: Path) -> None:
    """Rounds that differ by a fifth from one another do not hide a tenth, nor feign one."""
    said: dict[float, list[str]] = {1.0: [], 1.1: []}
    old = read_stored(write_bench(tmp_path / "old", 0, [INT8]))
    new = read_stored(write_bench(tmp_path / "new", 1, [rebuilt(INT8)]))
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for ratio, found in said.items():
            run = paired_run(rng, ratio, (old.cells[0].sha256, new.cells[0].sha256))
            row = only_row(compare_with_earlier(new, old, {("int8.tflite", "litert:cpu:2"): run}))
            change = row.changes["latency_p50"]
            assert row.again
            assert change.ratio == pytest.approx(ratio, abs=0.05)
            assert change.new == np.median(np.concatenate(run.new))
            found.extend(row.verdicts)
    assert said[1.0] == []
    assert set(said[1.1]) == {"slower"}
    assert len(said[1.1]) >= 38
    noisy = read_stored(write_bench(tmp_path / "noisy", 2, [rebuilt(INT8, noisy=True)]))
    row = only_row(compare_with_earlier(noisy, old, {("int8.tflite", "litert:cpu:2"): run}))
    assert row.verdicts == ("slower",)  # in turns, noise hits both
    assert row.no_times_verdict.startswith("noisy now")
    assert check_conditions(
        parse_conditions(["throughput < 5x"], compared=True),
        noisy,
        Comparison(old=old.path, new=noisy.path, rows=(row,), only_old=(), only_new=(), environments=()),
    ).unjudged
    strangers = paired_run(rng, 1.1, ("0" * 64, new.cells[0].sha256))
    assert not only_row(compare_with_earlier(new, old, {("int8.tflite", "litert:cpu:2"): strangers})).again


def paired_run(rng: np.random.Generator, ratio: float, hashes: tuple[str, str], rounds: int = 5) -> PairedRun:
    """Five rounds of a machine whose speed is another one in each, on two processes of their own luck (1.5%)."""
    speeds = np.exp(rng.normal(0, 0.2, rounds))
    sides = []
    for latency in (4.0, 4.0 * ratio):
        medians = latency * speeds * np.exp(rng.normal(0, 0.015, rounds))
        sides.append([median * (0.97 + rng.gamma(2, 0.018, (25, 5))) for median in medians])
    return PairedRun(old=sides[0], new=sides[1], old_sha256=hashes[0], new_sha256=hashes[1])


@pytest.mark.unit
def test_the_same_file_is_never_judged(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [FLOAT, INT8])
    new = write_bench(tmp_path / "new", 2, [FLOAT, INT8], Machine(unseen=1.5))
    for row in compared(old, new).rows:
        assert row.unchanged
        assert row.verdicts == ()
        assert row.no_latency_verdict == UNCHANGED
        assert row.mcnemar_p == 1.0


@pytest.mark.unit
def test_unchanged_cells_widen_the_interval_of_the_others(tmp_path: Path) -> None:
    """A neighbour slows every model by 15%; the reference workload, which stays in the cache, does not see it."""
    machine = Machine(unseen=1.15)
    old = write_bench(tmp_path / "old", 1, [FLOAT, INT8])
    new = write_bench(tmp_path / "new", 2, [FLOAT, rebuilt(INT8)], machine)
    row = only_row(compared(old, new))
    assert row.changes["latency_p50"].ratio == pytest.approx(1.15, abs=0.05)
    assert row.verdicts == ()


@pytest.mark.unit
def test_a_slower_clock_is_no_slower_artifact(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [INT8])
    new = write_bench(tmp_path / "new", 2, [rebuilt(INT8)], Machine(speed=1.3))
    change = only_row(compared(old, new)).changes["latency_p50"]
    assert change.ratio == pytest.approx(1.3, abs=0.06)
    assert change.interval is not None
    assert change.interval[0] < 1 < 1.3 < change.interval[1]
    assert change.verdict == ""


@pytest.mark.unit
def test_a_new_library_is_judged_and_named(tmp_path: Path) -> None:
    newer = replace(PI, packages={**PI.packages, "ai-edge-litert": "2.2.0"}, host="ci-7")
    old = write_bench(tmp_path / "old", 1, [INT8])
    new = write_bench(tmp_path / "new", 2, [replace(INT8, latency=5.0)], Machine(environment=newer))
    comparison = compared(old, new)
    assert only_row(comparison).verdicts == ("slower",)
    assert comparison.environments == ("measured with other software: ai-edge-litert 2.1.0 → 2.2.0",)


@pytest.mark.unit
@pytest.mark.parametrize("noisy", ["old", "new"])
def test_what_was_timed_on_a_noisy_machine_is_not_judged(tmp_path: Path, noisy: str) -> None:
    old = write_bench(tmp_path / "old", 1, [replace(INT8, noisy=noisy == "old")])
    new = write_bench(tmp_path / "new", 2, [rebuilt(INT8, latency=8.0, noisy=noisy == "new")])
    row = only_row(compared(old, new))
    assert row.verdicts == ()
    assert row.no_latency_verdict.startswith("noisy before: other" if noisy == "old" else "noisy now: other")
    assert row.changes["latency_p50"].ratio == pytest.approx(2, rel=0.1)


@pytest.mark.unit
def test_one_round_is_not_judged(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [replace(INT8, rounds=1)])
    new = write_bench(tmp_path / "new", 2, [rebuilt(INT8, latency=8.0)])
    row = only_row(compared(old, new))
    assert row.verdicts == ()
    assert row.no_latency_verdict.startswith("one round before")


@pytest.mark.unit
def test_a_lone_results_file_gives_ratios_and_no_verdict(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [INT8])
    shutil.copy(old, tmp_path / "kept.jsonl")
    new = write_bench(tmp_path / "new", 2, [rebuilt(INT8, latency=8.0, wrong=40)])
    row = only_row(compared(tmp_path / "kept.jsonl", new))
    change = row.changes["latency_p50"]
    assert change.old is not None
    assert change.new is not None
    assert change.ratio == change.new / change.old
    assert change.interval is None
    assert row.no_latency_verdict == "no raw samples before"
    assert row.mcnemar_p is None
    assert row.verdicts == ("worse",)  # the Wilson intervals of 0.980 and 0.867 lie apart


@pytest.mark.unit
def test_top1_by_mcnemar_on_the_same_photos(tmp_path: Path) -> None:
    """Six photos of 300 more are wrong, none right: p = 0.03, while the Wilson intervals overlap."""
    old = write_bench(tmp_path / "old", 1, [INT8])
    new = write_bench(tmp_path / "new", 2, [rebuilt(INT8, wrong=12)])
    row = only_row(compared(old, new))
    assert row.mcnemar_p == pytest.approx(2 / 2**6)
    assert row.changes["top1"].difference == pytest.approx(-0.02)
    assert row.verdicts == ("worse",)
    assert only_row(compared(new, old)).verdicts == ("better",)

    others = write_bench(tmp_path / "others", 2, [rebuilt(INT8, wrong=12)], photos="other photos")
    row = only_row(compared(old, others))
    assert row.mcnemar_p is None
    assert not row.same_photos
    assert row.verdicts == ()


@pytest.mark.unit
def test_five_photos_of_300_are_no_difference(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [INT8])
    new = write_bench(tmp_path / "new", 2, [rebuilt(INT8, wrong=11)])
    assert only_row(compared(old, new)).verdicts == ()


@pytest.mark.unit
def test_another_device_is_matched_by_runtime_and_device(tmp_path: Path) -> None:
    desk = replace(PI, machine="x86_64", cpu="Core i7", cores=8, usable_cores=8, host="desk", cpu_features=("avx2",))
    old = write_bench(tmp_path / "old", 1, [INT8, replace(INT8, artifact="int8.onnx", target="onnxruntime:cpu:4")])
    new = write_bench(
        tmp_path / "new", 2, [replace(INT8, target="litert:cpu:8", latency=1.0)], Machine(speed=0.25, environment=desk)
    )
    comparison = compared(old, new)
    (row,) = comparison.rows
    assert (row.old_target, row.target) == ("litert:cpu:2", "litert:cpu:8")
    assert row.other_machine
    assert row.verdicts == ("faster",)  # the reference workload, which is faster too, takes nothing away
    assert comparison.only_old == (("int8.onnx", "onnxruntime:cpu:4"),)
    (line,) = comparison.environments
    assert line.startswith("measured on another machine: CPU Cortex-A76 → Core i7; architecture aarch64 → x86_64")


@pytest.mark.unit
def test_two_thread_counts_are_not_guessed_between(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [FLOAT, INT8, replace(INT8, target="litert:cpu:1")])
    new = write_bench(tmp_path / "new", 2, [FLOAT, replace(INT8, target="litert:cpu:4")])
    comparison = compared(old, new)
    assert [row.name for row in comparison.rows] == ["float32.tflite on litert:cpu:2"]
    assert comparison.only_new == (("int8.tflite", "litert:cpu:4"),)
    assert comparison.only_old == (("int8.tflite", "litert:cpu:2"), ("int8.tflite", "litert:cpu:1"))


@pytest.mark.unit
def test_samples_of_another_file_are_not_taken(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [INT8])
    other = write_bench(tmp_path / "other", 3, [rebuilt(INT8, latency=40.0)])
    shutil.copy(other, tmp_path / "old" / "results.jsonl")
    (cell,) = read_stored(old).cells
    assert cell.samples is None
    assert read_stored(old).settings is None


@pytest.mark.unit
def test_a_folder_stands_for_its_results_file(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [INT8])
    stored = read_stored(tmp_path / "old")
    assert stored.path == old
    assert [cell.name for cell in stored.cells] == ["int8.tflite on litert:cpu:2"]
    assert stored.labels == tuple([0, 1] * 150)


@pytest.mark.unit
def test_results_without_a_common_row_are_an_error(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [FLOAT])
    new = write_bench(tmp_path / "new", 2, [INT8])
    with pytest.raises(MeasurementError, match=r"no artifact and target in common .*it measured float32\.tflite on"):
        compared(old, new)


@pytest.mark.unit
@pytest.mark.parametrize("content", ["", "not json\n", '{"schema_version": 1, "top1": 0.9}\n'])
def test_empty_and_foreign_files_are_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "old.jsonl").write_text(content)
    with pytest.raises(MeasurementError, match=r"old\.jsonl"):
        read_stored(tmp_path / "old.jsonl")


@pytest.mark.unit
def test_json_holds_it(tmp_path: Path) -> None:
    old = write_bench(tmp_path / "old", 1, [FLOAT, INT8])
    new = write_bench(tmp_path / "new", 2, [FLOAT, rebuilt(INT8, latency=8.0)])
    record = json.loads(json.dumps(compared(old, new).to_dict()))
    row = record["rows"][1]
    assert row["verdicts"] == ["slower"]
    assert row["changes"]["latency_p50"]["unit"] == "ms"
    assert row["changes"]["file_size"]["old"] == row["changes"]["file_size"]["new"]

"""What a comparison decides, on numbers with a known answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stored_sample import PI, SETTINGS, SHA, measurement, raw_samples, stored_cell, stored_results, timed_cell

from tledge.bench.earlier.cell_match import is_unchanged, match
from tledge.bench.earlier.comparison import UNCHANGED, ComparedRow, compare_with_earlier
from tledge.bench.earlier.environment_changes import EnvironmentChanges, find_changes
from tledge.bench.earlier.metric_change import (
    COMPARED_METRICS,
    TIMED_METRICS,
    BenchmarkVariation,
)
from tledge.bench.measure.paired_run import PairedRun
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.flags import UNTIMELY
from tledge.bench.results.stored_results import StoredCell
from tledge.core.errors import MeasurementError
from tledge.core.measurement import Measurement

pytestmark = pytest.mark.unit

NONE = BenchmarkVariation(dict.fromkeys(TIMED_METRICS, 0.0))
"""Of two benchmarks that do not differ by themselves."""


def cells(*names: tuple[str, str]) -> list[StoredCell]:
    return [stored_cell({"top1": 1.0}, artifact=artifact, target=target) for artifact, target in names]


def matched(old: list[StoredCell], new: list[StoredCell]) -> list[tuple[str, str]]:
    return [(f"{a.artifact}@{a.target}", f"{b.artifact}@{b.target}") for a, b in match(old, new)]


def test_cells_match_by_artifact_and_target() -> None:
    old = cells(("a", "litert:cpu:1"), ("a", "litert:cpu:2"), ("b", "litert:cpu:1"))
    new = cells(("b", "litert:cpu:1"), ("a", "litert:cpu:2"), ("c", "litert:cpu:1"))
    assert matched(old, new) == [("b@litert:cpu:1", "b@litert:cpu:1"), ("a@litert:cpu:2", "a@litert:cpu:2")]


def test_cells_of_other_thread_counts_match_if_unambiguous() -> None:
    one, two, four = ("a", "litert:cpu:1"), ("a", "litert:cpu:2"), ("a", "litert:cpu:4")
    assert matched(cells(one), cells(four)) == [("a@litert:cpu:1", "a@litert:cpu:4")]
    assert matched(cells(one, two), cells(four)) == []
    assert matched(cells(four), cells(one, two)) == []
    assert matched(cells(one, two), cells(one, four)) == [
        ("a@litert:cpu:1", "a@litert:cpu:1"),
        ("a@litert:cpu:2", "a@litert:cpu:4"),
    ]
    assert matched(cells(one), cells(one, four)) == [("a@litert:cpu:1", "a@litert:cpu:1")]
    assert matched(cells(one), cells(("b", "litert:cpu:4"))) == []
    assert matched(cells(one), cells(("a", "litert:npu"))) == []
    assert matched(cells(one), cells(("a", "onnxruntime:cpu:4"))) == []


def test_a_cell_is_unchanged_if_file_target_provider_machine_and_software_are() -> None:
    base = stored_cell([measurement("top1", 1.0, params={"provider": "XNNPACK"})])
    assert is_unchanged(base, base)
    assert is_unchanged(base, replace(base, environment=replace(PI, host="other")))
    assert not is_unchanged(base, stored_cell({"top1": 1.0}))
    assert not is_unchanged(base, replace(base, target="litert:cpu:4"))
    assert not is_unchanged(base, replace(base, environment=replace(PI, cores=8)))
    assert not is_unchanged(base, replace(base, environment=replace(PI, python="3.12.0")))
    assert not is_unchanged(base, replace(base, environment=None))
    other = stored_cell([measurement("top1", 1.0, params={"provider": "XNNPACK"})], sha256="b" * 64)
    assert not is_unchanged(base, other)


# What differs between machines


@pytest.mark.parametrize(
    ("change", "machine"),
    [
        ({"cpu": "Core i7"}, "CPU Cortex-A76 → Core i7"),
        ({"machine": "x86_64"}, "architecture aarch64 → x86_64"),
        ({"cores": 8}, "cores 4 → 8"),
        ({"usable_cores": 2}, "usable cores 4 → 2"),
        ({"cpu_features": ("asimd",)}, "only one has the CPU features asimddp"),
        ({"cpu_features": tuple("abcde")}, "only one has the CPU features a, asimd, asimddp, b …"),
        ({"cpu_features": ("asimd", "asimddp", "c", "b", "d", "a")}, "only one has the CPU features a, b, c, d"),
    ],
)
def test_another_kind_of_machine(change: Any, machine: str) -> None:
    changes = find_changes(PI, replace(PI, **change))
    assert changes == EnvironmentChanges(machine=(machine,))
    assert changes.text == f"measured on another machine: {machine}"


@pytest.mark.parametrize(
    ("change", "software"),
    [
        ({"os": "Debian 13"}, "system Debian 12 → Debian 13"),
        ({"governor": ""}, "governor ondemand → none"),
        ({"python": "3.12.0"}, "Python 3.11.2 → 3.12.0"),
        ({"packages": {"tledge": "0.1.0", "numpy": "2.1.0"}}, "numpy 2.0.0 → 2.1.0"),
        ({"packages": {"tledge": "0.1.0"}}, "numpy 2.0.0 → none"),
        ({"packages": {**PI.packages, "onnx": "1.0"}}, "onnx none → 1.0"),
    ],
)
def test_other_software(change: Any, software: str) -> None:
    changes = find_changes(PI, replace(PI, **change))
    assert changes == EnvironmentChanges(software=(software,))
    assert changes.text == f"measured with other software: {software}"


def test_other_hosts_and_unknown_machines() -> None:
    assert find_changes(PI, PI) == EnvironmentChanges()
    assert find_changes(PI, PI).text == ""
    assert find_changes(PI, replace(PI, memory=1)).text == ""
    assert find_changes(PI, replace(PI, host="b")).text == "measured on another host of the same kind: pi → b"
    for old, new in ((None, PI), (PI, None), (None, None)):
        changes = find_changes(old, new)
        assert changes.machine
        assert changes.text.startswith("the earlier machine is not known")
    both = find_changes(PI, replace(PI, cpu="i7", cpu_features=(), python="3.12.0"))
    assert both.text == "measured on another machine: CPU Cortex-A76 → i7; Python 3.11.2 → 3.12.0"


# Verdicts


def latency_cell(medians: Sequence[float], sha256: str = SHA, flags: Any = (), **options: Any) -> StoredCell:
    value = measurement("latency_p50", medians[0], flags=flags)
    return stored_cell([value], raw_samples(medians, sha256=sha256), sha256=sha256, **options)


def compare_cells(old: StoredCell, new: StoredCell, **options: Any) -> ComparedRow:
    (row,) = compare_with_earlier(stored_results(new), stored_results(old, name="old"), **options).rows
    return row


NEW = "b" * 64


@pytest.mark.parametrize(
    ("medians", "verdict"),
    [
        ([4.3, 4.3], "slower"),  # 1.075 exceeds 1.02 even if the benchmarks differ by the assumed 3%
        ([4.2, 4.2], ""),  # 1.05 may be 1.02 and the variation
        ([4.0, 4.0], ""),
        ([3.82, 3.82], ""),
        ([3.7, 3.7], "faster"),
    ],
)
def test_latency_is_judged_by_an_interval_that_allows_for_variation(medians: list[float], verdict: str) -> None:
    row = compare_cells(latency_cell([4.0, 4.0]), latency_cell(medians, NEW))
    assert row.no_latency_verdict == ""
    assert row.changes["latency_p50"].verdict == verdict
    assert row.verdicts == ((verdict,) if verdict else ())
    assert (row.unchanged, row.other_machine, row.again) == (False, False, False)


def test_unchanged_cells_measured_beside_it_replace_the_assumed_variation() -> None:
    def results(name: str, changed: StoredCell, other: float) -> Any:
        return stored_results(latency_cell([other, other], artifact="f.tflite"), changed, name=name)

    quiet = compare_with_earlier(
        results("new", latency_cell([4.2, 4.2], NEW), 6.0), results("old", latency_cell([4.0, 4.0]), 6.0)
    )
    assert quiet.rows[1].verdicts == ("slower",)
    drifted = compare_with_earlier(
        results("new", latency_cell([4.6, 4.6], NEW), 6.9), results("old", latency_cell([4.0, 4.0]), 6.0)
    )
    assert drifted.rows[1].verdicts == ()
    assert drifted.rows[0].no_latency_verdict == UNCHANGED


def test_the_same_file_is_not_judged() -> None:
    row = compare_cells(latency_cell([4.0, 4.0]), latency_cell([8.0, 8.0]))
    assert (row.unchanged, row.no_latency_verdict, row.no_times_verdict) == (True, UNCHANGED, UNCHANGED)
    assert row.verdicts == ()


def test_other_thread_counts_and_machines_are_compared_without_variation() -> None:
    row = compare_cells(latency_cell([4.0, 4.0]), latency_cell([4.1, 4.1], target="litert:cpu:4"))
    assert row.other_machine
    assert (row.old_target, row.target) == ("litert:cpu:2", "litert:cpu:4")
    assert row.verdicts == ("slower",)  # 1.025, exactly
    row = compare_cells(latency_cell([4.0, 4.0]), latency_cell([4.1, 4.1], environment=replace(PI, cpu="i7")))
    assert row.other_machine
    assert row.verdicts == ("slower",)


@pytest.mark.parametrize("flag", UNTIMELY)
@pytest.mark.parametrize("side", ["before", "now"])
def test_flagged_times_are_not_judged(flag: str, side: str) -> None:
    old = latency_cell([4.0, 4.0], flags=(flag,) if side == "before" else ())
    new = latency_cell([8.0, 8.0], NEW, flags=(flag,) if side == "now" else ())
    row = compare_cells(old, new)
    assert row.no_latency_verdict.startswith(f"{flag.replace('_', ' ')} {side}: ")
    assert row.no_times_verdict == row.no_latency_verdict
    assert row.verdicts == ()


def test_other_flags_do_not_prevent_a_verdict() -> None:
    row = compare_cells(latency_cell([4.0, 4.0], flags=("random_input",)), latency_cell([8.0, 8.0], NEW))
    assert row.verdicts == ("slower",)


def test_why_latency_is_not_judged() -> None:
    good, once = latency_cell([4.0, 4.0]), latency_cell([4.0])
    new, new_once = latency_cell([8.0, 8.0], NEW), latency_cell([8.0], NEW)
    lone, new_lone = stored_cell({"latency_p50": 4.0}), stored_cell({"latency_p50": 8.0}, sha256=NEW)
    assert compare_cells(once, new).no_latency_verdict.startswith("one round before, which")
    assert compare_cells(good, new_once).no_latency_verdict.startswith("one round now, which")
    assert compare_cells(lone, new).no_latency_verdict == "no raw samples before"
    assert compare_cells(good, new_lone).no_latency_verdict == "no raw samples now"
    nothing = stored_cell({"top1": 1.0}, sha256=NEW)
    assert compare_cells(good, nothing).no_latency_verdict == "one of the benchmarks did not measure latency"
    assert compare_cells(stored_cell({"top1": 1.0}), new).no_latency_verdict.startswith("one of the benchmarks did")
    broken = stored_cell([measurement("latency_p50", 8.0)], raw_samples([float("nan")] * 2, sha256=NEW), sha256=NEW)
    assert compare_cells(good, broken).no_latency_verdict == "too few samples"


def test_a_paired_run_of_these_files_replaces_the_latencies() -> None:
    old, new = latency_cell([4.0, 4.0], flags=("noisy",)), latency_cell([40.0, 40.0], NEW)
    rounds = [np.full((10, 5), 4.0), np.full((10, 5), 4.1)]
    slower = [item * 1.1 for item in rounds]

    def measured(run_old: str, run_new: str, count: int = 2, artifact: str = "int8.tflite") -> ComparedRow:
        run = PairedRun(old=rounds[:count], new=slower[:count], old_sha256=run_old, new_sha256=run_new)
        return compare_cells(old, new, paired_runs={(artifact, "litert:cpu:2"): run})

    row = measured(SHA, NEW)
    assert (row.again, row.no_latency_verdict, row.verdicts) == (True, "", ("slower",))
    assert row.no_times_verdict.startswith("noisy before")
    assert set(row.changes) == {"latency_p50", "latency_p90", "latency_p99"}
    assert row.changes["latency_p50"].ratio == pytest.approx(1.1)
    once = measured(SHA, NEW, count=1)
    assert once.no_latency_verdict.startswith("one round, which")
    assert once.verdicts == ()
    for strangers in (measured(SHA, SHA), measured(NEW, NEW), measured(SHA, NEW, artifact="other.tflite")):
        assert not strangers.again
        assert strangers.changes["latency_p50"].ratio == pytest.approx(10)


def logits_cell(right: int, photos: int = 20, **options: Any) -> tuple[StoredCell, CellResult]:
    """A cell that classifies the first ``right`` photos, of class 0, rightly."""
    logits = [[1.0, 0.0] if index < right else [0.0, 1.0] for index in range(photos)]
    samples = raw_samples([4.0, 4.0], logits=logits)
    interval = options.pop("interval", None)
    return stored_cell([measurement("top1", right / photos, interval=interval)], samples, **options), samples


@pytest.mark.parametrize(
    ("right", "p_value", "verdict"),
    [(20, 1.0, ""), (15, 2 / 2**5, ""), (14, 2 / 2**6, "worse"), (10, 2 / 2**10, "worse")],
)
def test_top1_is_judged_by_mcnemars_test_on_the_same_photos(right: int, p_value: float, verdict: str) -> None:
    """Five of 20 photos more are no significant difference, six are."""
    (old, _), (new, _) = logits_cell(20), logits_cell(right)
    labels = [0] * 20

    def compared(before: StoredCell, after: StoredCell) -> ComparedRow:
        (row,) = compare_with_earlier(
            stored_results(after, labels=labels), stored_results(before, name="old", labels=labels)
        ).rows
        return row

    row = compared(old, new)
    assert row.mcnemar_p == pytest.approx(p_value)
    assert row.same_photos
    assert row.changes["top1"].verdict == verdict
    assert compared(new, old).changes["top1"].verdict == verdict.replace("worse", "better")


def test_without_the_same_photos_top1_is_judged_by_intervals() -> None:
    def compared(old: Any, new: Any, **options: Any) -> ComparedRow:
        cells = [logits_cell(int(20 * value), interval=interval)[0] for value, interval in (old, new)]
        others = {"settings": replace(SETTINGS, photos="others"), "labels": [0] * 20, **options}
        (row,) = compare_with_earlier(
            stored_results(cells[1], labels=[0] * 20), stored_results(cells[0], name="old", **others)
        ).rows
        return row

    apart, touching = (0.5, (0.3, 0.6)), (0.5, (0.3, 0.8))
    high, above = (1.0, (0.8, 1.0)), (0.5, (0.3, 0.799))
    assert compared(high, apart).changes["top1"].verdict == "worse"
    assert compared(apart, high).changes["top1"].verdict == "better"
    assert compared(high, above).changes["top1"].verdict == "worse"
    assert compared(high, touching).changes["top1"].verdict == ""
    assert compared(touching, high).changes["top1"].verdict == ""
    assert compared(high, (0.5, None)).changes["top1"].verdict == ""
    assert compared((0.5, None), high).changes["top1"].verdict == ""
    assert compared((0.5, (0.6, 0.7)), (0.5, (0.8, 0.9))).changes["top1"].verdict == ""  # equal values
    row = compared(high, apart)
    assert (row.same_photos, row.mcnemar_p) == (False, None)
    for options in ({"settings": None}, {"settings": SETTINGS, "labels": [1] * 20}):
        assert not compared(high, apart, **options).same_photos
    assert compared(high, apart, settings=SETTINGS).same_photos


def test_mcnemars_test_needs_all_logits() -> None:
    full, fewer = logits_cell(20)[0], logits_cell(12, photos=19)[0]
    labels = [0] * 20
    for old, new in (
        (full, fewer),
        (fewer, full),
        (full, stored_cell({"top1": 0.5})),
        (stored_cell({"top1": 1}), full),
    ):
        row = compare_with_earlier(
            stored_results(new, labels=labels), stored_results(old, name="old", labels=labels)
        ).rows[0]
        assert row.mcnemar_p is None


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"attack": ["pgd"]}, {"attack": ["pgd"]}, True),
        ({"attack": ["pgd"]}, {"attack": ["fgsm"]}, False),
        ({}, {}, False),
        ({}, {"attack": ["pgd"]}, False),
        ({"attack": ["pgd"]}, {"attack": ["pgd"], "versions": {}}, True),  # from before versions were recorded
        ({"attack": ["square"]}, {"attack": ["square"], "versions": {"square": 2}}, False),
        ({"attack": ["square"], "versions": {"square": 2}}, {"attack": ["square"], "versions": {"square": 2}}, True),
        ({"attack": ["square"], "versions": {"square": 2}}, {"attack": ["square"], "versions": {"square": 3}}, False),
    ],
)
def test_attacks_are_the_same_if_asked_alike(old: Any, new: Any, same: bool) -> None:
    def row(**changes: Any) -> ComparedRow:
        cell = stored_cell({"top1": 1.0})
        return compare_with_earlier(
            stored_results(cell, settings=replace(SETTINGS, attacks=new)),
            stored_results(cell, name="old", settings=replace(SETTINGS, attacks=old, **changes)),
        ).rows[0]

    assert row().same_attacks is same
    assert not row(photos="others").same_attacks
    assert not row(attacked_with={"set": "x"}).same_attacks


def test_attacks_without_settings_are_not_the_same() -> None:
    cell, attacked = stored_cell({"top1": 1.0}), replace(SETTINGS, attacks={"attack": ["pgd"]})
    for old, new in ((None, attacked), (attacked, None)):
        row = compare_with_earlier(
            stored_results(cell, settings=new), stored_results(cell, name="old", settings=old)
        ).rows[0]
        assert not row.same_attacks


def test_a_comparison_lists_what_only_one_benchmark_has() -> None:
    def one(artifact: str, **options: Any) -> StoredCell:
        return stored_cell({"top1": 1.0}, artifact=artifact, **options)

    desk = replace(PI, cpu="i7")
    new = stored_results(one("b", environment=desk), one("c"), one("d", environment=desk))
    comparison = compare_with_earlier(new, stored_results(one("a"), one("b"), one("d"), name="old"))
    assert [row.name for row in comparison.rows] == ["b on litert:cpu:2", "d on litert:cpu:2"]
    assert comparison.only_old == (("a", "litert:cpu:2"),)
    assert comparison.only_new == (("c", "litert:cpu:2"),)
    assert comparison.environments == ("measured on another machine: CPU Cortex-A76 → i7",)
    assert comparison.of("b", "litert:cpu:2") is comparison.rows[0]
    assert comparison.of("b", "litert:cpu:1") is None
    assert comparison.of("a", "litert:cpu:2") is None
    assert compare_with_earlier(stored_results(one("a")), stored_results(one("a"))).environments == ()


def test_the_order_of_metrics_is_that_of_tables() -> None:
    values = dict.fromkeys((*COMPARED_METRICS[::-1], "attack_time"), 1.0)
    values.pop("robust_accuracy")
    row = compare_cells(stored_cell(values), stored_cell(values))
    assert tuple(row.changes) == COMPARED_METRICS[:-1]


@pytest.mark.parametrize("count", [4, 5])
def test_benchmarks_without_a_common_cell_are_an_error_that_names_some(count: int) -> None:
    def many(letter: str) -> list[StoredCell]:
        return [stored_cell({"top1": 1.0}, artifact=f"{letter}{index}") for index in range(count)]

    with pytest.raises(MeasurementError) as error:
        compare_with_earlier(stored_results(*many("n")), stored_results(*many("o"), name="old"))
    listed = ", ".join(f"o{index} on litert:cpu:2" for index in range(4)) + " and more" * (count > 4)
    assert f"'old.jsonl' has no artifact and target in common with 'new.jsonl': it measured {listed};" in str(
        error.value
    )


def test_a_comparison_is_json() -> None:
    record = compare_with_earlier(
        stored_results(latency_cell([8.0, 8.0], NEW)), stored_results(latency_cell([4.0, 4.0]))
    ).to_dict()
    assert record["rows"][0]["verdicts"] == ["slower"]
    assert record["rows"][0]["artifact"] == "int8.tflite"
    assert record["rows"][0]["changes"]["latency_p50"]["unit"] == "ms"
    assert (record["only_old"], record["only_new"], record["environments"]) == ([], [], [])


def find(cell: StoredCell, metric: str) -> Measurement:
    found = cell.find(metric)
    assert found is not None
    return found


def test_a_throughput_is_that_of_the_best_batch() -> None:
    assert find(timed_cell([4.0, 4.0]), "throughput").params == {"batch": 8}

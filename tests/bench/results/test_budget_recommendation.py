"""Which file a budget leaves to ship, what it rules out, and what relaxing a limit would gain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from report_sample import read_sample, write_sample
from stored_sample import stored_cell
from timed_files import SLOW_ROUNDS, file, of

from tledge.bench.report.html import write_html
from tledge.bench.report.markdown import markdown
from tledge.bench.report.recommendation_card import RecommendationCard, recommendation_card
from tledge.bench.results.budget_result import BudgetResult
from tledge.bench.results.recommendation import ALONE, FLAGGED, NONE_MEETS_BUDGET, NOT_TIMED, ONE_ROUND, Recommendation
from tledge.bench.results.settings import BenchSettings
from tledge.bench.results.stored_results import StoredCell
from tledge.core.errors import MeasurementError

pytestmark = pytest.mark.unit

INT8 = file("int8.tflite", wrong=20, size=2_700_000.0)
FLOAT = file("float32.onnx", SLOW_ROUNDS, size=8_900_000.0, target="onnxruntime:cpu:2")
"""p90 is 1.2 ms (1.188–1.212), top-1 0.900; and 2.4 ms (2.388–2.412), top-1 1.000, which is significantly better."""

KERAS = file("model.keras", (9.0, 9.0, 9.1), target="keras:cpu")


def found(*cells: StoredCell, budget: Sequence[str]) -> tuple[Recommendation, BudgetResult]:
    recommendation = of(*cells, budget=budget).recommendation
    assert recommendation.budget is not None
    return recommendation, recommendation.budget


def card(*cells: StoredCell, budget: Sequence[str]) -> RecommendationCard:
    data = of(*cells, budget=budget)
    return recommendation_card(data, data.recommendation)


def chosen(*cells: StoredCell, budget: Sequence[str]) -> str:
    recommendation, _ = found(*cells, budget=budget)
    return recommendation.undecided if recommendation.chosen is None else recommendation.chosen.artifact


@pytest.mark.parametrize(
    ("budget", "artifact"),
    [
        (["p90_ms <= 2.412"], "float32.onnx"),
        (["p90_ms <= 2.38"], "int8.tflite"),
        (["p90_ms <= 2.4"], "int8.tflite"),  # not decided for float32.onnx, which comes after those that meet it
        (["size_mb <= 5"], "int8.tflite"),
        (["top1 >= 0.95"], "float32.onnx"),
        (["p90_ms <= 1.2"], "int8.tflite"),  # not decided, and the other file misses it
        (["p90_ms <= 1.18"], NONE_MEETS_BUDGET),
        (["p90_ms <= 2", "top1 >= 0.95"], NONE_MEETS_BUDGET),
    ],
)
def test_the_rule_is_applied_to_the_files_that_meet_the_budget(budget: Sequence[str], artifact: str) -> None:
    assert chosen(INT8, FLOAT, budget=budget) == artifact


def test_without_a_budget_nothing_is_said_about_one() -> None:
    recommendation = of(INT8, FLOAT).recommendation
    assert recommendation.budget is None
    assert recommendation.to_dict()["budget"] is None


def test_the_card_says_what_is_met_ruled_out_and_gained() -> None:
    shown = card(INT8, FLOAT, budget=["p90_ms <= 2", "size_mb <= 10"])
    assert shown.title == "Ship int8.tflite on litert:cpu:2"
    assert shown.why == (
        "It meets p90_ms <= 2 and size_mb <= 10.",
        "p90_ms <= 2 rules out float32.onnx (2.40 ms).",
        "With p90_ms <= 2.5, float32.onnx on onnxruntime:cpu:2 would be preferred: top-1 1.000 instead of 0.900.",
    )
    assert shown.rule.startswith("Chosen by this rule, among the files that meet the budget: of the files")


def test_relaxing_accuracy_gains_speed_and_size() -> None:
    shown = card(INT8, FLOAT, budget=["top1 >= 0.95"])
    assert shown.title == "Ship float32.onnx on onnxruntime:cpu:2"
    assert shown.why[-2:] == (
        "top1 >= 0.95 rules out int8.tflite (0.900).",
        "With top1 >= 0.85, int8.tflite on litert:cpu:2 would meet the budget, too: p90 1.20 ms instead of 2.40 ms and"
        " 2.7 MB instead of 8.9 MB.",
    )


def test_limits_that_gain_nothing_alone_are_named() -> None:
    worse = file("dynamic.tflite", SLOW_ROUNDS, size=9_900_000.0, wrong=30)
    shown = card(INT8, worse, budget=["size_mb <= 5", "top1 >= 0.5"])
    assert shown.why[-1] == "Relaxing size_mb <= 5 alone gains nothing.", "all files meet the other limit"


def test_a_file_that_is_not_decided_is_recommended_with_a_doubt() -> None:
    shown = card(INT8, FLOAT, budget=["p90_ms <= 1.2", "size_mb <= 5"])
    assert shown.title == "Ship int8.tflite on litert:cpu:2 (budget not decided)"
    assert shown.why[:2] == (
        "It meets size_mb <= 5.",
        "It is not decided whether it meets p90_ms <= 1.2: 1.20 ms, 95%: 1.19–1.21; more rounds narrow the interval.",
    )
    assert "among the files that may meet the budget" in shown.rule


def test_files_that_are_not_decided_are_named_beside_one_that_meets_the_budget() -> None:
    shown = card(INT8, FLOAT, file("a.tflite", SLOW_ROUNDS, flags=("noisy",)), budget=["p90_ms <= 2.4"])
    assert "p90_ms <= 2.4 is not decided for float32.onnx (2.40 ms): the limit is within the 95% interval." in shown.why
    assert "p90_ms <= 2.4 is not decided for a.tflite (2.40 ms): flagged as noisy." in shown.why


def test_the_nearest_miss_is_named_with_its_distance() -> None:
    shown = card(INT8, FLOAT, budget=["p90_ms <= 1", "top1 >= 0.85"])
    assert shown.title == "No file meets the budget"
    assert (shown.figures, shown.rule) == ((), "")
    assert shown.why == (
        "No file meets every limit of the budget: p90_ms <= 1 and top1 >= 0.85.",
        "The nearest miss is int8.tflite on litert:cpu:2, which misses p90_ms <= 1 by 0.200 ms (20%), with 1.20 ms.",
        "p90_ms <= 1 rules out int8.tflite (1.20 ms) and float32.onnx (2.40 ms).",
        "With p90_ms <= 1.3, int8.tflite on litert:cpu:2 would meet the budget.",
    )


def test_the_nearest_miss_fails_the_fewest_limits() -> None:
    _, budget = found(INT8, FLOAT, budget=["p90_ms <= 1.1", "size_mb <= 2.6", "top1 >= 0.99"])
    assert budget.nearest is not None
    assert budget.nearest.row.artifact == "int8.tflite", "three limits, but float32.onnx fails two"


def test_where_no_single_limit_is_enough_the_card_says_so() -> None:
    shown = card(INT8, FLOAT, budget=["p90_ms <= 1", "size_mb <= 2"])
    assert shown.why[-1] == "Relaxing p90_ms <= 1 or size_mb <= 2 alone is not enough."


def test_a_file_with_many_targets_is_ruled_out_once() -> None:
    others = [replace(FLOAT, target=f"onnxruntime:cpu:{threads}") for threads in (1, 4)]
    others = [
        replace(cell, measurements=tuple(replace(item, target=cell.target) for item in cell.measurements))
        for cell in others
    ]
    slower = file("float32.onnx", (3.0, 3.01, 2.99), size=8_900_000.0, target="onnxruntime:cpu:3")
    shown = card(INT8, FLOAT, slower, *others, budget=["p90_ms <= 2"])
    assert "p90_ms <= 2 rules out float32.onnx (2.40 ms or more)." in shown.why
    shown = card(INT8, FLOAT, slower, budget=["p90_ms <= 3"])
    assert "p90_ms <= 3 rules out float32.onnx on onnxruntime:cpu:3 (3.60 ms)." in shown.why


def test_reasons_not_to_recommend_stay_as_they_are() -> None:
    one = [file(name, (1.0,)) for name in ("a.tflite", "b.tflite")]
    assert chosen(*one, budget=["p90_ms <= 2"]) == ONE_ROUND
    assert chosen(*one, budget=["size_mb <= 2"]) == ONE_ROUND
    shown = card(*one, budget=["p90_ms <= 2"])
    assert shown.why[1:] == (
        "p90_ms <= 2 is not decided for a.tflite (1.20 ms) and b.tflite (1.20 ms): measured in a single round.",
    )
    noisy = [file(name, flags=("noisy",)) for name in ("a.tflite", "b.tflite")]
    assert chosen(*noisy, budget=["p90_ms <= 2"]) == FLAGGED
    assert chosen(INT8, budget=["p90_ms <= 2"]) == ALONE


@pytest.mark.parametrize(
    ("budget", "title", "sentences"),
    [
        (["p90_ms <= 2", "size_mb <= 9"], " meets the budget", ["It meets p90_ms <= 2 and size_mb <= 9."]),
        (
            ["p90_ms <= 1", "size_mb <= 9"],
            " misses the budget",
            ["It meets size_mb <= 9.", "It misses p90_ms <= 1 by 0.200 ms (20%), with 1.20 ms."],
        ),
        (
            ["p90_ms <= 1.2"],
            " (budget not decided)",
            [
                "It is not decided whether it meets p90_ms <= 1.2: 1.20 ms, 95%: 1.19–1.21; more rounds narrow the"
                " interval."
            ],
        ),
    ],
)
def test_a_budget_is_answered_for_a_single_file(budget: Sequence[str], title: str, sentences: Sequence[str]) -> None:
    shown = card(KERAS, INT8, budget=budget)
    assert shown.title == f"int8.tflite on litert:cpu:2{title}"
    assert shown.why == ("Only one file was measured, so there is no other to compare it with.", *sentences)
    assert [item.heading for item in shown.figures] == ["Latency p50 / p90", "Size", "Test top-1"]


def test_of_a_single_file_the_card_shows_the_target_that_the_rule_prefers() -> None:
    slow = file("int8.tflite", SLOW_ROUNDS, wrong=20, size=2_700_000.0, target="litert:cpu:1")
    for cells in ((INT8, slow, KERAS), (slow, INT8, KERAS)):
        data = of(*cells)
        assert recommendation_card(data, data.recommendation).title == "int8.tflite on litert:cpu:2"
        assert data.recommendation.to_dict()["alone"] == {"artifact": "int8.tflite", "target": "litert:cpu:2"}
    shown = card(slow, INT8, budget=["p90_ms <= 1"])
    assert shown.title == "int8.tflite on litert:cpu:2 misses the budget", "the nearest miss"
    assert "p90_ms <= 1 rules out int8.tflite on litert:cpu:1 (2.40 ms)." in shown.why


def test_a_single_file_that_was_not_timed_is_judged_by_what_was_measured() -> None:
    bare = replace(INT8, measurements=tuple(i for i in INT8.measurements if not i.metric.startswith("latency")))
    assert card(bare, budget=["size_mb <= 5"]).title == "int8.tflite on litert:cpu:2 meets the budget"
    assert of(bare).recommendation.undecided == NOT_TIMED


def test_a_noisy_file_beside_files_that_miss_a_limit_is_not_blamed() -> None:
    shown = card(FLOAT, file("a.tflite", flags=("noisy",)), budget=["p90_ms <= 1"])
    assert shown.title == "No recommendation"
    assert shown.why[0] == "No file is shown to meet every limit of the budget: p90_ms <= 1."
    assert "p90_ms <= 1 is not decided for a.tflite (1.20 ms): flagged as noisy." in shown.why


def test_flags_are_those_of_the_files_that_meet_the_budget() -> None:
    shown = card(FLOAT, file("a.tflite", flags=("noisy",)), budget=["size_mb <= 5"])
    assert shown.why[0].startswith("All latencies of files that meet the budget are flagged (noisy)")


def test_a_metric_that_no_file_has_decides_nothing() -> None:
    shown = card(INT8, FLOAT, budget=["energy_mj <= 4"])
    assert shown.title == "Ship float32.onnx on onnxruntime:cpu:2 (budget not decided)"
    assert shown.why[0] == "It is not known whether it meets energy_mj <= 4, which was not measured."
    assert "energy_mj <= 4 is not decided for int8.tflite: it was not measured." in shown.why
    assert not any("Relaxing" in sentence or sentence.startswith("With ") for sentence in shown.why)


def test_the_keras_model_is_not_judged() -> None:
    keras = replace(stored_cell({"file_size": 9e9}), artifact="model.keras", target="keras:cpu")
    keras = replace(
        keras,
        measurements=tuple(replace(i, artifact="model.keras", target="keras:cpu") for i in keras.measurements),
    )
    _, budget = found(keras, INT8, FLOAT, budget=["size_mb <= 10"])
    assert [item.row.artifact for item in budget.rows] == ["int8.tflite", "float32.onnx"]
    assert budget.relaxed == (), "every file meets it"


def test_a_budget_is_json() -> None:
    recommendation, _ = found(INT8, FLOAT, budget=["p90_ms <= 2", "size_mb <= 10"])
    shown = json.loads(json.dumps(recommendation.to_dict()))["budget"]
    assert shown["limits"] == ["p90_ms <= 2", "size_mb <= 10"]
    assert [(item["artifact"], item["outcome"]) for item in shown["files"]] == [
        ("int8.tflite", "met"),
        ("float32.onnx", "missed"),
    ]
    missed, met = shown["files"][1]["limits"]
    assert (missed["outcome"], missed["value"], missed["reason"]) == ("missed", pytest.approx(2.4), None)
    assert (met["value"], met["interval"]) == (pytest.approx(8.9), None)
    assert shown["nearest"] is None
    assert shown["relaxed"] == [
        {
            "limit": "p90_ms <= 2",
            "to": "p90_ms <= 2.5",
            "artifact": "float32.onnx",
            "target": "onnxruntime:cpu:2",
            "preferred": True,
            "gains": ["top1"],
            "known": True,
        }
    ]


def test_a_budget_is_recorded_and_every_report_shows_it(tmp_path: Path) -> None:
    folder = write_sample(tmp_path)
    settings = replace(BenchSettings.load(tmp_path), budget=("p90_ms <= 4.2", "size_mb <= 5"))
    settings.save(tmp_path)
    data = read_sample(folder, title="photos")
    assert [item.text for item in data.budget] == ["p90_ms <= 4.2", "size_mb <= 5"]
    write_html(data, tmp_path / "report.html")
    page, text = (tmp_path / "report.html").read_text(), markdown(data)
    for shown in (page.replace("&lt;", "<").replace("&#34;", '"'), text.replace("\\", "").replace("&lt;", "<")):
        assert "It meets p90_ms <= 4.2 and size_mb <= 5." in shown
        assert "size_mb <= 5 rules out float32.tflite (8.90 MB) and float32.onnx (8.87 MB)." in shown
        gain = (
            "With size_mb <= 8.9, float32.onnx on onnxruntime:cuda would be preferred: p90 1.20 ms instead of 3.25 ms."
        )
        assert gain in shown


def test_a_recorded_budget_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    write_sample(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**record, "budget": ["speed <= 3"]}))
    with pytest.raises(MeasurementError, match="unknown metric 'speed'"):
        BenchSettings.load(tmp_path)

"""What tables show of a cell, and which number of a column is marked as the best."""

import json
from dataclasses import replace

import pytest
from results_sample import attacked, measurement

from tledge.bench.results.columns import REPORT_COLUMNS, TERMINAL_COLUMNS, Column, shown_columns
from tledge.bench.results.flags import UNTIMELY
from tledge.bench.results.rows import RobustPoint, Row, summarize
from tledge.core.metric_catalogue import METRICS
from tledge.core.significance import FASTER, SLOWER

pytestmark = pytest.mark.unit


def row(*measurements: object) -> Row:
    (found,) = summarize(measurements)  # type: ignore[arg-type]
    return found


def column(name: str) -> Column:
    return Column(name, METRICS[name])


def test_a_row_has_every_metric_of_its_cell() -> None:
    found = row(
        measurement("file_size", 2_700_000.0, params={"provider": "XNNPACK"}),
        measurement("latency_p50", 3.25, scenario="single-stream", flags=("noisy",)),
        measurement("top1", 0.9, interval=(0.8, 0.95), flags=("wrong_cpu", "zero_gradients")),
    )
    assert (found.name, found.provider) == ("int8.tflite on litert:cpu:2", "XNNPACK")
    assert (found.value("file_size"), found.value("latency_p50")) == (2_700_000, 3.25)
    assert (found.value("top1"), found.interval("top1")) == (0.9, (0.8, 0.95))
    assert found.flags == ("noisy", "wrong_cpu"), "sorted; details of gradient masking are left to the report"
    assert (found.value("latency_p90"), found.value("throughput"), found.baseline) == (None, None, "")
    assert found.to_dict()["throughput_batch"] is None
    assert (found.robust, found.value("corrupted_accuracy"), found.interval("latency_ratio")) == ((), None, None)


def test_cells_keep_their_order() -> None:
    names = ["b.onnx", "a.onnx", "b.onnx", "c.onnx"]
    rows = summarize(measurement("file_size", index, artifact=name) for index, name in enumerate(names))
    assert [item.artifact for item in rows] == ["b.onnx", "a.onnx", "c.onnx"]


def test_throughput_is_that_of_the_best_batch_size() -> None:
    found = row(
        *(measurement("throughput", value, params={"batch": size}) for size, value in ((1, 90), (8, 120), (64, 70)))
    )
    assert (found.value("throughput"), found.to_dict()["throughput_batch"]) == (120, 8)
    assert column("throughput").detail(found) == "batch 8"


def test_corrupted_accuracy_is_the_mean_without_the_original_photos() -> None:
    found = row(
        *(measurement("corrupted_accuracy", v, params={"severity": s}) for s, v in ((0, 1.0), (1, 0.8), (5, 0.4)))
    )
    assert found.value("corrupted_accuracy") == pytest.approx(0.6)
    assert row(measurement("corrupted_accuracy", 1.0, params={"severity": 0})).value("corrupted_accuracy") is None


def test_robust_accuracy_is_under_the_worst_of_all_attacks() -> None:
    found = row(
        attacked(0.1, eps=4.0, interval=(0.05, 0.2)),
        attacked(0.9, eps=0.0, attack="none"),
        attacked(0.7, eps=1.0, attack="pgd"),
        attacked(0.5, eps=1.0, interval=(0.4, 0.6)),
        attacked(0.3, eps=1.0, norm="l2"),
    )
    assert found.robust == (
        RobustPoint(0.0, 0.9, 0.0, 1.0),
        RobustPoint(1.0, 0.5, 0.4, 0.6),
        RobustPoint(4.0, 0.1, 0.05, 0.2),
    )
    assert found.robust_norm == "linf"
    robust = column("robust_accuracy")
    assert robust.value(found) == 0.5, "at the smallest eps"
    assert robust.detail(found) == "0.400–0.600\neps 1/255"
    assert robust.value(row(attacked(0.9, eps=0.0, attack="none"))) is None, "nothing was attacked"


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((0.5, 0.979), FASTER), ((0.5, 0.981), ""), ((1.021, 1.5), SLOWER), ((1.019, 1.5), ""), (None, "")],
)
def test_a_verdict_needs_the_interval_beyond_the_margin(interval: tuple[float, float] | None, verdict: str) -> None:
    found = row(measurement("latency_ratio", 1.0, interval=interval, scenario="comparison", params={"against": "f"}))
    assert found.verdict == verdict
    assert found.baseline == "f"
    for flag in UNTIMELY:
        assert replace(found, flags=(flag,)).verdict == ""
    assert replace(found, flags=("wrong_cpu", "random_input", "throttled_since_boot")).verdict == verdict


def test_only_measured_columns_are_shown() -> None:
    rows = [
        row(measurement("latency_p50", 1.0)),
        row(
            measurement("top1", 0.9, artifact="b"),
        ),
    ]
    assert [item.name for item in shown_columns(REPORT_COLUMNS, rows)] == ["top1", "latency_p50"]
    assert column("file_size").value(row(measurement("file_size", 0.0))) is None, "a size of 0 is not known"


def test_details_stand_beneath_a_number() -> None:
    ratio = measurement(
        "latency_ratio", 0.5, interval=(0.45, 0.55), scenario="comparison", params={"against": "f.onnx"}
    )
    assert column("latency_ratio").detail(row(ratio)) == "1.82–2.22\nthan f.onnx"
    assert column("latency_ratio").detail(row(replace(ratio, interval=None))) == "than f.onnx"
    bits = row(measurement("parity_bits", 0.5), measurement("parity_difference", 0.25))
    assert column("parity_bits").detail(bits) == "± 0.25"
    assert column("latency_p50").detail(row(measurement("latency_p50", 1.0, interval=(0.9, 1.1)))) == ""
    assert column("top1").detail(bits) == ""


def test_headings_say_the_unit_unless_the_numbers_do() -> None:
    headings = {item.name: f"{item.metric.heading} {item.unit}".strip() for item in REPORT_COLUMNS}
    assert headings["latency_p50"] == "p50 ms"
    assert headings["throughput"] == "Throughput images/s"
    assert headings["file_size"] == "Size"
    assert headings["top1"] == "Test top-1"
    assert column("file_size").text(2_700_000) == "2.7 MB"
    assert [column("latency_ratio").text(ratio) for ratio in (0.5, 1.25)] == ["2.00× faster", "1.25× slower"]
    assert column("mean_corruption_error").text(0.5) == "0.50×"


def test_json_has_every_column() -> None:
    fields = json.loads(json.dumps(row(measurement("latency_p50", 1.5), attacked(0.5, eps=1.0)).to_dict()))
    assert fields["p50"] == 1.5
    assert fields["p99"] is None
    assert fields["robust"] == [[1.0, 0.5, 0.0, 1.0]]
    keys = {item.metric.key or item.name for item in (*REPORT_COLUMNS, *TERMINAL_COLUMNS)} - {"robust_accuracy"}
    assert keys <= set(fields)
    assert {"top1_interval", "ratio_interval", "corruption_error_interval"} <= set(fields)
    assert set(fields) - keys == {
        *(
            "artifact",
            "target",
            "provider",
            "flags",
            "baseline",
            "throughput_batch",
            "top1_photos",
            "robust",
            "robust_norm",
            "best",
        ),
        *("top1_interval", "ratio_interval", "corruption_error_interval"),
    }

"""Conclusions, from measurements whose right sentences are known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_sample import read_sample, write_sample
from results_sample import attacked, cell_result, measurement

from tledge.bench.report.agreement import agreements, confusion
from tledge.bench.report.conclusions import conclude
from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.core.measurement import Measurement


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> StoredResults:
    """A benchmark without measurements."""
    found = read_sample(write_sample(tmp_path_factory.mktemp("bench")), title="made")
    return replace(found, measurements=(), cells=())


def pair(
    *, ratio: tuple[float, float] | None = (0.5, 0.6), p: float = 0.5, top1: float = 0.9, flags: tuple[str, ...] = ()
) -> list[Measurement]:
    """float32.tflite, and int8.tflite compared with it."""
    base = {"against": "float32.tflite"}
    return [
        measurement("file_size", 1000.0, artifact="float32.tflite"),
        measurement("top1", 0.9, artifact="float32.tflite"),
        measurement("file_size", 250.0, flags=flags),
        measurement("top1", top1),
        measurement("latency_ratio", 0.55, interval=ratio, scenario="comparison", params=base),
        measurement("mcnemar", p, scenario="comparison", params=base),
    ]


def said(empty: StoredResults, measurements: list[Measurement]) -> list[str]:
    return conclude(replace(empty, measurements=tuple(measurements)))


def test_the_fastest_comes_first(empty: StoredResults) -> None:
    assert said(empty, pair()) == [
        "int8.tflite is 1.82× faster (1.67–2.00) than float32.tflite on litert:cpu:2, 0.25 of its size; accuracy is"
        " not significantly different (McNemar p = 0.50).",
        "No result is flagged.",
    ]


def test_of_two_faster_artifacts_the_faster_is_named(empty: StoredResults) -> None:
    slower = [replace(i, artifact="dynamic.tflite") for i in pair(ratio=(0.8, 0.9)) if i.artifact == "int8.tflite"]
    slower = [replace(i, value=0.85) if i.metric == "latency_ratio" else i for i in slower]
    for order in ([*pair(), *slower], [*slower, *pair()]):
        assert said(empty, order)[0].startswith("int8.tflite is 1.82× faster")


@pytest.mark.parametrize(("p", "less_accurate"), [(0.049, True), (0.05, False)])
def test_a_faster_artifact_must_not_be_significantly_worse(empty: StoredResults, p: float, less_accurate: bool) -> None:
    first, *others = said(empty, pair(p=p, top1=0.8))
    worse = f"int8.tflite is less accurate than float32.tflite: top-1 0.800 against 0.900 (McNemar p = {p:.3f})."
    assert (worse in others) == less_accurate
    if less_accurate:
        assert first == "Faster than float32.tflite, but less accurate: int8.tflite on litert:cpu:2."
    else:
        assert first.startswith("int8.tflite is 1.82× faster")


def test_a_significantly_better_artifact_is_named(empty: StoredResults) -> None:
    first, better, _ = said(empty, pair(p=0.01, top1=0.95))
    assert first.endswith("accuracy is significantly different (McNemar p = 0.010).")
    assert better == "int8.tflite is more accurate than float32.tflite: top-1 0.950 against 0.900 (McNemar p = 0.010)."


@pytest.mark.parametrize(
    ("ratio", "flags", "faster"),
    [((0.5, 0.979), (), True), ((0.5, 0.981), (), False), (None, (), False), ((0.5, 0.6), ("noisy",), False)],
)
def test_faster_needs_an_interval_and_no_flag(
    empty: StoredResults, ratio: tuple[float, float] | None, flags: tuple[str, ...], faster: bool
) -> None:
    first, *_ = said(empty, pair(ratio=ratio, flags=flags))
    if flags:
        assert first == "Latencies cannot be compared: all of them are flagged (noisy)."
    elif ratio is None:
        assert first == "No latency was compared: there are too few rounds for a test."
    else:
        assert (first == "No artifact is significantly faster than float32.tflite.") != faster


def test_what_was_not_tested_is_not_called_as_fast(empty: StoredResults) -> None:
    for flag, name in (("one_round", "one round"), ("more_threads_than_cores", "more threads than cores")):
        first, *rest = said(empty, pair(flags=(flag,)))
        assert first == f"Latencies cannot be compared: all of them are flagged ({name})."
        assert not any("faster" in sentence or "slower" in sentence for sentence in rest)
    dynamic = [
        replace(item, artifact="dynamic.tflite", flags=("one_round",))
        for item in pair()
        if item.artifact == "int8.tflite"
    ]
    first, *_ = said(empty, [*pair(ratio=(0.9, 1.1)), *dynamic])
    assert first == (
        "No artifact is significantly faster than float32.tflite; dynamic.tflite on litert:cpu:2 was not tested."
    )


def test_flags_name_their_cells(empty: StoredResults) -> None:
    assert said(empty, pair(flags=("noisy",)))[-1] == "Flagged as noisy: int8.tflite on litert:cpu:2."
    both = [replace(item, flags=("throttled",)) for item in pair()]
    assert said(empty, both) == ["Latencies cannot be compared: all of them are flagged (throttled)."], "said once"
    untimed = [item for item in both if item.metric != "latency_ratio"]
    assert said(empty, untimed) == ["Flagged as throttled: all results."]


@pytest.mark.parametrize(
    ("same_class", "same_bits", "sentence"),
    [
        (1.0, 1.0, "int8.tflite computes the same logits as on the workstation, bit for bit."),
        (1.0, 0.5, "predicts the same class as on the workstation for every photo; its logits differ by at most 0.25,"),
        (0.75, 0.5, "for 75.0% of the photos; its logits differ by at most 0.25, and are identical for 50.0% of the"),
    ],
)
def test_parity_is_named(empty: StoredResults, same_class: float, same_bits: float, sentence: str) -> None:
    values = {"parity_class": same_class, "parity_bits": same_bits, "parity_difference": 0.25}
    assert sentence in said(empty, [measurement(metric, value) for metric, value in values.items()])[0]


def test_robustness_is_that_at_the_smallest_eps(empty: StoredResults) -> None:
    def row(p: float, eps: float, mine: int, other: int) -> Measurement:
        counts = {"only_this_right": mine, "only_baseline_right": other, "against": "float32.tflite"}
        params = {"attack": "worst", "norm": "linf", "eps": eps, **counts}
        return measurement("robust_mcnemar", p, scenario="robustness", params=params)

    found = [attacked(0.5, eps=1.0), attacked(0.7, eps=1.0, artifact="float32.tflite"), attacked(0.1, eps=4.0)]
    start = "Robust accuracy under the worst of all attacks at L∞ eps 1/255 is 0.50 to 0.70 (100 photos)"
    assert said(empty, found)[0] == f"{start}."
    assert said(empty, [*found, row(0.03, 1.0, 2, 8), row(0.5, 4.0, 1, 1)])[0] == (
        f"{start}; quantization does not change it significantly."
    ), "0.03 is not below 0.05 / 2: two tests are judged together"
    assert said(empty, [*found, row(0.02, 1.0, 2, 8), row(0.5, 4.0, 1, 1)])[0] == (
        f"{start}; int8.tflite is less robust than float32.tflite."
    )
    assert said(empty, [*found, row(0.5, 1.0, 2, 8), row(0.001, 4.0, 9, 0)])[0] == (
        f"{start}; quantization does not change it significantly."
    ), "significant at another eps"
    keras = [attacked(0.0, eps=0.5, target="keras:cpu", artifact="model.keras"), *found]
    assert said(empty, keras)[0] == f"{start}.", "the Keras model is not what ships"


def test_agreement_counts_what_changed_for_better_and_worse(empty: StoredResults) -> None:
    def logits(classes: list[int]) -> Any:
        return np.eye(3, dtype=np.float32)[classes]

    settings = replace(empty.known_settings, class_names=("a", "b", "c"), artifacts={"k": "1", "x": "0" * 64})
    reference = cell_result([[1.0]], logits=logits([0, 0, 1, 1, 2]), artifact_sha256="1")
    raw = cell_result([[1.0]], logits=logits([0, 1, 0, 2, 0]))
    item = measurement("top1", 0.5, artifact="x")
    cells = (
        StoredCell(artifact="k", target="t", measurements=(item,), raw=reference, environment=None),
        StoredCell(artifact="x", target="t", measurements=(item,), raw=raw, environment=None),
    )
    data = replace(empty, settings=settings, cells=cells, labels=(0, 1, 1, 0, 1), reference=reference)
    (found,) = agreements(data)
    assert (found.artifact, found.images, found.changed, found.now_right, found.now_wrong) == ("x", 5, 4, 1, 1)
    assert sum(change.count for change in found.changes) == 4
    assert agreements(replace(data, labels=(0, 1))) == [], "other photos"
    assert agreements(replace(data, labels=())) == []


def test_a_confusion_matrix_has_true_classes_in_rows() -> None:
    counts = confusion(np.array([0, 0, 1, 1]), np.array([1, 1, 1, 0]), 3)
    assert counts.tolist() == [[0, 2, 0], [1, 1, 0], [0, 0, 0]]


def test_the_folder_of_a_report_is_that_of_its_results(empty: StoredResults) -> None:
    assert empty.folder.path == Path(empty.path).parent

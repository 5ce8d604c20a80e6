"""Mean corruption errors from hits that were made by hand, and the names of corruptions."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import TINY_SIDECAR

from tledge.bench.results.bench_options import BenchOptions
from tledge.bench.results.cells import Cell
from tledge.bench.results.workload import Model
from tledge.bench.robustness.corrupted_accuracy import (
    GROUPS,
    _CorruptedHits,
    _mean_corruption_error,
    _rates,
    bootstrap,
    check_photos,
    parse_corruptions,
)
from tledge.bench.robustness.robustness_cells import RobustnessCell, find_float32, find_robustness_cells
from tledge.core.artifact import Artifact
from tledge.core.errors import OptionError, UnknownNameError
from tledge.edge_runtime.target import Target

pytestmark = pytest.mark.unit


def cell(name: str, recipe: str = "int8", target: str = "litert:cpu:1", size: int = 16) -> RobustnessCell:
    sidecar = replace(TINY_SIDECAR, recipe=recipe, input_size=(size, size))
    result: Any = SimpleNamespace(
        artifact_sha256=name,
        provider="XNNPACK",
        environment={"machine": "x86_64", "cpu_features": ()},
        environment_id="pi",
    )
    model = Model(Path(name), name, Artifact(Path(name), Path(name).suffix[1:], sidecar))
    return RobustnessCell(Cell(model, Target.parse(target)), result, sidecar)


def hits(item: RobustnessCell, **rights: list[int]) -> _CorruptedHits:
    """Of 10 photos, how many of the first are right at severity 1 to 5, by corruption."""
    by_set = {
        (name, severity + 1): np.arange(10) < right
        for name, row in rights.items()
        for severity, right in enumerate(row)
    }
    return _CorruptedHits(item, by_set)


def test_names_and_groups_are_parsed() -> None:
    assert parse_corruptions(["edge", "fog"]) == ("fog", *GROUPS["edge"])
    assert parse_corruptions(["all"]) == GROUPS["all"]
    assert len(GROUPS["all"]) == 21
    with pytest.raises(UnknownNameError, match="imagenet-c"):
        parse_corruptions(["imagenet"])


def test_the_interval_of_a_mean_corruption_error_covers_it() -> None:
    """Of an artifact that errs on a half more of the photos, in 9 of 10 draws of them."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hard = rng.uniform(size=(1, 1, 200))  # of a photo, the same under all corruptions
        shifts = rng.uniform(-0.05, 0.05, (2, 5, 200))
        low, high = bootstrap(hard + shifts < 0.3, hard + shifts < 0.2) or (0.0, 0.0)
        assert low < high
        covered.append(low <= 1.5 <= high)
    assert np.mean(covered) >= 0.9


def test_errors_are_relative_to_those_of_the_float_file() -> None:
    int8 = hits(cell("int8.tflite"), fog=[9, 8, 7, 6, 5], snow=[9, 9, 9, 9, 9], frost=[9, 9, 9, 9, 9])
    base = hits(cell("float32.tflite", "float32"), fog=[10, 9, 9, 8, 9], snow=[10] * 5, frost=[8, 9, 9, 9, 5])
    (row,) = _mean_corruption_error(int8, base, ["fog", "snow", "frost"])
    assert row.value == pytest.approx((15 / 5 + 5 / 10) / 2)
    assert (row.metric, row.scenario, row.n, row.artifact) == ("mean_corruption_error", "robustness", 10, "int8.tflite")
    assert row.params["by_corruption"] == pytest.approx({"fog": 3, "frost": 0.5})
    assert (row.params["corruptions"], row.params["undefined"]) == (["fog", "frost"], ["snow"])
    assert row.params["against"] == "float32.tflite"
    assert row.interval == bootstrap(int8.errors(["fog", "snow", "frost"]), base.errors(["fog", "snow", "frost"]))
    assert _mean_corruption_error(int8, hits(cell("a.tflite", "float32"), snow=[10] * 5), ["snow"]) == []


def test_errors_are_the_photos_that_are_not_right() -> None:
    errors = hits(cell("int8.tflite"), fog=[9, 8, 7, 6, 5], snow=[10] * 5).errors(["snow", "fog"])
    assert errors.shape == (2, 5, 10)
    assert errors.sum(axis=2).tolist() == [[0] * 5, [1, 2, 3, 4, 5]]
    rows = _rates(hits(cell("int8.tflite"), fog=[9]))
    assert [(row.metric, row.value, row.n, row.flags) for row in rows] == [("corrupted_accuracy", 0.9, 10, ())]
    assert rows[0].params == {"provider": "XNNPACK", "corruption": "fog", "severity": 1, "seed": 0}


def test_an_interval_is_of_ratios_that_exist() -> None:
    wrong = np.ones((1, 5, 10), np.bool_)
    assert bootstrap(wrong, wrong) == (1, 1)
    half = wrong.copy()
    half[:, :, 5:] = False
    low, high = bootstrap(half, wrong) or (0, 0)
    assert low < 0.5 < high
    assert bootstrap(wrong, ~wrong) is None
    one = ~wrong
    one[0, 0, 0] = True
    assert bootstrap(one, one) == (1, 1), "draws without the one photo have no ratio"
    both = np.concatenate([one, wrong])
    assert bootstrap(np.concatenate([one, wrong]), both) == (1, 1)
    assert bootstrap(np.concatenate([~wrong, wrong]), np.concatenate([wrong, wrong])) == (0.5, 0.5)


def test_artifacts_stand_on_their_first_target() -> None:
    items = [
        cell("model.keras", target="keras:cpu"),
        cell("int8.tflite", target="litert:cpu:2"),
        cell("int8.tflite", target="litert:cpu:1"),
        cell("int8.onnx", target="onnxruntime:cpu:1"),
    ]
    bare = Cell(Model(Path("bare.tflite"), "bare.tflite", None), Target.parse("litert:cpu:1"))
    results: Any = {**{item.cell: item.result for item in items}, bare: items[0].result}
    found = find_robustness_cells(results)
    assert [(item.name, item.target) for item in found] == [
        ("int8.tflite", "litert:cpu:2"),
        ("int8.onnx", "onnxruntime:cpu:1"),
    ]


def test_the_float32_file_of_the_same_input_and_format_comes_first() -> None:
    int8 = cell("int8.tflite")
    other_size, onnx, tflite = (
        cell("large.tflite", "float32", size=32),
        cell("float32.onnx", "float32"),
        cell("float32.tflite", "float32"),
    )
    assert find_float32(int8, [int8, other_size, onnx, tflite]) is tflite
    assert find_float32(int8, [int8, other_size, onnx]) is onnx
    assert find_float32(int8, [other_size, int8]) is other_size
    assert find_float32(int8, [int8]) is None
    assert find_float32(tflite, [int8, tflite]) is None
    assert find_float32(onnx, [int8, onnx, tflite]) is None


def test_there_must_be_photos_to_corrupt() -> None:
    photos: Any = SimpleNamespace(photos=("a.png",))
    check_photos(photos)
    with pytest.raises(OptionError, match=r"^`corruption_images` must be 1 or more; received 0$"):
        BenchOptions(corruption_images=0)
    with pytest.raises(OptionError, match=r"^`corruptions` needs photos of known classes"):
        check_photos(SimpleNamespace(photos=()))  # type: ignore[arg-type]

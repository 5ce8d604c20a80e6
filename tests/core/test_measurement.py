import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from tledge.core.environment import read_environment
from tledge.core.errors import MeasurementError, MissingExtraError
from tledge.core.extras import require
from tledge.core.image_batches import map_ahead
from tledge.core.measurement import Measurement, read_results, write_results

ONE = Measurement(
    artifact="int8.tflite",
    artifact_sha256="ab" * 32,
    target="litert:cpu:2",
    scenario="single-stream",
    metric="latency_p90",
    value=5.31,
    n=1024,
    interval=(5.27, 5.36),
    params={"warm_up": 10},
    environment="c0ffee",
    flags=("noisy",),
)


def test_results_survive_and_say_their_unit(tmp_path: Path) -> None:
    both = [ONE, dataclasses.replace(ONE, metric="top1", value=0.9, interval=None, flags=())]
    write_results(tmp_path / "results.jsonl", both)
    assert read_results(tmp_path / "results.jsonl") == both
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [row["unit"] for row in rows] == ["ms", "fraction"]
    assert {row["schema_version"] for row in rows} == {1}


def test_results_of_earlier_versions_have_the_present_names(tmp_path: Path) -> None:
    params = {"attack": "pgd", "norm": "linf", "eps": 2.0, "setting": "transfer"}
    attacked = dataclasses.replace(ONE, metric="robust_accuracy", value=0.4, params=params)
    line = json.dumps(attacked.to_dict())
    (tmp_path / "results.jsonl").write_text(line.replace('"setting"', '"road"'))
    assert read_results(tmp_path / "results.jsonl") == [attacked]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "are empty"),
        ("hello\n", "results.jsonl:1': not valid JSON"),
        ('{"metric": "top1"}\n', "results.jsonl:1': it has no schema version; this tledge reads version 1"),
        (json.dumps({**ONE.to_dict(), "schema_version": 7}), "schema version 7"),
        (json.dumps({**ONE.to_dict(), "metric": "speed"}), "metric 'speed' is unknown"),
        (json.dumps({**ONE.to_dict(), "metric": "top1"}), "'value': must be between 0 and 1; received 5.31"),
        (json.dumps({**ONE.to_dict(), "value": -1}), "'value': must be 0 or more; received -1"),
        (json.dumps({**ONE.to_dict(), "metric": "throughput"}), "'params': throughput needs 'batch'"),
        (json.dumps({**ONE.to_dict(), "interval": [2, 1]}), "interval: its end 1.0 is below its start 2.0"),
        (json.dumps({**ONE.to_dict(), "target": "../../x"}), "'target': expected a target"),
        (json.dumps({**ONE.to_dict(), "environment": "../x"}), "'environment': expected the id"),
    ],
)
def test_foreign_results_are_errors(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "results.jsonl").write_text(content)
    with pytest.raises(MeasurementError, match=message):
        read_results(tmp_path / "results.jsonl")


def test_an_environment_has_an_id_that_depends_on_all_of_it() -> None:
    environment = read_environment(["pillow", "not-a-distribution"])
    assert environment == read_environment(["pillow"])
    assert environment.id == read_environment(["pillow"]).id
    assert environment.id != dataclasses.replace(environment, governor="powersave").id
    assert set(environment.packages) == {"tledge", "numpy", "pillow"}
    assert environment.cores == os.cpu_count()
    assert environment.cpu
    if sys.platform == "linux":
        assert environment.memory > 1e8
        assert environment.cpu_features


def test_mapping_ahead_keeps_order_stays_bounded_and_raises_in_place() -> None:
    started: list[int] = []

    def double(item: int) -> int:
        started.append(item)
        if item == 30:
            raise ValueError("thirty")
        return 2 * item

    results = []
    with pytest.raises(ValueError, match="thirty"):
        for result in map_ahead(double, range(100), ahead=5):
            results.append(result)
            assert len(started) <= len(results) + 6
    assert results == [2 * item for item in range(30)]


def test_a_missing_extra_names_the_command_that_brings_it() -> None:
    require("json", extra="train", purpose="this")
    with pytest.raises(
        MissingExtraError, match=r"this needs no_such_module, not installed here: pip install 'tledge\[train\]'"
    ):
        require("json", "no_such_module", extra="train", purpose="this")

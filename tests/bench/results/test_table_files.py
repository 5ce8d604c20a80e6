import csv
import io
import json
from pathlib import Path

import pytest
from pyarrow import parquet

from tledge.bench.results.settings import Skipped
from tledge.bench.results.table_files import FIELDS, to_rows, write_table
from tledge.core.errors import UnknownNameError
from tledge.core.measurement import Measurement

pytestmark = pytest.mark.unit

MEASUREMENTS = [
    Measurement(
        artifact='a "quoted", file.tflite',
        artifact_sha256="0" * 64,
        target="litert:cpu:2",
        scenario="single-stream",
        metric="latency_p90",
        value=5.31,
        n=1024,
        interval=(5.27, 5.36),
        params={"provider": "XNNPACK", "rounds": 5},
        environment="abc",
        flags=("noisy", "throttled"),
    ),
    Measurement(
        artifact="b.onnx",
        artifact_sha256="1" * 64,
        target="onnxruntime:cpu:1",
        scenario="static",
        metric="file_size",
        value=2_700_000,
        n=1,
    ),
]


def test_csv_holds_every_field(tmp_path: Path) -> None:
    path = write_table(MEASUREMENTS, "csv", tmp_path)
    assert path == tmp_path / "results.csv"
    read = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    for row, expected in zip(read, to_rows(MEASUREMENTS), strict=True):
        assert list(row) == list(FIELDS)
        for name, kind in FIELDS.items():
            assert (kind(row[name]) if row[name] or kind is str else None) == expected[name]
    assert json.loads(read[0]["params"]) == {"provider": "XNNPACK", "rounds": 5}
    assert read[1]["interval_low"] == ""


def test_what_was_not_measured_stays_with_its_reason(tmp_path: Path) -> None:
    skipped = [Skipped("c.onnx", "onnxruntime:cpu:2", "batches of 8: not enough memory")]
    text = write_table(MEASUREMENTS, "csv", tmp_path, skipped).read_text(encoding="utf-8")
    *measured, left = csv.DictReader(io.StringIO(text))
    assert len(measured) == len(MEASUREMENTS)
    assert {name: value for name, value in left.items() if value} == {
        "artifact": "c.onnx",
        "target": "onnxruntime:cpu:2",
        "reason": "batches of 8: not enough memory",
    }
    table = parquet.read_table(write_table(MEASUREMENTS, "parquet", tmp_path, skipped))
    assert table.to_pylist()[-1]["value"] is None
    assert table.to_pylist() == to_rows(MEASUREMENTS, skipped)


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    path = write_table(MEASUREMENTS, "parquet", tmp_path)
    table = parquet.read_table(path)
    assert table.to_pylist() == to_rows(MEASUREMENTS)
    assert str(table.schema.field("n").type) == "int64"
    assert str(table.schema.field("value").type) == "double"


def test_another_export_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'csv'"):
        write_table(MEASUREMENTS, "cvs", tmp_path)

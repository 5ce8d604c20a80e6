"""The record of an export, and what becomes of a converter's errors."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from support import TINY_SIDECAR

from tledge.core.artifact import write_artifact
from tledge.core.errors import ArtifactError, ConversionError
from tledge.export.export_record import (
    ExportedArtifact,
    ExportRecord,
    MaxDropSearch,
    Trial,
    compressed_size,
    describe_artifact,
)
from tledge.export.format import call_converter
from tledge.export.keras_parity import Parity

pytestmark = pytest.mark.unit

TRIAL = Trial(recipe="int8", float_layers=("stem",), drop=0.25, size=1000, latency=1.5, kept=True)


def test_a_record_is_json_with_a_schema_version(tmp_path: Path) -> None:
    artifact = ExportedArtifact(
        path=Path("artifacts/int8.tflite"), format="tflite", recipe="int8", size=1000, sha256="ab", kept=False
    )
    search = MaxDropSearch(
        format="tflite",
        max_drop=0.5,
        images=40,
        trials=(TRIAL,),
        sensitivity=(("stem", 0.1),),
        chosen="int8-mixed.tflite",
    )
    ExportRecord(artifacts=(artifact,), searches=(search,)).save(tmp_path / "export.json")
    assert json.loads((tmp_path / "export.json").read_text()) == {
        "schema_version": 1,
        "artifacts": [
            {
                "path": "artifacts/int8.tflite",
                "format": "tflite",
                "recipe": "int8",
                "size": 1000,
                "sha256": "ab",
                "kept": False,
                "parity": None,
                "compressed_size": None,
                "delegation": None,
                "float_layers": [],
                "seconds": 0.0,
            }
        ],
        "searches": [
            {
                "format": "tflite",
                "max_drop": 0.5,
                "images": 40,
                "trials": [
                    {
                        "recipe": "int8",
                        "float_layers": ["stem"],
                        "drop": 0.25,
                        "size": 1000,
                        "latency": 1.5,
                        "kept": True,
                    }
                ],
                "sensitivity": [["stem", 0.1]],
                "chosen": "int8-mixed.tflite",
            }
        ],
    }


def test_a_notebook_shows_a_table_of_the_artifacts() -> None:
    made = ExportedArtifact(
        path=Path("artifacts/<int8>.tflite"),
        format="tflite",
        recipe="int8",
        size=2_700_000,
        sha256="ab",
        kept=False,
        parity=Parity(
            split="validation",
            images=40,
            agreement=0.975,
            agreement_interval=(0.87, 1.0),
            largest_difference=1.0,
            signal_to_noise=20.0,
            top1=0.95,
            keras_top1=0.975,
            recall_change={},
        ),
    )
    kept = replace(made, path=Path("float32.tflite"), kept=True, parity=None)
    shown = ExportRecord(artifacts=(made, kept))._repr_html_()
    assert "<th>Artifact</th><th>Size</th><th>Agreement with Keras</th><th>Validation top-1</th>" in shown
    assert "&lt;int8&gt;.tflite</td><td>2.7 MB</td><td>0.975</td><td>0.950</td>" in shown
    assert "float32.tflite</td><td>2.7 MB</td><td>–</td><td>–</td>" in shown


@pytest.mark.parametrize("sparse", [False, True])
def test_an_artifact_is_described_by_its_sidecar(tmp_path: Path, sparse: bool) -> None:
    sidecar = replace(TINY_SIDECAR, recipe="int8", float_layers=("stem",))
    artifact = write_artifact(tmp_path / "int8.tflite", bytes(5000), sidecar)
    described = describe_artifact(artifact, kept=True, sparse=sparse, seconds=2.0)
    assert described == ExportedArtifact(
        path=artifact.path,
        format="tflite",
        recipe="int8",
        size=artifact.size,
        sha256=artifact.sha256,
        kept=True,
        float_layers=("stem",),
        compressed_size=compressed_size(artifact.path) if sparse else None,
        seconds=2.0,
    )


def test_zeros_compress(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(10_000))
    assert compressed_size(tmp_path / "zeros") == len(zlib.compress(bytes(10_000), 9)) < 100


@pytest.mark.parametrize(
    ("error", "reason"),
    [(KeyError("some operator"), "'some operator'"), (ValueError("\n a\nb"), "a"), (ValueError(), "ValueError")],
)
def test_a_converters_own_error_becomes_one_line(error: Exception, reason: str) -> None:
    def fail() -> bytes:
        raise error

    with pytest.raises(ConversionError) as caught:
        call_converter("tflite", "int8", fail)
    assert str(caught.value) == (f"cannot convert this model to tflite in int8: {reason}; try another recipe or format")


def test_our_own_errors_pass() -> None:
    def fail() -> bytes:
        raise ArtifactError("as it is")

    with pytest.raises(ArtifactError, match="^as it is$"):
        call_converter("tflite", "int8", fail)
    assert call_converter("tflite", "int8", lambda: b"file") == b"file"

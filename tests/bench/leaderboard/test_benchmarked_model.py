"""A model's backbone and width are those of the run whose Keras model has the recorded SHA-256, or not known."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from leaderboard_sample import cells, write_run
from support import TINY_SIDECAR

from tledge.bench.leaderboard import benchmarked_model
from tledge.bench.leaderboard.benchmarked_model import BenchmarkedModel, describe_model
from tledge.bench.results.results_folder import REFERENCE
from tledge.bench.results.settings import BenchSettings
from tledge.bench.results.stored_results import read_stored
from tledge.core.manifest import RunManifest

pytestmark = pytest.mark.unit


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The benchmark of a run, beside another run."""
    write_run(tmp_path, "other", 2, cells("other", 4.0, 6), backbone="resnet50")
    return write_run(tmp_path, "own", 1, cells("own", 4.0, 6), alpha=0.35)


def described(results: Path, artifact: str = "int8.tflite") -> BenchmarkedModel:
    return describe_model(read_stored(results), artifact)


def test_the_run_is_that_of_the_keras_model_the_files_were_compared_with(results: Path) -> None:
    found = described(results)
    assert (found.run, found.backbone, found.width, found.input_size) == ("own", "mobilenet_v2", 0.35, (96, 96))


@pytest.mark.parametrize("with_reference", [True, False])
def test_results_copied_into_another_run_do_not_get_its_backbone(results: Path, *, with_reference: bool) -> None:
    if not with_reference:
        (results / "samples" / REFERENCE).unlink()
    copied = results.parent.parent / "other" / "copied"
    shutil.copytree(results, copied)
    found = described(copied)
    assert (found.run, found.backbone, found.width, found.input_size) == ("own", "", None, ())


def test_without_a_record_of_the_keras_model_the_backbone_is_not_known(results: Path) -> None:
    (results / "samples" / REFERENCE).unlink()
    assert described(results).backbone == ""


@pytest.mark.parametrize(("source", "backbone"), [("own", "mobilenet_v2"), ("other", ""), ("", "mobilenet_v2")])
def test_a_sidecar_names_the_keras_model(
    source: str, backbone: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without a SHA-256 names none: then the Keras model of the benchmark decides."""
    of_run = {
        name: RunManifest.load(results.parent.parent / name / "run.json").model_sha256 for name in ("own", "other")
    }
    sidecar = replace(TINY_SIDECAR, source_run="own", source_sha256=of_run.get(source, ""))
    monkeypatch.setattr(benchmarked_model, "_sidecar", lambda benchmark, artifact: sidecar)
    assert described(results).backbone == backbone


@pytest.mark.parametrize("known", [True, False])
def test_a_keras_file_is_known_by_its_own_sha256(results: Path, *, known: bool) -> None:
    run = results.parent
    stored = read_stored(results)
    manifest = RunManifest.load(run / "run.json")
    sha256 = manifest.model_sha256 if known else "e" * 64
    cell = replace(stored.cells[0], artifact="model.keras")
    cell = replace(cell, measurements=tuple(replace(item, artifact_sha256=sha256) for item in cell.measurements))
    found = describe_model(replace(stored, cells=(cell,), reference=None), "model.keras")
    assert found.backbone == ("mobilenet_v2" if known else "")


def test_the_folder_above_a_given_file_is_its_run_only_if_the_model_matches(results: Path) -> None:
    """Without a sidecar, nothing tells which model a file that was given comes from."""
    settings = BenchSettings.load(results)
    given = str(results.parent / "artifacts" / "int8.tflite")
    stored = replace(read_stored(results), settings=replace(settings, run="", files=(given,)))
    assert describe_model(stored, "int8.tflite").backbone == ""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TINY_SIDECAR, lazy_module

from tledge.core.artifact import read_artifact
from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import ArtifactError, ConversionError, OptionError, RunError, UnknownNameError
from tledge.core.images import load_pixels as load_image
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Sample, Splits
from tledge.export import export
from tledge.export.artifact_maker import ArtifactMaker
from tledge.export.calibration import load_calibration
from tledge.export.export_record import ExportedArtifact, ExportRecord
from tledge.export.format import FORMATS
from tledge.export.recipes import Recipe

lazy_module("tensorflow")


def test_the_latest_run_is_exported_with_its_baseline(run: RunDirectory) -> None:
    artifacts = export(quantize=["int8"], calibration_images=6, runs=run.path.parent).artifacts
    assert [(item.recipe, item.format, item.kept) for item in artifacts] == [
        ("float32", "tflite", False),
        ("int8", "tflite", False),
        ("float32", "onnx", False),
        ("int8", "onnx", False),
    ]
    for item in artifacts:
        read = read_artifact(item.path)
        assert (item.size, item.sha256) == (read.size, read.sha256)
        assert read.sidecar.class_names == TINY_SIDECAR.class_names
        assert read.sidecar.source_sha256 == read_artifact(run.model).sha256
        assert (read.sidecar.calibration is not None) == (item.recipe == "int8")
        assert read.sidecar.versions.keys() >= {"tledge", "tensorflow", "keras"}


def test_an_artifact_that_exists_is_kept_unless_told_otherwise(run: RunDirectory) -> None:
    first = export(quantize=["float32"], formats=["tflite"], runs=run.path.parent).artifacts
    with pytest.raises(ArtifactError, match=r"float32.tflite' exists; pass `overwrite=True` to replace it"):
        export(quantize=["float32"], formats=["tflite"], runs=run.path.parent)
    more = export(quantize=["float16"], formats=["tflite"], runs=run.path.parent).artifacts
    assert [(item.recipe, item.kept) for item in more] == [("float32", True), ("float16", False)]
    assert more[0].sha256 == first[0].sha256
    (kept,) = [
        item
        for item in export(formats=["tflite"], calibration_images=4, runs=run.path.parent).artifacts
        if item.kept and item.recipe == "float32"
    ]
    assert kept.sha256 == first[0].sha256
    again = export(quantize=["float32"], formats=["tflite"], overwrite=True, runs=run.path.parent).artifacts
    assert not again[0].kept


def test_an_interrupted_export_names_and_records_what_it_made(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ArtifactMaker.make

    def interrupted(maker: ArtifactMaker, path: Path, recipe: Recipe) -> ExportedArtifact:
        if recipe.name == "float16":
            raise KeyboardInterrupt
        return whole(maker, path, recipe)

    monkeypatch.setattr(ArtifactMaker, "make", interrupted)
    with pytest.raises(KeyboardInterrupt, match="^made float32.tflite; the rest was not exported$"):
        export(quantize=["float32", "float16"], formats=["tflite"], runs=run.path.parent)
    record = ExportRecord.load(run.artifacts / "export.json")
    assert [item.path.name for item in record.artifacts] == ["float32.tflite"]
    with pytest.raises(KeyboardInterrupt, match="^$"):
        export(quantize=["float16"], formats=["tflite"], runs=run.path.parent)
    assert ExportRecord.load(run.artifacts / "export.json") == record


def test_what_a_killed_export_could_not_record_is_made_again(run: RunDirectory) -> None:
    options: dict[str, Any] = {"quantize": ["float32"], "formats": ["tflite"], "runs": run.path.parent}
    export(**options)
    (run.artifacts / "export.json").unlink()  # as if killed before
    (again,) = export(**options).artifacts
    assert not again.kept
    with pytest.raises(ArtifactError, match="exists; pass `overwrite=True`"):
        export(**options)
    (run.artifacts / "export.json").unlink()
    again.path.write_bytes(b"not of an export")
    with pytest.raises(ArtifactError, match="exists; pass `overwrite=True`"):
        export(**options)


def test_damaged_records_are_named_even_if_there_is_nothing_to_do(run: RunDirectory) -> None:
    options: dict[str, Any] = {"formats": ["tflite"], "runs": run.path.parent}
    export(calibration_images=4, **options)
    assert all(item.kept for item in export(**options).artifacts)
    for path in (run.manifest_path, run.splits_path):
        whole = path.read_bytes()
        path.write_bytes(whole[:100])
        with pytest.raises(RunError, match=f"cannot read '.*{path.name}': .*train again"):
            export(**options)
        path.write_bytes(whole)


def test_bad_options_make_nothing(run: RunDirectory) -> None:
    runs = run.path.parent
    with pytest.raises(UnknownNameError, match="unknown recipe 'int9'"):
        export(quantize=["int9"], runs=runs)
    with pytest.raises(UnknownNameError, match="unknown format 'onx'. Did you mean 'onnx'"):
        export(formats=["onx"], runs=runs)
    with pytest.raises(OptionError, match="`calibration_images` must be 1 or more; received 0"):
        export(quantize=["int8"], calibration_images=0, runs=runs)
    with pytest.raises(RunError, match="no run 'other'"):
        export(run="other", runs=runs)
    assert not run.artifacts.exists()


def test_an_artifact_that_does_not_run_replaces_nothing(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = FORMATS.load("onnx")
    whole = type(onnx).convert
    export(quantize=["float32"], formats=["onnx"], runs=run.path.parent)
    before = {path.name: path.read_bytes() for path in run.artifacts.iterdir()}
    monkeypatch.setattr(type(onnx), "convert", lambda *arguments: whole(*arguments)[:3000])
    with pytest.raises(ArtifactError, match="is not a complete ONNX model"):
        export(quantize=["float32", "float16"], formats=["onnx"], overwrite=True, runs=run.path.parent)
    assert {path.name: path.read_bytes() for path in run.artifacts.iterdir()} == before


def test_what_a_converter_raises_is_one_of_our_errors(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise KeyError("some operator")

    monkeypatch.setattr(type(FORMATS.load("tflite")), "convert", fail)
    with pytest.raises(ConversionError, match="cannot convert this model to tflite in float32: 'some operator'"):
        export(quantize=["float32"], formats=["tflite"], runs=run.path.parent)


def test_a_model_that_changed_after_training_is_refused(run: RunDirectory) -> None:
    with run.model.open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match="is damaged or was changed"):
        export(quantize=["float32"], runs=run.path.parent)


def test_calibration_images_are_of_the_training_split_and_of_every_class(run: RunDirectory) -> None:
    splits = run.splits()

    def load(images: int, seed: int = 0) -> tuple[Any, Any]:
        return load_calibration(splits, images=images, seed=seed, size=(16, 16), resize="stretch", progress=Progress())

    pixels, record = load(6)
    assert pixels.shape == (6, 16, 16, 3)
    assert record.images == 6
    assert record.split == "train"
    assert load(6)[1] == record
    assert load(6, seed=1)[1].fingerprint != record.fingerprint
    everything, all_record = load(1000)
    assert all_record.images == len(everything) == len(splits.train) == 18
    held_out = [load_image(path, (16, 16), "stretch") for path in splits.paths(splits.validation + splits.test)]
    assert not any((image == everything).all(axis=(1, 2, 3)).any() for image in held_out)
    rng = np.random.default_rng(0)
    shuffled = dataclasses.replace(splits, train=tuple(splits.train[index] for index in rng.permutation(18)))
    counts = np.bincount([sample.label for sample in _chosen(shuffled, 8)])
    assert counts.tolist() == [4, 4]


def _chosen(splits: Splits, images: int) -> tuple[Sample, ...]:
    return choose_balanced(splits.train, [sample.label for sample in splits.train], images, seed=0)


def test_what_is_exported_can_be_told_to_machines(run: RunDirectory) -> None:
    (artifact,) = export(quantize=["float32"], formats=["tflite"], runs=run.path.parent).artifacts
    assert json.loads(json.dumps(artifact.to_dict()))["path"].endswith("artifacts/float32.tflite")

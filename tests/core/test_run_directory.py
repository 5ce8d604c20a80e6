import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tledge.core.errors import ArtifactError, RunError
from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord
from tledge.core.run_directory import RunDirectory, create_run, find_run
from tledge.core.splits import Sample, Splits

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
MANIFEST = RunManifest(
    name="one",
    created=NOW.isoformat(),
    backbone="mobilenet_v2",
    weights=WeightsRecord(source="imagenet", sha256="ab" * 32),
    class_names=("cat", "dog"),
    input_size=(160, 160),
    resize="crop",
    seed=0,
    config={"epochs": 3},
    data=DataRecord(
        source="photos", fingerprint="cd" * 32, images={"cat": 1, "dog": 2}, splits={"test": 1}, skipped=("x.jpg",)
    ),
    device="TensorFlow on CPU (2 cores)",
    versions={"keras": "3"},
    metrics={"test_top1": 0.9},
    model_sha256="ef" * 32,
)


def test_runs_are_named_by_time_backbone_and_data_and_never_collide(tmp_path: Path) -> None:
    (tmp_path / "20261123-101500-vgg16-my_photos_ü-3").mkdir()
    (tmp_path / "ordinary").mkdir()
    names = []
    for _ in range(3):
        with create_run(tmp_path, "vgg16", "my photos/ü", NOW) as run:
            assert [path.name for path in run.path.iterdir()] == [".in-progress"]
            assert run.path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode
            names.append(run.path.name)
        assert not list(run.path.iterdir())
    assert names == [
        "20261123-101500-vgg16-my_photos_ü",
        "20261123-101500-vgg16-my_photos_ü-2",
        "20261123-101500-vgg16-my_photos_ü-4",
    ]
    assert len(list(tmp_path.iterdir())) == 5


def test_only_finished_runs_are_found(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no finished run in '.*': create one with 'tledge train'"):
        find_run(runs=tmp_path)
    with create_run(tmp_path, "vgg16", "a", NOW) as unfinished:
        pass
    with pytest.raises(RunError, match="is not a finished run: it has no run.json"):
        find_run(unfinished.path, tmp_path)
    with pytest.raises(RunError, match="no run 'absent'"):
        find_run("absent", tmp_path)
    MANIFEST.save(unfinished.manifest_path)
    unfinished.mark_latest()
    for name in (None, "latest", unfinished.path.name, unfinished.path):
        assert find_run(name, tmp_path).path.resolve() == unfinished.path.resolve()


def test_latest_names_the_newest(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with create_run(tmp_path, "vgg16", name, NOW) as run:
            pass
        MANIFEST.save(run.manifest_path)
        run.mark_latest()
        assert find_run(runs=tmp_path).path == run.path


def test_manifests_survive(tmp_path: Path) -> None:
    MANIFEST.save(tmp_path / "run.json")
    assert RunManifest.load(tmp_path / "run.json") == MANIFEST


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}'])
def test_garbled_manifests_are_errors(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match="cannot read '.*run.json'.*train again"):
        RunManifest.load(tmp_path / "run.json")


def test_manifests_of_another_version_are_errors(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**dataclasses.asdict(MANIFEST), "schema_version": 9}))
    with pytest.raises(RunError, match="schema version 9; this tledge reads version 1"):
        RunManifest.load(tmp_path / "run.json")


def test_a_run_without_artifacts_says_how_to_make_some(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.artifacts.mkdir()
    (run.artifacts / ".partial-x-int8.tflite").touch()
    (run.artifacts / "int8.tflite.json").touch()
    with pytest.raises(ArtifactError, match="create some with `export"):
        run.exported()
    for name in ("int8.onnx", "float32.onnx", "int8.tflite"):
        (run.artifacts / name).write_bytes(bytes(100 if "float" in name else 25))
    assert [path.name for path in run.exported()] == ["int8.tflite", "float32.onnx", "int8.onnx"]


def test_splits_inside_a_run_move_with_it(tmp_path: Path) -> None:
    splits = Splits(
        root=tmp_path / "run" / "data",
        class_names=("a", "b"),
        train=(Sample("a/1.png", 0, "0" * 64),),
        validation=(),
        test=(Sample("b/ü 2.png", 1, "1" * 64),),
    )
    splits.root.mkdir(parents=True)
    splits.save(tmp_path / "run" / "splits.json")
    (tmp_path / "run").rename(tmp_path / "moved")
    loaded = Splits.load(tmp_path / "moved" / "splits.json")
    assert loaded == dataclasses.replace(splits, root=tmp_path / "moved" / "data")
    assert loaded.paths(loaded.test) == [tmp_path / "moved" / "data" / "b" / "ü 2.png"]


def test_splits_whose_images_are_gone_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Splits(root=tmp_path / "photos", class_names=("a",), train=(), validation=(), test=()).save(
        tmp_path / "splits.json"
    )
    (tmp_path / "photos").rmdir()
    with pytest.raises(RunError, match="the images of this run are missing: no folder"):
        Splits.load(tmp_path / "splits.json")


def test_a_notebook_shows_the_figures_and_the_curves_of_a_run(tmp_path: Path) -> None:
    metrics = {"test_top1": 0.9, "test_top1_low": 0.6, "test_top1_high": 0.98}
    run = dataclasses.replace(MANIFEST, class_names=("<cat>", "dog"), metrics=metrics)
    shown = run._repr_html_()
    assert "Run</th><td>one</td>" in shown
    assert "Data</th><td>photos: 3 photos (test 1)</td>" in shown
    assert "Classes</th><td>2: &lt;cat&gt; and dog</td>" in shown
    assert "Test top-1</th><td>0.900 (95% interval 0.600–0.980)</td>" in shown
    imported = dataclasses.replace(run, config={**run.config, "model": "m.keras"})._repr_html_()
    assert ">Top-1</th><td>0.900" in imported, "it may have been trained on these photos"
    assert "Test top-1" not in imported
    assert "<img" not in shown
    run.save(tmp_path / "run.json")
    assert "directory" not in json.loads((tmp_path / "run.json").read_text())
    loaded = RunManifest.load(tmp_path / "run.json")
    assert loaded._repr_html_() == shown, "no curves, as of an imported model"
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "training.png").write_bytes(b"curves")
    picture = '<img src="data:image/png;base64,Y3VydmVz" alt="Training curves"'
    assert picture in loaded._repr_html_()
    assert loaded == run


@pytest.mark.parametrize(
    ("source", "name", "title"),
    [("/home/me/photos", "", "photos"), ("tfds:a/b", "", "tfds:a/b"), (".", "cats", "cats")],
)
def test_headings_and_notebooks_have_the_name_of_the_data(source: str, name: str, title: str) -> None:
    run = dataclasses.replace(MANIFEST, data=dataclasses.replace(MANIFEST.data, source=source, name=name))
    assert run.title == f"MobileNetV2 on {title}"
    assert f"Data</th><td>{title}: 3 photos" in run._repr_html_()
    assert "/home" not in run._repr_html_()

"""Which photos a benchmark of model files classifies, with which labels: in every layout that training takes."""

import io
import shutil
import unicodedata
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support import TINY_SIDECAR, Notes

from tledge.bench.results.workload import Workload, workload_of_files, workload_of_run
from tledge.core.artifact import write_artifact
from tledge.core.errors import DataError, OptionError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Sample, Splits

pytestmark = pytest.mark.unit


def touch(root: Path, *names: str) -> Path:
    """Writes files: small photos, each different, or text for names that end in ``.txt`` or ``.csv``."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if Path(name).suffix in (".txt", ".csv"):
            (root / name).write_text(name)
        else:
            colour = zlib.crc32(name.encode()).to_bytes(4, "big")[:3]
            Image.new("RGB", (4, 4), (colour[0], colour[1], colour[2])).save(root / name, "PNG")
    return root


def model(path: Path, *class_names: str) -> Path:
    """A file of which only the sidecar is read."""
    write_artifact(path, b"\x1c\0\0\0TFL3" + bytes(100), replace(TINY_SIDECAR, class_names=class_names))
    return path


@pytest.fixture
def catdog(tmp_path: Path) -> Path:
    return model(tmp_path / "model.tflite", "dog", "cat")


def read(file: Path, data: Path, progress: Progress | None = None) -> Workload:
    return workload_of_files([file], data, data.parent / "out", progress or Progress())


def labelled(workload: Workload, root: Path) -> list[tuple[str, int]]:
    found = [
        (path.relative_to(root).as_posix(), label) for path, label in zip(workload.photos, workload.labels, strict=True)
    ]
    assert workload.fingerprint
    return found


def test_labels_are_places_in_the_models_classes(catdog: Path, tmp_path: Path) -> None:
    root = touch(tmp_path / "photos", "cat/1.jpg", "dog/2.jfif", "dog/notes.txt")
    notes = Notes()
    assert labelled(read(catdog, root, notes), root) == [("dog/2.jfif", 0), ("cat/1.jpg", 1)]
    assert notes.notes == ["left out: 1 .txt"]


@pytest.mark.parametrize(
    ("splits", "used"), [(("Train", "Val", "Test"), "Test"), (("train", "valid"), "valid"), (("testing",), "testing")]
)
def test_of_splits_the_test_split_is_used(catdog: Path, tmp_path: Path, splits: tuple[str, ...], used: str) -> None:
    root = touch(tmp_path / "photos", *(f"{split}/{name}/1.jpg" for split in splits for name in ("cat", "dog")))
    notes = Notes()
    assert labelled(read(catdog, root, notes), root) == [(f"{used}/dog/1.jpg", 0), (f"{used}/cat/1.jpg", 1)]
    if len(splits) > 1:
        split = "test" if used == "Test" else "validation"
        assert notes.notes == [f"2 of {2 * len(splits)}: the {split} split of '{root}'"]


def test_tables_and_zips(catdog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = touch(tmp_path / "set", "photos/1.jpg", "photos/2.jpg", "photos/3.jpg")
    (root / "labels.csv").write_text("id,label,split\n1,cat,train\n2,cat,test\n3,dog,test\n")
    expected = [("photos/3.jpg", 0), ("photos/2.jpg", 1)]
    assert labelled(read(catdog, root / "labels.csv"), root) == expected
    archive = Path(shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path, "set"))
    found = read(catdog, archive)
    assert labelled(found, found.photos[0].parents[1]) == expected
    assert found.data == str(archive)


def test_names_compare_composed(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Rosé") for form in ("NFC", "NFD"))
    root = touch(tmp_path / "photos", f"{decomposed}/1.jpg", "dog/2.jpg")
    for name in (composed, decomposed):
        found = read(model(tmp_path / "model.tflite", name, "dog"), root)
        assert found.labels == (0, 1)
        assert found.class_names == (composed, "dog")
    both = [model(tmp_path / "a.tflite", composed, "dog"), model(tmp_path / "b.tflite", decomposed, "dog")]
    assert len(workload_of_files(both, root, tmp_path / "out", Progress()).photos) == 2


def test_classes_called_like_splits_are_classes_if_the_model_has_them(tmp_path: Path) -> None:
    root = touch(tmp_path / "photos", "train/1.jpg", "test/2.jpg")
    found = read(model(tmp_path / "model.tflite", "train", "test"), root)
    assert labelled(found, root) == [("train/1.jpg", 0), ("test/2.jpg", 1)]


def test_classes_that_do_not_fit_are_named(catdog: Path, tmp_path: Path) -> None:
    root = touch(tmp_path / "photos", "cat/1.jpg", "dog/2.jpg", "emu/3.jpg")
    with pytest.raises(DataError, match="that are not classes of the model: emu; its classes: dog, cat"):
        read(catdog, root)
    (root / "emu" / "3.jpg").unlink()
    with pytest.raises(DataError, match="that are not classes of the model: emu"):
        read(catdog, root)
    shutil.rmtree(root / "emu")
    shutil.rmtree(root / "cat")
    with pytest.raises(DataError, match="has no photo of cat: its top-1 would leave it out"):
        read(catdog, root)
    with pytest.raises(DataError, match=r"no folder '.*gone'; expected one folder per class \(dog/1.jpg\)"):
        read(catdog, tmp_path / "gone")
    with pytest.raises(OptionError, match="but .* has dog, cat: benchmark"):
        workload_of_files([catdog, model(tmp_path / "b.tflite", "cat", "dog")], root, tmp_path / "out", Progress())


@pytest.mark.parametrize(("config", "split"), [({"epochs": 3}, "test"), ({"model": "elsewhere.keras"}, "given")])
def test_photos_of_an_imported_run_are_not_called_test_photos(
    tmp_path: Path, config: dict[str, object], split: str
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.artifacts.mkdir(parents=True)
    root = touch(tmp_path / "photos", "cat/1.jpg", "dog/2.jpg")
    samples = tuple(
        Sample(f"{name}.jpg", label, sha256_of_file(root / f"{name}.jpg"))
        for label, name in enumerate(("cat/1", "dog/2"))
    )
    Splits(root=root, class_names=("cat", "dog"), train=(), validation=(), test=samples).save(run.splits_path)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", "{}")
    own = replace(TINY_SIDECAR, class_names=("cat", "dog"))
    write_artifact(run.model, stream.getvalue(), own)
    digest = sha256_of_file(run.model)
    exported = replace(own, source_sha256=digest)
    write_artifact(run.artifacts / "int8.tflite", b"\x1c\0\0\0TFL3" + bytes(100), exported)
    RunManifest(
        name="run",
        created="2026-01-01T10:00:00+00:00",
        backbone="vgg16",
        weights=WeightsRecord(source="none"),
        class_names=("cat", "dog"),
        input_size=own.input_size,
        resize=own.resize,
        seed=0,
        config=config,
        data=DataRecord(source="photos", fingerprint="", images={}, splits={}),
        device="",
        versions={},
        metrics={},
        model_sha256=digest,
    ).save(run.manifest_path)
    overlap = workload_of_run(run).overlap
    assert overlap.split == split
    assert overlap.unknown == (() if split == "test" else ("model.keras", "int8.tflite"))

"""What is benchmarked: the artifacts of a run, or model files on their own, and the photos that judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.core import sidecar_storage
from tledge.core.artifact import Artifact, path_beside, read_artifact, read_exported
from tledge.core.errors import ArtifactError, DataError, OptionError
from tledge.core.fingerprint import sha256_of_file, sha256_of_records
from tledge.core.images import images_below
from tledge.core.run_directory import RunDirectory


@dataclass(frozen=True)
class Model:
    """A model file to measure.

    Attributes:
        path: the file.
        name: what tables call it.
        artifact: the file with its sidecar; None where it has none, so that it can be timed but not judged.
    """

    path: Path
    name: str
    artifact: Artifact | None

    @property
    def format(self) -> str:
        """One of "tflite", "onnx" and "keras"."""
        return sidecar_storage.format_of(self.path)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is benchmarked.

    Attributes:
        title: what the report calls it.
        folder: where the results go.
        models: the files, the Keras model of a run among them.
        photos: the images to classify, in order; none where nothing says what they show.
        labels: the class of each.
        class_names: the label of each logit; empty where no model has a sidecar.
        run: the run directory's name; empty for files.
        data: the folder of photos that was given; empty for a run.
        fingerprint: of the photos and their labels; empty where there are none.
    """

    title: str
    folder: Path
    models: tuple[Model, ...]
    photos: tuple[Path, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    run: str = ""
    data: str = ""
    fingerprint: str = ""


def read_model(path: Path, name: str) -> Model:
    """A model file on its own.

    Args:
        path: the file.
        name: what tables call it.

    Raises:
        ArtifactError: it is absent, of no known format, or does not match its sidecar.
    """
    return Model(path, name, read_artifact(path) if _has_sidecar(path) else None)


def workload_of_run(directory: RunDirectory) -> Workload:
    """The Keras model of a run and all that was exported from it, on its test split.

    Raises:
        RunError: a photo or the model is no longer what it was when the run was trained.
        ArtifactError: no artifacts, one that cannot be read, or one of another run.
        DataError: a class has no test photo.
    """
    splits = directory.splits()
    reference = read_artifact(directory.model)
    directory.check_model(reference.sha256)
    splits.check_unchanged(splits.test)
    exported = [read_exported(path, reference) for path in directory.exported()]
    labels = tuple(sample.label for sample in splits.test)
    _check_every_class(labels, splits.class_names, f"the test split of '{directory.path}'")
    return Workload(
        title=directory.path.name,
        folder=directory.bench,
        models=tuple(Model(artifact.path, artifact.name, artifact) for artifact in (reference, *exported)),
        photos=tuple(splits.paths(splits.test)),
        labels=labels,
        class_names=splits.class_names,
        run=directory.path.name,
        fingerprint=sha256_of_records(
            (sample.path, splits.class_names[sample.label], sample.sha256) for sample in splits.test
        ),
    )


def workload_of_files(files: Sequence[Path], data: Path | None, folder: Path) -> Workload:
    """Model files on their own, on a folder of photos where one is given.

    Args:
        files: TFLite, ONNX or Keras files.
        data: holds one folder per class, named as the models' classes.
        folder: where the results go.

    Raises:
        ArtifactError: a file is absent, of no known format, or does not match its sidecar.
        OptionError: photos were given and a file has no sidecar, or other classes than the first.
        DataError: the folder holds no photos of a class, or a folder of no class.
    """
    files = list({path.resolve(): path for path in files}.values())
    models = tuple(read_model(path, name) for path, name in zip(files, _names(files), strict=True))
    classes = [model.artifact.sidecar.class_names for model in models if model.artifact is not None]
    title = models[0].name if len(models) == 1 else f"{len(models)} model files"
    if data is None:
        return Workload(
            title=title,
            folder=folder,
            models=models,
            photos=(),
            labels=(),
            class_names=classes[0] if classes else (),
        )
    for model in models:
        if model.artifact is None:
            raise OptionError(
                f"'{model.path}' has no sidecar, so --data cannot judge it: describe it with 'tledge adopt"
                f" {model.path}', or leave --data out to measure its latency alone"
            )
        if model.artifact.sidecar.class_names != classes[0]:
            raise OptionError(
                f"'{model.path}' tells apart {', '.join(model.artifact.sidecar.class_names[:5])}; '{models[0].path}'"
                f" {', '.join(classes[0][:5])}: measure models of other classes on their own"
            )
    photos, labels = _read_photos(data, classes[0])
    return Workload(
        title=title,
        folder=folder,
        models=models,
        photos=photos,
        labels=labels,
        class_names=classes[0],
        data=str(data.resolve()),
        fingerprint=sha256_of_records(
            (path.relative_to(data).as_posix(), classes[0][label], sha256_of_file(path))
            for path, label in zip(photos, labels, strict=True)
        ),
    )


def _has_sidecar(path: Path) -> bool:
    if not path.is_file():
        raise ArtifactError(f"no model file '{path}'; expected a .tflite, .onnx or .keras file")
    inside = sidecar_storage.extract(path, sidecar_storage.format_of(path), sidecar_storage.SIDECAR)
    return inside is not None or path_beside(path).exists()


def _names(files: Sequence[Path]) -> list[str]:
    """The files' names, with their folder where two are called alike, or with all folders where it must be."""
    for name in (lambda path: path.name, lambda path: f"{path.resolve().parent.name}/{path.name}"):
        names = [name(path) for path in files]
        if len(set(names)) == len(names):
            return names
    return [str(path.resolve()) for path in files]


def _read_photos(data: Path, class_names: tuple[str, ...]) -> tuple[tuple[Path, ...], tuple[int, ...]]:
    if not data.is_dir():
        raise DataError(f"no folder '{data}'; expected one folder per class ({class_names[0]}/1.jpg)")
    odd = sorted(name for name in set(class_names) if class_names.count(name) > 1 or Path(name).name != name)
    if odd:
        raise DataError(
            f"'{odd[0]}' is the label of several classes, or no name of a folder: photos in folders cannot say which is"
            " meant; give each class a label of its own"
        )
    strangers = sorted(
        path.name
        for path in data.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in class_names
    )
    if strangers:
        raise DataError(
            f"'{data}' has folders of no class of the model: {', '.join(strangers[:5])}; its classes:"
            f" {', '.join(class_names[:12])}"
        )
    found = [
        (path, label)
        for label, name in enumerate(class_names)
        if (data / name).is_dir()
        for path in images_below(data / name)
    ]
    labels = tuple(label for _, label in found)
    _check_every_class(labels, class_names, f"'{data}'")
    return tuple(path for path, _ in found), labels


def _check_every_class(labels: Sequence[int], class_names: Sequence[str], where: str) -> None:
    """Raises DataError where a class has no photo: a top-1 over the others would pass for one over all."""
    found = set(labels)
    missing = [name for label, name in enumerate(class_names) if label not in found]
    if missing:
        raise DataError(
            f"{where} has no photo of {', '.join(missing[:5])}{' …' * (len(missing) > 5)}: its top-1 would leave"
            f" {'them' if len(missing) > 1 else 'it'} out; add some photos"
        )

"""What is benchmarked: the artifacts of a run or separate model files, and the photos that they classify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from unicodedata import normalize

from tledge.bench.results.photo_overlap import DROP, KEEP, PhotoOverlap, check_some_left, find_seen
from tledge.core import sidecar_storage
from tledge.core.artifact import Artifact, read_artifact, read_exported
from tledge.core.colour_conversion import describe_mixed_ranges
from tledge.core.errors import ArtifactError, DataError, OptionError, TledgeError, did_you_mean
from tledge.core.fingerprint import sha256_of_records
from tledge.core.number_text import counted, listed
from tledge.core.photo_layouts import EXPECTED, find_photos
from tledge.core.photo_listing import describe_left_out
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.seen_photos import SeenPhotos
from tledge.core.split_names import TEST, UNASSIGNED, VALIDATION
from tledge.edge_runtime.adoption import RECIPE
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.tried_artifact import read_tried


@dataclass(frozen=True)
class Model:
    """A model file to measure.

    Attributes:
        name: its name in tables.
        artifact: the file with its sidecar; None without one: such a file can be timed, but not tested on photos.
        input_size: (height, width) for a file without a sidecar that leaves it open; empty for the default.
    """

    path: Path
    name: str
    artifact: Artifact | None
    input_size: tuple[int, ...] = ()

    @property
    def format(self) -> str:
        """One of "tflite", "onnx" and "keras"."""
        return sidecar_storage.format_of(self.path)

    @property
    def seen_photos(self) -> SeenPhotos | None:
        """Fingerprints of the photos that it was trained on; None if they are not known."""
        return None if self.artifact is None else self.artifact.sidecar.seen_photos


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is benchmarked.

    Attributes:
        title: of the report.
        folder: of the results.
        models: the files, including the Keras model of a run.
        photos: the images to classify, in order; empty without labelled photos.
        labels: the class of each.
        class_names: the label of each logit; empty if no model has a sidecar.
        run: the run directory's name; empty for files.
        data: the folder of photos; empty for a run.
        fingerprint: of the photos and their labels; empty without photos.
        overlap: with the photos that the models were trained on.
        reference_only: the Keras model of a run is not measured; it is only what artifacts are compared with.
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
    overlap: PhotoOverlap = field(default_factory=PhotoOverlap)
    reference_only: bool = False

    @property
    def measured(self) -> tuple[Model, ...]:
        """The models that are measured."""
        return self.models[1:] if self.reference_only else self.models


def read_model(path: Path, name: str, input_size: tuple[int, ...] = ()) -> Model:
    """Reads a model file; ``name`` is its name in tables.

    Raises:
        ArtifactError: it is absent, of an unknown format, does not match its sidecar, or crashes its runtime.
        OptionError: its sidecar gives another input size.
    """
    if not path.is_file():
        raise ArtifactError(f"no model file '{path}'; expected a .tflite, .onnx or .keras file")
    artifact = read_tried(path, input_size)
    if artifact is not None and input_size and input_size != artifact.sidecar.input_size:
        size, found = ("x".join(map(str, lengths)) for lengths in (input_size, artifact.sidecar.input_size))
        advice = f"adopt it again for another size: `adopt('{path}', input_size='{size}', overwrite=True)`"
        if not _leaves_size_open(path):
            advice = "leave out `input_size`, since the model takes no other size"
        raise OptionError(f"`input_size='{size}'` contradicts the sidecar of '{path}', which has {found}; {advice}")
    return Model(path, name, artifact, input_size)


def workload_of_run(
    directory: RunDirectory,
    progress: Progress | None = None,
    *,
    artifacts: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> Workload:
    """Returns the Keras model of a run and what was exported from it, on its test split.

    Args:
        directory: the run.
        progress: reports what was left half done.
        artifacts: names and patterns of the files to measure; empty for all.
        skip: names and patterns of files to leave out.

    Raises:
        OptionError: a pattern matches no file, or no file is left.
        RunError: a photo or the model has changed since the run was trained.
        ArtifactError: there are no artifacts, or one cannot be read or belongs to another run.
        DataError: a class has no test photo.
    """
    splits = directory.splits(progress)
    reference = read_artifact(directory.model)
    directory.check_model(reference.sha256)
    splits.check_unchanged(splits.test)
    exported = {path.name: path for path in directory.exported()}
    names = select_names([reference.name, *exported], artifacts, skip)
    models = [reference, *(read_exported(path, reference) for name, path in exported.items() if name in names)]
    manifest = directory.manifest()
    labels = tuple(sample.label for sample in splits.test)
    _check_every_class(labels, splits.class_names, f"the test split of '{directory.path}'")
    return Workload(
        title=manifest.title,
        folder=directory.bench,
        models=tuple(Model(model.path, model.name, model) for model in models),
        photos=tuple(splits.paths(splits.test)),
        labels=labels,
        class_names=splits.class_names,
        run=directory.path.name,
        fingerprint=sha256_of_records(
            (sample.path, splits.class_names[sample.label], sample.sha256) for sample in splits.test
        ),
        overlap=PhotoOverlap(unknown=tuple(model.name for model in models) if manifest.imported else ()),
        reference_only=reference.name not in names,
    )


def select_names(names: Sequence[str], wanted: Sequence[str], skip: Sequence[str]) -> list[str]:
    """Returns the names that a pattern of ``wanted`` matches, or all without any, and none of ``skip`` matches.

    Raises:
        OptionError: a pattern matches no name, or no name is left.
    """
    for option, patterns in (("artifacts", wanted), ("skip", skip)):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                suggestion = did_you_mean(pattern, names).replace(" ", ". ", 1)
                raise OptionError(
                    f"`{option}='{pattern}'` matches no artifact of the run; it has {', '.join(names)}{suggestion}"
                )
    chosen = [name for name in names if any(fnmatchcase(name, pattern) for pattern in wanted or ("*",))]
    left = [name for name in chosen if not any(fnmatchcase(name, pattern) for pattern in skip)]
    if not left:
        raise OptionError(f"`skip` leaves out every artifact ({', '.join(chosen)}); leave out fewer")
    return left


def workload_of_files(
    files: Sequence[Path],
    data: Path | None,
    folder: Path,
    progress: Progress,
    input_size: tuple[int, ...] = (),
    *,
    seen_photos: str = DROP,
) -> Workload:
    """Returns separate model files, on a folder of photos if one is given.

    Args:
        files: TFLite, ONNX or Keras files.
        data: photos in a layout of ``core/photo_layouts.py``, whose classes are those of the models. If it has splits,
            the test split is used, or else the validation split.
        folder: of the results.
        input_size: (height, width) of the input of files without a sidecar that leave it open.
        seen_photos: DROP or KEEP the photos that a model was trained on.

    Raises:
        ArtifactError: a file is absent, of an unknown format, or does not match its sidecar.
        OptionError: photos were given, and a file has no sidecar or other classes than the first.
        DataError: a class of models that tledge exported has no photos, or none that were not used in training, or a
            folder belongs to no class.
    """
    files = list({path.resolve(): path for path in files}.values())
    models = tuple(read_model(path, name, input_size) for path, name in zip(files, _names(files), strict=True))
    classes = [model.artifact.sidecar.class_names for model in models if model.artifact is not None]
    workload = Workload(
        title=_title([model.name for model in models]),
        folder=folder,
        models=models,
        photos=(),
        labels=(),
        class_names=classes[0] if classes else (),
    )
    if data is None:
        return workload
    for model in models:
        if model.artifact is None:
            raise OptionError(
                f"'{model.path}' has no sidecar, so it cannot be tested on `data`: describe it with"
                f" 'tledge adopt {model.path}', or leave out `data` to measure its latency alone"
            )
        if model.artifact.sidecar.class_names != classes[0]:
            raise OptionError(
                f"'{model.path}' has the classes {', '.join(model.artifact.sidecar.class_names[:5])}, but"
                f" '{models[0].path}' has {', '.join(classes[0][:5])}: benchmark models with other classes separately"
            )
    adopted = any(model.artifact.sidecar.recipe == RECIPE for model in models if model.artifact is not None)
    root, photos, labels = _read_photos(data, classes[0], progress, adopted=adopted)
    workload = replace(workload, data=str(data.resolve()))
    workload = _with_photos(workload, root, photos, labels, seen_photos=seen_photos, progress=progress)
    if mixed := describe_mixed_ranges():
        progress.warn(mixed)
    return workload


def _with_photos(
    workload: Workload,
    root: Path,
    photos: Sequence[Path],
    labels: Sequence[int],
    *,
    seen_photos: str,
    progress: Progress,
) -> Workload:
    """Returns a workload with labelled photos; those that a model was trained on are left out or kept."""
    names = workload.class_names
    records = {model.name: model.seen_photos for model in workload.models}
    complete = {name: record for name, record in records.items() if record is not None and record.complete}
    seen, digests = find_seen([record for record in records.values() if record is not None], photos, progress)
    if seen_photos == DROP:
        check_some_left(seen, labels, names, Path(workload.data))
    chosen = [index for index, used in enumerate(seen) if not used or seen_photos == KEEP]
    return replace(
        workload,
        photos=tuple(photos[index] for index in chosen),
        labels=tuple(labels[index] for index in chosen),
        fingerprint=sha256_of_records(
            (photos[index].relative_to(root).as_posix(), names[labels[index]], digests[index]) for index in chosen
        ),
        overlap=PhotoOverlap(
            seen=int(seen.sum()),
            kept=seen_photos == KEEP,
            unknown=tuple(name for name in records if name not in complete),
            exact=tuple(name for name, record in complete.items() if not record.appearance),
        ),
    )


def _title(names: Sequence[str]) -> str:
    """Returns the names of model files as a heading; of many, the first ones and the count."""
    return listed(names) if len(names) < 3 else f"{counted(len(names), 'files')} ({listed(names, 3)})"


def _leaves_size_open(path: Path) -> bool:
    """Returns whether a file that was made elsewhere takes images of any size; it can be adopted for another."""
    if sidecar_storage.extract(path, sidecar_storage.format_of(path), sidecar_storage.SIDECAR) is not None:
        return False
    try:
        return None in BareModel(path).image.shape[1:]
    except TledgeError:
        return False


def _names(files: Sequence[Path]) -> list[str]:
    """Returns the files' names, with as many of their folders as make them unique: none, one or all."""
    for name in (lambda path: path.name, lambda path: f"{path.resolve().parent.name}/{path.name}"):
        names = [name(path) for path in files]
        if len(set(names)) == len(names):
            return names
    return [str(path.resolve()) for path in files]


def _read_photos(
    data: Path, class_names: tuple[str, ...], progress: Progress, *, adopted: bool
) -> tuple[Path, tuple[Path, ...], tuple[int, ...]]:
    """Returns the folder that holds the photos, the photos, and the label of each.

    Not every class of an ``adopted`` model needs photos: who has one for the 1,000 classes of ImageNet tests a few.
    """
    if not data.exists():
        raise DataError(
            f"no folder '{data}'; expected one folder per class ({class_names[0]}/1.jpg); `data` takes {EXPECTED}"
        )
    names = [normalize("NFC", name) for name in class_names]
    found = find_photos(data, progress, known=names)
    _check_ambiguous(data, names, found.class_names, progress)
    unknown = sorted(set(found.class_names) - set(names))
    if unknown:
        raise DataError(
            f"'{data}' has folders that are not classes of the model: {', '.join(unknown[:5])}; its classes:"
            f" {', '.join(class_names[:12])}"
        )
    places = [names.index(name) for name in found.class_names]
    splits = {split for _, _, split in found.files}
    split = next((split for split in (TEST, VALIDATION) if split in splits), None)
    chosen = sorted((places[label], path) for path, label, own in found.files if split in (None, own))
    if splits - {UNASSIGNED}:
        progress.note("Photos", f"{len(chosen):,} of {len(found.files):,}: the {split or 'train'} split of '{data}'")
    if found.left_out:
        progress.note("Photos", describe_left_out(found.left_out))
    labels = tuple(label for label, _ in chosen)
    if not adopted:
        _check_every_class(labels, class_names, f"'{data}'")
    elif (present := len(set(labels))) < len(class_names):
        progress.note(
            "Photos", f"from {present:,} of the model's {len(class_names):,} classes; accuracy is that of these"
        )
    return found.root, tuple(path for _, path in chosen), labels


def _check_ambiguous(data: Path, names: Sequence[str], present: Sequence[str], progress: Progress) -> None:
    """Notes the labels of several classes, which no photo can have. Raises DataError if photos have one."""
    shared = sorted({name for name in names if names.count(name) > 1})
    ambiguous = [name for name in shared if name in present]
    if ambiguous:
        raise DataError(
            f"'{ambiguous[0]}' is the label of several classes, so its photos in '{data}' cannot be assigned to one;"
            " give each class its own label, or leave out those photos"
        )
    if shared:
        progress.note("Photos", f"none can be of {listed(shared, 5)}: the label of several classes")


def _check_every_class(labels: Sequence[int], class_names: Sequence[str], where: str) -> None:
    """Raises DataError if a class has no photo, because top-1 would then silently leave it out.

    Except for classes that share a label, or whose label cannot be the name of a folder: they cannot have any.
    """
    names = [name for name, count in Counter(class_names).items() if count == 1 and Path(name).name == name]
    present = {class_names[label] for label in labels}
    missing = [name for name in names if name not in present]
    if missing:
        raise DataError(
            f"{where} has no photo of {', '.join(missing[:5])}{' …' * (len(missing) > 5)}: its top-1 would leave"
            f" {'them' if len(missing) > 1 else 'it'} out; add some photos"
        )

"""Exporting a run: its Keras model to artifacts of several formats and recipes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.artifact import Artifact, move_artifact, read_artifact, read_exported, write_artifact
from tledge.core.environment import installed_versions
from tledge.core.errors import ArtifactError, ConversionError, OptionError, TledgeError
from tledge.core.extras import require
from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, find_run
from tledge.core.sidecar import Calibration, Sidecar
from tledge.edge_runtime import Classifier
from tledge.export.calibration import load_calibration
from tledge.export.format import FORMATS, Format
from tledge.export.recipes import RECIPES, Recipe, parse_recipes

BASELINE = "float32"
"""The recipe that every export includes, since a benchmark compares the others with it."""


@dataclass(frozen=True, kw_only=True)
class ExportedArtifact:
    """One artifact that an export made or found.

    Attributes:
        path: the model file.
        format: "tflite" or "onnx".
        recipe: its quantization.
        size: bytes.
        sha256: of the file.
        kept: it was there before and has been left as it was.
    """

    path: Path
    format: str
    recipe: str
    size: int
    sha256: str
    kept: bool

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {**asdict(self), "path": str(self.path)}


def export(
    *,
    run: str | Path | None = None,
    quantize: str | Sequence[str] = (),
    formats: str | Sequence[str] = (),
    calibration_images: int = 200,
    overwrite: bool = False,
    runs: str | Path = DEFAULT_RUNS,
    progress: Progress | None = None,
) -> list[ExportedArtifact]:
    """Exports a run's model to ``artifacts/RECIPE.FORMAT`` in its run directory.

    Args:
        run: a run directory or its name; without it, the newest finished run.
        quantize: recipes; without any, all. ``float32`` is made as well if it is not there yet: a benchmark
            compares the others with it.
        formats: "tflite", "onnx"; without any, all.
        calibration_images: how many images of the training split a calibrated recipe takes its ranges from.
        overwrite: replace artifacts that exist. Without it, one that was asked for by name is an error; others stay.
        runs: the folder of runs.
        progress: is told what happens.

    Returns:
        What was made and what was kept, in the order of the formats and recipes.

    Raises:
        TledgeError: no such run, recipe or format, an artifact that exists, or a model that cannot be converted.
    """
    progress = progress or Progress()
    recipes = parse_recipes(_as_list(quantize) or [recipe.name for recipe in RECIPES])
    kinds = _load_formats(_as_list(formats))
    directory = find_run(run, Path(runs))
    source = read_artifact(directory.model)
    jobs, kept = _plan(directory, source, kinds, recipes, named=bool(quantize), overwrite=overwrite)
    artifacts = [_describe(artifact, kept=True) for artifact in kept]
    if jobs:
        artifacts += _convert_all(directory, source, jobs, calibration_images, progress)
    order = [recipe.name for recipe in RECIPES]
    return sorted(artifacts, key=lambda item: (list(kinds).index(item.format), order.index(item.recipe)))


def _as_list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _load_formats(names: Sequence[str]) -> dict[str, Format]:
    wanted = {name.strip() for part in names for name in part.split(",") if name.strip()}
    loaded = {name: FORMATS.load(name) for name in sorted(wanted or FORMATS.names(), reverse=True)}
    for name, kind in loaded.items():
        require(*kind.modules, extra="export", purpose=f"exporting to {name}")
    return loaded


def _plan(
    directory: RunDirectory,
    source: Artifact,
    formats: dict[str, Format],
    recipes: list[Recipe],
    *,
    named: bool,
    overwrite: bool,
) -> tuple[list[tuple[Path, Format, Recipe]], list[Artifact]]:
    """What to convert, and which artifacts are there and stay: those that were not asked for by name."""
    jobs: list[tuple[Path, Format, Recipe]] = []
    kept: list[Artifact] = []
    for suffix, kind in formats.items():
        for recipe in recipes:
            if recipe.name not in kind.recipes:
                raise ConversionError(f"{suffix} has no recipe '{recipe.name}'; it has {', '.join(kind.recipes)}")
        for recipe in RECIPES:
            path = directory.artifacts / f"{recipe.name}.{suffix}"
            wanted = recipe in recipes
            if not wanted and recipe.name != BASELINE:
                continue
            if not path.exists() or (wanted and overwrite):
                jobs.append((path, kind, recipe))
            elif wanted and named:
                raise ArtifactError(f"'{path}' exists; pass --overwrite to replace it")
            else:
                kept.append(read_exported(path, source))
    return jobs, kept


def _convert_all(
    directory: RunDirectory,
    source: Artifact,
    jobs: list[tuple[Path, Format, Recipe]],
    calibration_images: int,
    progress: Progress,
) -> list[ExportedArtifact]:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise OptionError(
            f"exporting needs Keras on TensorFlow; it runs on {keras.backend.backend()}: set KERAS_BACKEND=tensorflow"
        )
    manifest = directory.manifest()
    directory.check_model(source.sha256)
    model = keras.saving.load_model(directory.model, compile=False)
    pixels, record = None, None
    if any(recipe.calibrated for _, _, recipe in jobs):
        pixels, record = load_calibration(
            directory.splits(),
            images=calibration_images,
            seed=manifest.seed,
            size=manifest.input_size,
            resize=manifest.resize,
            progress=progress,
        )
    made = []
    with progress.step("Export", len(jobs), "artifacts") as step:
        for path, kind, recipe in jobs:
            content = _convert(kind, model, recipe, pixels)
            sidecar = _describe_source(source, kind, recipe, record if recipe.calibrated else None)
            artifact = _write_checked(path, content, sidecar)
            made.append(_describe(artifact, kept=False))
            step.advance(1, artifact.name)
    return made


def _describe_source(source: Artifact, kind: Format, recipe: Recipe, calibration: Calibration | None) -> Sidecar:
    return Sidecar(
        class_names=source.sidecar.class_names,
        input_size=source.sidecar.input_size,
        resize=source.sidecar.resize,
        recipe=recipe.name,
        source_run=source.sidecar.source_run,
        source_sha256=source.sha256,
        calibration=calibration,
        versions=installed_versions(("tledge", *kind.distributions)),
    )


def _convert(kind: Format, model: Any, recipe: Recipe, calibration: Pixels | None) -> bytes:
    try:
        return kind.convert(model, recipe, calibration if recipe.calibrated else None)
    except TledgeError:
        raise
    except Exception as error:  # the converters' exception classes share no base
        raise ConversionError(
            f"{type(kind).__name__} cannot express this model in {recipe.name}: {_first_line(error)}; try another"
            " recipe or format"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _write_checked(path: Path, content: bytes, sidecar: Sidecar) -> Artifact:
    """Writes an artifact aside, runs one grey image as a device would, and only then puts it in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
        aside = write_artifact(Path(folder) / path.name, content, sidecar)
        height, width = sidecar.input_size
        with Classifier(aside.path) as classifier:
            logits = classifier.logits(np.full((1, height, width, 3), 127, np.uint8))
        if not np.isfinite(logits).all():
            raise ConversionError(f"{path.name} gave logits {logits.tolist()} on a grey image; try another recipe")
        return move_artifact(aside, path)


def _describe(artifact: Artifact, kept: bool) -> ExportedArtifact:
    return ExportedArtifact(
        path=artifact.path,
        format=artifact.format,
        recipe=artifact.sidecar.recipe,
        size=artifact.size,
        sha256=artifact.sha256,
        kept=kept,
    )

"""Exporting a run: its Keras model to artifacts of several formats and recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.artifact import Artifact, path_beside, read_artifact, write_artifact
from tledge.core.environment import installed_versions
from tledge.core.errors import ArtifactError, ConversionError, TledgeError
from tledge.core.extras import require
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
    quantize: Sequence[str] = (),
    formats: Sequence[str] = (),
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
        overwrite: replace artifacts that exist; without it, they are an error.
        runs: the folder of runs.
        progress: is told what happens.

    Returns:
        What was made, and the float32 artifacts that were kept, in the order of the formats and recipes.

    Raises:
        TledgeError: no such run, recipe or format, an artifact that exists, or a model that cannot be converted.
    """
    progress = progress or Progress()
    recipes = parse_recipes(quantize or [recipe.name for recipe in RECIPES])
    kinds = _load_formats(formats)
    directory = find_run(run, Path(runs))
    jobs, kept = _plan(directory, kinds, recipes, overwrite)
    artifacts = [_describe(artifact, kept=True) for artifact in kept]
    if jobs:
        artifacts += _convert_all(directory, jobs, calibration_images, progress)
    order = [recipe.name for recipe in RECIPES]
    return sorted(artifacts, key=lambda item: (list(kinds).index(item.format), order.index(item.recipe)))


def _load_formats(names: Sequence[str]) -> dict[str, Format]:
    wanted = {name.strip() for part in names for name in part.split(",") if name.strip()}
    loaded = {name: FORMATS.load(name) for name in sorted(wanted or FORMATS.names(), reverse=True)}
    for name, kind in loaded.items():
        require(*kind.modules, extra="export", purpose=f"exporting to {name}")
    return loaded


def _plan(
    directory: RunDirectory, formats: dict[str, Format], recipes: list[Recipe], overwrite: bool
) -> tuple[list[tuple[Path, Format, Recipe]], list[Artifact]]:
    """What to convert, and which baselines are there and may stay."""
    jobs: list[tuple[Path, Format, Recipe]] = []
    kept: list[Artifact] = []
    for suffix, kind in formats.items():
        for recipe in recipes:
            if recipe.name not in kind.recipes:
                raise ConversionError(f"{suffix} has no recipe '{recipe.name}'; it has {', '.join(kind.recipes)}")
        for recipe in RECIPES:
            path = directory.artifacts / f"{recipe.name}.{suffix}"
            if recipe in recipes:
                if path.exists() and not overwrite:
                    raise ArtifactError(f"'{path}' exists; pass --overwrite to replace it")
                jobs.append((path, kind, recipe))
            elif recipe.name == BASELINE:
                if path.exists():
                    kept.append(read_artifact(path))
                else:
                    jobs.append((path, kind, recipe))
    return jobs, kept


def _convert_all(
    directory: RunDirectory, jobs: list[tuple[Path, Format, Recipe]], calibration_images: int, progress: Progress
) -> list[ExportedArtifact]:
    import keras

    manifest = directory.manifest()
    source = read_artifact(directory.model)
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
            content = kind.convert(model, recipe, pixels if recipe.calibrated else None)
            sidecar = _describe_source(source, kind, recipe, record if recipe.calibrated else None)
            artifact = write_artifact(path, content, sidecar)
            _check_runs(artifact)
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


def _check_runs(artifact: Artifact) -> None:
    """Loads the artifact as a device would and runs one grey image; removes it and raises if that fails."""
    height, width = artifact.sidecar.input_size
    classes = len(artifact.sidecar.class_names)
    try:
        with Classifier(artifact.path) as classifier:
            logits = classifier.logits(np.full((1, height, width, 3), 127, np.uint8))
        if logits.shape != (1, classes) or not np.isfinite(logits).all():
            raise ConversionError(
                f"{artifact.name} was removed: it gave logits {logits.tolist()} on a grey image, not {classes} finite"
                " ones; try another recipe"
            )
    except TledgeError:
        path_beside(artifact.path).unlink(missing_ok=True)
        artifact.path.unlink(missing_ok=True)
        raise


def _describe(artifact: Artifact, kept: bool) -> ExportedArtifact:
    return ExportedArtifact(
        path=artifact.path,
        format=artifact.format,
        recipe=artifact.sidecar.recipe,
        size=artifact.size,
        sha256=artifact.sha256,
        kept=kept,
    )

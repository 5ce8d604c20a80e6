"""Exporting a run: its Keras model to artifacts of several formats and recipes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from tledge.core import atomic
from tledge.core.artifact import Artifact, read_artifact, read_exported
from tledge.core.errors import ArtifactError, ConversionError
from tledge.core.extras import require
from tledge.core.fingerprint import sha256_of_file
from tledge.core.options import as_tuple, takes
from tledge.core.progress import Progress, Step
from tledge.core.run_directory import RunDirectory, find_run
from tledge.export.acceptance import ArtifactRejectedError
from tledge.export.artifact_maker import ArtifactMaker, ConversionOptions
from tledge.export.export_options import ExportOptions
from tledge.export.export_record import RECORD, ExportedArtifact, ExportRecord, MaxDropSearch, describe_artifact
from tledge.export.format import FORMATS
from tledge.export.max_drop import search_artifact
from tledge.export.recipes import RECIPES, Recipe, parse_recipes

BASELINE = RECIPES[0]
"""The recipe that every export includes, since a benchmark compares the others with it."""

CANDIDATES = ("int8", "int16x8", "dynamic")
"""The recipes that a search with ``max_drop`` tries where none is named."""


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        formats: the formats, TFLite before ONNX.
        named: the recipes that were asked for by name.
        recipes: the recipes to make of each format.
    """

    formats: tuple[str, ...]
    named: tuple[Recipe, ...]
    recipes: Mapping[str, tuple[Recipe, ...]]


@dataclass(frozen=True)
class _Plan:
    """The files to convert, and the artifacts that exist and stay."""

    jobs: tuple[tuple[Path, Recipe], ...]
    kept: tuple[Artifact, ...]


@dataclass(frozen=True)
class _Converted:
    """What was converted, and why the rest was not: refused for its predictions, or not convertible."""

    artifacts: tuple[ExportedArtifact, ...] = ()
    refused: tuple[str, ...] = ()
    inconvertible: tuple[str, ...] = ()


@takes(ExportOptions)
def export(options: ExportOptions) -> ExportRecord:
    """Exports a run's model to ``artifacts/RECIPE.FORMAT`` in its run directory.

    Each artifact is run over validation photos as a device would run it, and compared with the Keras model; one whose
    predictions differ too much is refused.

    Returns:
        What was made and what was kept, in the order of the formats and recipes; ``artifacts/export.json`` holds the
        same.

    Raises:
        ArtifactRejectedError: an artifact cannot be made or its predictions differ too much; the others were made.
        TledgeError: no such run, recipe or format, an artifact that exists, or a model that cannot be converted.
    """
    progress = options.progress or Progress()
    request = check_request(options)
    directory = find_run(options.run, Path(options.runs))
    source = read_artifact(directory.model)
    plan = _plan(directory, source, request, options)
    converted, searches = _Converted(), _Searches()
    if plan.jobs or options.max_drop is not None:
        maker = ArtifactMaker(directory, source, _conversion_options(options), progress)
        maker.prepare(recipe for kind in request.formats for recipe in request.recipes[kind])
        converted = _convert(maker, plan.jobs, progress)
        if options.max_drop is not None:
            searches = _search(maker, request, options.max_drop)
    refused = [*converted.refused, *(converted.inconvertible if request.named else ()), *searches.failed]
    for reason in () if request.named else converted.inconvertible:  # everything that can be made was asked for
        progress.note("Skipped", reason)
    artifacts = [describe_artifact(artifact, kept=True) for artifact in plan.kept]
    artifacts += [*converted.artifacts, *searches.artifacts]
    order = [recipe.name for recipe in RECIPES]
    artifacts.sort(key=lambda item: (request.formats.index(item.format), order.index(item.recipe), item.path.name))
    record = ExportRecord(artifacts=tuple(artifacts), searches=searches.searches)
    if artifacts:
        _write_record(directory.artifacts, record)
    if refused:
        made = ", ".join(item.path.name for item in artifacts if not item.kept)
        raise ArtifactRejectedError("; ".join(refused) + (f" (made: {made})" if made else ""))
    return record


def _conversion_options(options: ExportOptions) -> ConversionOptions:
    return ConversionOptions(
        calibration_images=options.calibration_images,
        cpu=options.cpu,
        sparsity=options.sparsity,
        allow_drop=options.allow_drop,
    )


def _convert(maker: ArtifactMaker, jobs: Sequence[tuple[Path, Recipe]], progress: Progress) -> _Converted:
    """Converts each file; one that fails does not keep the others from being made."""
    artifacts: list[ExportedArtifact] = []
    refused: list[str] = []
    inconvertible: list[str] = []
    with progress.step("Export", len(jobs), "artifacts") if jobs else nullcontext(Step()) as step:
        for path, recipe in jobs:
            step.begin(path.name)
            try:
                artifacts.append(maker.make(path, recipe))
                step.advance()
            except ArtifactRejectedError as error:
                refused.append(str(error))
                step.advance(1, f"{path.name} refused")
            except ConversionError as error:
                inconvertible.append(str(error))
                step.advance(1, f"{path.name} skipped")
    return _Converted(tuple(artifacts), tuple(refused), tuple(inconvertible))


@dataclass(frozen=True)
class _Searches:
    """The searches for the smallest artifact within ``max_drop``, and why others failed."""

    artifacts: tuple[ExportedArtifact, ...] = ()
    searches: tuple[MaxDropSearch, ...] = ()
    failed: tuple[str, ...] = ()


def _search(maker: ArtifactMaker, request: ExportRequest, max_drop: float) -> _Searches:
    found: list[tuple[ExportedArtifact, MaxDropSearch]] = []
    failed: list[str] = []
    for kind in request.formats:
        try:
            found.append(search_artifact(maker, kind, candidates=list(request.recipes[kind]), max_drop=max_drop))
        except ConversionError as error:
            failed.append(str(error))
    return _Searches(tuple(item for item, _ in found), tuple(item for _, item in found), tuple(failed))


def _write_record(folder: Path, record: ExportRecord) -> None:
    """Writes ``export.json``, and keeps what earlier exports recorded of files that have not changed."""
    path = folder / RECORD
    content = record.to_dict()
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        recorded = {item["sha256"]: {**item, "kept": True} for item in earlier["artifacts"]}
        searches = {search["format"]: search for search in earlier["searches"]}
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or another version's
        recorded, searches = {}, {}
    recorded |= {
        item["sha256"]: item for item in content["artifacts"] if not item["kept"] or item["sha256"] not in recorded
    }
    there = {sha256_of_file(found): found for kind in FORMATS.names() for found in sorted(folder.glob(f"*.{kind}"))}
    searches |= {search["format"]: search for search in content["searches"]}
    artifacts = [recorded[sha256] for sha256 in there if sha256 in recorded]
    atomic.write_json(path, {**content, "artifacts": artifacts, "searches": list(searches.values())})


def check_request(options: ExportOptions) -> ExportRequest:
    """Checks which formats and recipes are asked for, before there is a run.

    Raises:
        ConversionError: a format does not have a recipe that was asked for by name.
        UnknownNameError: no such format or recipe.
        MissingExtraError: a library that a format needs is not installed.
    """
    formats = _load_formats(as_tuple(options.formats))
    named = parse_recipes(list(as_tuple(options.quantize))) if options.quantize else []
    recipes = _recipes_by_format(formats, named, searched=options.max_drop is not None)
    return ExportRequest(tuple(formats), tuple(named), recipes)


def _load_formats(names: Sequence[str]) -> list[str]:
    """Returns the wanted formats, TFLite before ONNX."""
    wanted = {name.strip() for part in names for name in part.split(",") if name.strip()}
    formats = sorted(wanted or FORMATS.names(), reverse=True)
    for name in formats:
        require(*FORMATS.load(name).modules, extra="export", purpose=f"exporting to {name}")
    return formats


def _recipes_by_format(
    formats: Sequence[str], named: Sequence[Recipe], *, searched: bool
) -> dict[str, tuple[Recipe, ...]]:
    """Returns the recipes to make in each format. Raises ConversionError for a named one that a format lacks."""
    found = {}
    for kind in formats:
        has = FORMATS.load(kind).recipes
        for recipe in named:
            if recipe.name not in has:
                others = [name for name in FORMATS.names() if recipe.name in FORMATS.load(name).recipes]
                raise ConversionError(
                    f"{kind} has no recipe '{recipe.name}'; it has {', '.join(has)}: choose another, or"
                    f" `formats='{','.join(others)}'`"
                )
        usual = [
            recipe for recipe in RECIPES if recipe.name in (CANDIDATES if searched else has) and not recipe.trained
        ]
        found[kind] = tuple(recipe for recipe in (named or usual) if recipe.name in has)
    return found


def _plan(directory: RunDirectory, source: Artifact, request: ExportRequest, options: ExportOptions) -> _Plan:
    """Returns the files to convert and the artifacts that stay.

    With ``max_drop`` only the baseline is converted here; the searches make the rest.

    Raises:
        ArtifactError: a file that was asked for by name, or that a search may write, exists and must not be replaced.
    """
    if options.max_drop is None:
        return _plan_recipes(directory, source, request, options)
    baselines = ExportRequest(request.formats, (), dict.fromkeys(request.formats, (BASELINE,)))
    plan = _plan_recipes(directory, source, baselines, replace(options, overwrite=False))
    _check_searched_free(directory, request, options)
    return plan


def _plan_recipes(directory: RunDirectory, source: Artifact, request: ExportRequest, options: ExportOptions) -> _Plan:
    jobs: list[tuple[Path, Recipe]] = []
    kept: list[Artifact] = []
    suffix = f"-sparse{round(100 * options.sparsity)}" if options.sparsity else ""
    for kind, wanted in request.recipes.items():
        for recipe in RECIPES:
            if recipe not in wanted and recipe != BASELINE:
                continue
            path = directory.artifacts / f"{recipe.name}{suffix}.{kind}"
            if not path.exists() or (recipe in wanted and options.overwrite):
                jobs.append((path, recipe))
            elif recipe in request.named:
                raise ArtifactError(f"'{path}' exists; pass `overwrite=True` to replace it")
            else:
                kept.append(_keep(path, source, recipe, options.cpu))
    return _Plan(tuple(jobs), tuple(kept))


def _keep(path: Path, source: Artifact, recipe: Recipe, cpu: str) -> Artifact:
    artifact = read_exported(path, source)
    if recipe.calibrated and path.suffix == ".onnx" and artifact.sidecar.cpu != cpu:
        raise ArtifactError(
            f"'{path}' exists and is for {artifact.sidecar.cpu}, not for {cpu}; pass `overwrite=True` to replace it"
        )
    return artifact


def _check_searched_free(directory: RunDirectory, request: ExportRequest, options: ExportOptions) -> None:
    """Raises ArtifactError if a file that a search may write exists and must not be replaced."""
    for kind in request.formats:
        for stem in (*(recipe.name for recipe in request.recipes[kind]), "int8-mixed"):
            path = directory.artifacts / f"{stem}.{kind}"
            if path.exists() and not options.overwrite:
                raise ArtifactError(f"'{path}' exists; pass `overwrite=True` to replace it")

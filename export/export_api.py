"""Exporting a run: its Keras model to artifacts of several formats and recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tledge.core.artifact import Artifact, read_artifact, read_exported
from tledge.core.errors import ArtifactError, ConversionError, OptionError
from tledge.core.extras import require
from tledge.core.fingerprint import sha256_of_file
from tledge.core.options import as_tuple, check_used, takes
from tledge.core.progress import Step, progress_or_default
from tledge.core.run_directory import RunDirectory, find_run
from tledge.core.temporary_files import check_writable
from tledge.export.artifact_maker import ArtifactMaker
from tledge.export.export_options import ExportOptions
from tledge.export.export_record import RECORD, ExportedArtifact, ExportRecord, MaxDropSearch, describe_artifact
from tledge.export.format import FORMATS
from tledge.export.keras_parity import ArtifactRejectedError
from tledge.export.max_drop import search_artifact
from tledge.export.recipes import RECIPES, Recipe, parse_recipes

BASELINE = RECIPES[0]
"""The recipe that every export includes, since a benchmark compares the others with it."""

CANDIDATES = ("int8", "int16x8", "dynamic")
"""The recipes that a search with ``max_drop`` tries if none is named."""


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        named: the recipes requested by name.
        recipes: the recipes to make, by format; TFLite before ONNX.
    """

    named: tuple[Recipe, ...]
    recipes: Mapping[str, tuple[Recipe, ...]]


@dataclass
class _Outcome:
    """What was exported, and why the rest was not."""

    artifacts: list[ExportedArtifact]
    searches: list[MaxDropSearch] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    inconvertible: list[str] = field(default_factory=list)
    failed_searches: list[str] = field(default_factory=list)


@takes(ExportOptions)
def export(options: ExportOptions) -> ExportRecord:
    """Exports a run's model to ``artifacts/RECIPE.FORMAT`` in its run directory.

    Each artifact is run on validation photos as a device would run it, and compared with the Keras model; one whose
    predictions differ too much is rejected.

    Returns:
        What was made and what was kept, in the order of the formats and recipes; ``artifacts/export.json`` holds the
        same.

    Raises:
        ArtifactRejectedError: an artifact cannot be made or its predictions differ too much; the others were made.
        TledgeError: no such run, recipe or format, an artifact that exists, or a model that cannot be converted.
    """
    progress = progress_or_default(options.progress)
    request = check_request(options)
    require_formats(request)
    directory = find_run(options.run, Path(options.runs), progress)
    source = read_artifact(directory.model)
    earlier = _read_record(directory.artifacts)
    jobs, kept = _plan(directory, source, request, options, recorded={item.sha256 for item in earlier.artifacts})
    outcome = _Outcome([describe_artifact(artifact, kept=True) for artifact in kept])
    directory.check_records()
    if jobs or options.max_drop is not None:
        check_writable(directory.artifacts)
        directory.check_model(source.sha256)  # and the splits: before Keras is imported
        directory.splits(progress)
        maker = ArtifactMaker(directory, source, options, progress)
        maker.prepare(recipe for recipes in request.recipes.values() for recipe in recipes)
        try:
            _convert(maker, jobs, outcome)
            if options.max_drop is not None:
                _search(maker, request, options.max_drop, outcome)
        except KeyboardInterrupt as interrupt:
            if not (made := _names_of_made(outcome)):
                raise
            _write_record(directory.artifacts, ExportRecord(artifacts=tuple(outcome.artifacts)), earlier)
            raise KeyboardInterrupt(f"made {made}; the rest was not exported") from interrupt
    for reason in () if request.named else outcome.inconvertible:  # every possible recipe was requested
        progress.note("Skipped", reason)
    artifacts, formats, order = outcome.artifacts, list(request.recipes), [recipe.name for recipe in RECIPES]
    artifacts.sort(key=lambda item: (formats.index(item.format), order.index(item.recipe), item.path.name))
    record = ExportRecord(artifacts=tuple(artifacts), searches=tuple(outcome.searches))
    if artifacts:
        _write_record(directory.artifacts, record, earlier)
    inconvertible = outcome.inconvertible if request.named else []
    if failed := [*outcome.rejected, *inconvertible, *outcome.failed_searches]:
        made = _names_of_made(outcome)
        raise ArtifactRejectedError("; ".join(failed) + (f" (made: {made})" if made else ""), record)
    return record


def _names_of_made(outcome: _Outcome) -> str:
    return ", ".join(item.path.name for item in outcome.artifacts if not item.kept)


def _convert(maker: ArtifactMaker, jobs: Sequence[tuple[Path, Recipe]], outcome: _Outcome) -> None:
    """Converts each file; the others are still made if one fails."""
    with maker.progress.step("Export", len(jobs), "artifacts") if jobs else nullcontext(Step()) as step:
        for path, recipe in jobs:
            step.begin(path.name)
            try:
                outcome.artifacts.append(maker.make(path, recipe))
                step.advance()
            except ArtifactRejectedError as error:
                outcome.rejected.append(str(error))
                step.advance(1, f"{path.name} rejected")
            except ConversionError as error:
                outcome.inconvertible.append(str(error))
                step.advance(1, f"{path.name} skipped")


def _search(maker: ArtifactMaker, request: ExportRequest, max_drop: float, outcome: _Outcome) -> None:
    """Searches for the smallest artifact of each format within ``max_drop``."""
    for kind, candidates in request.recipes.items():
        try:
            artifact, search = search_artifact(maker, kind, candidates=candidates, max_drop=max_drop)
        except ConversionError as error:
            outcome.failed_searches.append(str(error))
        else:
            outcome.artifacts.append(artifact)
            outcome.searches.append(search)


def _read_record(folder: Path) -> ExportRecord:
    """Reads ``export.json``; an empty record if there is none. Raises ArtifactError if it is damaged."""
    path = folder / RECORD
    return ExportRecord.load(path) if path.exists() else ExportRecord(artifacts=())


def _write_record(folder: Path, record: ExportRecord, earlier: ExportRecord) -> None:
    """Writes ``export.json``, and keeps what earlier exports recorded of files that have not changed."""
    recorded = {item.sha256: replace(item, kept=True) for item in earlier.artifacts}
    recorded |= {item.sha256: item for item in record.artifacts if not item.kept or item.sha256 not in recorded}
    there = [sha256_of_file(found) for kind in FORMATS.names() for found in sorted(folder.glob(f"*.{kind}"))]
    searches = {search.format: search for search in (*earlier.searches, *record.searches)}
    artifacts = tuple(recorded[sha256] for sha256 in dict.fromkeys(there) if sha256 in recorded)
    ExportRecord(artifacts=artifacts, searches=tuple(searches.values())).save(folder / RECORD)


def check_request(options: ExportOptions) -> ExportRequest:
    """Checks which formats and recipes are requested, before there is a run.

    Raises:
        OptionError: a format does not have a recipe that was requested by name.
        UnknownNameError: no such format or recipe.
    """
    formats = {name.strip() for part in as_tuple(options.formats) for name in part.split(",") if name.strip()}
    kinds = sorted(formats or FORMATS.names(), reverse=True)
    named = parse_recipes(as_tuple(options.quantize)) if options.quantize else []
    if "onnx" not in kinds:
        check_used(options, ("cpu",), "without the format onnx: TFLite files are the same for every CPU")
    return ExportRequest(
        tuple(named), {kind: _recipes_of(kind, named, searched=options.max_drop is not None) for kind in kinds}
    )


def require_formats(request: ExportRequest) -> None:
    """Raises MissingExtraError if a library that a requested format needs is not installed."""
    for kind in request.recipes:
        require(*FORMATS.load(kind).modules, extra="export", purpose=f"exporting to {kind}")


def _recipes_of(kind: str, named: Sequence[Recipe], *, searched: bool) -> tuple[Recipe, ...]:
    """Returns the recipes to make in a format. Raises OptionError if it does not have one of the ``named``."""
    has = FORMATS.load(kind).recipes
    for recipe in named:
        if recipe.name not in has:
            others = [name for name in FORMATS.names() if recipe.name in FORMATS.load(name).recipes]
            raise OptionError(
                f"{kind} has no recipe '{recipe.name}'; it has {', '.join(has)}: choose another, or"
                f" `formats='{','.join(others)}'`"
            )
    usual = [recipe for recipe in RECIPES if recipe.name in (CANDIDATES if searched else has) and not recipe.trained]
    return tuple(recipe for recipe in (named or usual) if recipe.name in has)


def _plan(
    directory: RunDirectory,
    source: Artifact,
    request: ExportRequest,
    options: ExportOptions,
    *,
    recorded: Collection[str],
) -> tuple[list[tuple[Path, Recipe]], list[Artifact]]:
    """Returns the files to convert, and the artifacts that exist and stay.

    With ``max_drop`` only the baseline is converted here; the searches make the rest. What an export made and could
    not record, because it was killed, is made again.

    Args:
        recorded: the SHA-256 of the artifacts that earlier exports recorded.

    Raises:
        ArtifactError: a file that was requested by name, or that a search may write, exists and must not be replaced.
    """
    jobs: list[tuple[Path, Recipe]] = []
    kept: list[Artifact] = []
    searched = options.max_drop is not None
    suffix = f"-sparse{round(100 * options.sparsity)}" if options.sparsity else ""
    for kind, recipes in request.recipes.items():
        for recipe in RECIPES:
            wanted = recipe in recipes and not searched
            path = directory.artifacts / f"{recipe.name}{suffix}.{kind}"
            if not wanted and recipe != BASELINE:
                continue
            if not path.exists() or (wanted and options.overwrite):
                jobs.append((path, recipe))
            elif wanted and recipe in request.named:
                _check_replaceable(path, source, recorded)
                jobs.append((path, recipe))
            else:
                kept.append(_keep(path, source, recipe, options.cpu))
    if searched and not options.overwrite:
        for kind, recipes in request.recipes.items():
            for stem in (*(recipe.name for recipe in recipes), "int8-mixed"):
                if (path := directory.artifacts / f"{stem}.{kind}").exists():
                    _check_replaceable(path, source, recorded)
    return jobs, kept


def _check_replaceable(path: Path, source: Artifact, recorded: Collection[str]) -> None:
    """Raises ArtifactError unless an export of the same model made a file and was killed before it recorded that."""
    if sha256_of_file(path) not in recorded:
        with suppress(ArtifactError):
            read_exported(path, source)
            return
    raise ArtifactError(f"'{path}' exists; pass `overwrite=True` to replace it")


def _keep(path: Path, source: Artifact, recipe: Recipe, cpu: str) -> Artifact:
    artifact = read_exported(path, source)
    if recipe.calibrated and path.suffix == ".onnx" and artifact.sidecar.cpu != cpu:
        raise ArtifactError(
            f"'{path}' exists and is for {artifact.sidecar.cpu}, not for {cpu}; pass `overwrite=True` to replace it"
        )
    return artifact

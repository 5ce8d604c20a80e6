"""Exporting a run: its Keras model to artifacts of several formats and recipes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from tledge.core import atomic
from tledge.core.artifact import Artifact, read_artifact, read_exported
from tledge.core.cpu import CPUS
from tledge.core.errors import ArtifactError, ConversionError, OptionError, UnknownNameError
from tledge.core.extras import require
from tledge.core.fingerprint import sha256_of_file
from tledge.core.progress import Progress, Step
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, find_run
from tledge.export.acceptance import ArtifactRejectedError
from tledge.export.artifact_maker import ArtifactMaker, ConversionOptions
from tledge.export.export_record import RECORD, ExportRecord, MaxDropSearch, describe_artifact
from tledge.export.format import FORMATS
from tledge.export.max_drop import search_artifact
from tledge.export.recipes import RECIPES, Recipe, parse_recipes

BASELINE = RECIPES[0]
"""The recipe that every export includes, since a benchmark compares the others with it."""

CANDIDATES = ("int8", "int16x8", "dynamic")
"""What a contract is tried with where no recipe is named."""


def export(
    *,
    run: str | Path | None = None,
    quantize: str | Sequence[str] = (),
    formats: str | Sequence[str] = (),
    calibration_images: int = 200,
    cpu: str = "any",
    max_drop: float | None = None,
    sparsity: float = 0.0,
    allow_drop: bool = False,
    overwrite: bool = False,
    runs: str | Path = DEFAULT_RUNS,
    progress: Progress | None = None,
) -> ExportRecord:
    """Exports a run's model to ``artifacts/RECIPE.FORMAT`` in its run directory.

    Each artifact is run over validation photos as a device would run it, and compared with the Keras model; one that
    answers too differently is refused.

    Args:
        run: a run directory or its name; without it, the newest finished run.
        quantize: recipes; without any, all that a format has but ``qat``, which takes minutes of training. ``float32``
            is made as well if it is not there yet: a benchmark compares the others with it.
        formats: "tflite", "onnx"; without any, both.
        calibration_images: how many images of the training split a calibrated recipe takes its ranges from.
        cpu: the CPU that ONNX integers are for: "any", "x86" or "arm".
        max_drop: points of top-1 that may be lost on the validation split. Then one artifact a format is made: the
            smallest of the named recipes (without any: of ``CANDIDATES``) that keeps to it, or int8 with some layers
            left in float32 ("int8-mixed").
        sparsity: the fraction of weights that is pruned first, in some epochs of training; the artifacts' names tell.
        allow_drop: keep artifacts that answer too differently.
        overwrite: replace artifacts that exist. Without it, one that was asked for by name is an error; others stay.
        runs: the folder of runs.
        progress: is told what happens.

    Returns:
        What was made and what was kept, in the order of the formats and recipes; ``artifacts/export.json`` holds the
        same.

    Raises:
        ArtifactRejectedError: an artifact cannot be made or answers too differently; the others were made.
        TledgeError: no such run, recipe or format, an artifact that exists, or a model that cannot be converted.
    """
    progress = progress or Progress()
    kinds, named, recipes = check_request(quantize, formats, cpu=cpu, max_drop=max_drop, sparsity=sparsity)
    directory = find_run(run, Path(runs))
    source = read_artifact(directory.model)
    terms = ConversionOptions(calibration_images=calibration_images, cpu=cpu, sparsity=sparsity, allow_drop=allow_drop)
    if max_drop is not None:
        baselines = {kind: [BASELINE] for kind in kinds}
        jobs, kept = _plan(directory, source, baselines, set(), overwrite=False, sparsity=0.0, cpu=cpu)
        _check_free(directory, kinds, recipes, overwrite)
    else:
        jobs, kept = _plan(
            directory,
            source,
            recipes,
            {recipe.name for recipe in named},
            overwrite=overwrite,
            sparsity=sparsity,
            cpu=cpu,
        )
    artifacts = [describe_artifact(artifact, kept=True) for artifact in kept]
    searches: list[MaxDropSearch] = []
    refused: list[str] = []
    left_out: list[str] = []
    if jobs or max_drop is not None:
        maker = ArtifactMaker(directory, source, terms, progress)
        maker.prepare(recipe for kind in kinds for recipe in recipes[kind])
        with progress.step("Export", len(jobs), "artifacts") if jobs else nullcontext(Step()) as step:
            for path, recipe in jobs:
                try:
                    artifacts.append(maker.make(path, recipe))
                    step.advance(1, path.name)
                except ArtifactRejectedError as error:  # the others are made all the same
                    refused.append(str(error))
                    step.advance(1, f"{path.name} refused")
                except ConversionError as error:
                    left_out.append(str(error))
                    step.advance(1, f"{path.name} left out")
        if named:
            refused += left_out
        else:  # all recipes that can be made were asked for
            for reason in left_out:
                progress.note("Left out", reason)
        for kind in kinds if max_drop is not None else ():
            try:
                artifact, found = search_artifact(maker, kind, candidates=recipes[kind], max_drop=max_drop or 0.0)
                artifacts.append(artifact)
                searches.append(found)
            except ConversionError as error:
                refused.append(str(error))
    order = [recipe.name for recipe in RECIPES]
    artifacts.sort(key=lambda item: (kinds.index(item.format), order.index(item.recipe), item.path.name))
    record = ExportRecord(artifacts=tuple(artifacts), searches=tuple(searches))
    if artifacts:
        _write_record(directory.artifacts, record)
    if refused:
        made = ", ".join(item.path.name for item in artifacts if not item.kept)
        raise ArtifactRejectedError("; ".join(refused) + (f" (made: {made})" if made else ""))
    return record


def _write_record(folder: Path, record: ExportRecord) -> None:
    """Writes ``export.json``, which goes on saying what earlier exports said of files that are as they were."""
    path = folder / RECORD
    content = record.to_dict()
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        told = {item["sha256"]: {**item, "kept": True} for item in earlier["artifacts"]}
        searches = {search["format"]: search for search in earlier["searches"]}
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or another version's
        told, searches = {}, {}
    told |= {item["sha256"]: item for item in content["artifacts"] if not item["kept"] or item["sha256"] not in told}
    there = {sha256_of_file(found): found for kind in FORMATS.names() for found in sorted(folder.glob(f"*.{kind}"))}
    searches |= {search["format"]: search for search in content["searches"]}
    artifacts = [told[sha256] for sha256 in there if sha256 in told]
    atomic.write_json(path, {**content, "artifacts": artifacts, "searches": list(searches.values())})


def check_request(
    quantize: str | Sequence[str] = (),
    formats: str | Sequence[str] = (),
    *,
    cpu: str = "any",
    max_drop: float | None = None,
    sparsity: float = 0.0,
) -> tuple[list[str], list[Recipe], dict[str, list[Recipe]]]:
    """Checks what can be checked of a request before there is a run.

    Returns:
        The formats, the recipes that were named, and those to make of each format.

    Raises:
        TledgeError: what ``export`` would raise for the same.
    """
    kinds = _load_formats(_as_list(formats))
    named = parse_recipes(_as_list(quantize)) if quantize else []
    recipes = _recipes_by_format(kinds, named, searched=max_drop is not None)
    _check(cpu, max_drop, sparsity)
    return kinds, named, recipes


def _as_list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _load_formats(names: Sequence[str]) -> list[str]:
    """The wanted formats, TFLite before ONNX. Raises where what they need is not installed."""
    wanted = {name.strip() for part in names for name in part.split(",") if name.strip()}
    kinds = sorted(wanted or FORMATS.names(), reverse=True)
    for kind in kinds:
        require(*FORMATS.load(kind).modules, extra="export", purpose=f"exporting to {kind}")
    return kinds


def _recipes_by_format(kinds: Sequence[str], named: Sequence[Recipe], searched: bool) -> dict[str, list[Recipe]]:
    """The recipes to make in each format. Raises ConversionError for a pair that was asked for and does not exist."""
    found = {}
    for kind in kinds:
        has = FORMATS.load(kind).recipes
        for recipe in named:
            if recipe.name not in has:
                raise ConversionError(
                    f"{kind} has no recipe '{recipe.name}'; it has {', '.join(has)}: choose another, or --format"
                    f" {','.join(name for name in FORMATS.names() if recipe.name in FORMATS.load(name).recipes)}"
                )
        usual = [
            recipe for recipe in RECIPES if recipe.name in (CANDIDATES if searched else has) and not recipe.trained
        ]
        found[kind] = [recipe for recipe in (named or usual) if recipe.name in has]
    return found


def _check(cpu: str, max_drop: float | None, sparsity: float) -> None:
    if cpu not in CPUS:
        raise UnknownNameError("CPU", cpu, CPUS)
    if max_drop is not None and not 0 <= max_drop <= 100:
        raise OptionError(f"--max-drop is points of top-1, 0 to 100; received {max_drop:g}")
    if sparsity and not 0.05 <= sparsity <= 0.95:
        raise OptionError(f"--sparsity must be between 0.05 and 0.95; received {sparsity:g}")
    if sparsity and max_drop is not None:
        raise OptionError("--sparsity and --max-drop do not go together: export with the one, then with the other")


def _plan(
    directory: RunDirectory,
    source: Artifact,
    recipes: dict[str, list[Recipe]],
    named: set[str],
    *,
    overwrite: bool,
    sparsity: float,
    cpu: str,
) -> tuple[list[tuple[Path, Recipe]], list[Artifact]]:
    """What to convert, and which artifacts are there and stay: those that were not asked for by name."""
    jobs: list[tuple[Path, Recipe]] = []
    kept: list[Artifact] = []
    suffix = f"-sparse{round(100 * sparsity)}" if sparsity else ""
    for kind, wanted in recipes.items():
        for recipe in RECIPES:
            if recipe not in wanted and recipe != BASELINE:
                continue
            path = directory.artifacts / f"{recipe.name}{suffix}.{kind}"
            if not path.exists() or (recipe in wanted and overwrite):
                jobs.append((path, recipe))
            elif recipe.name in named:
                raise ArtifactError(f"'{path}' exists; pass --overwrite to replace it")
            else:
                kept.append(_keep(path, source, recipe, cpu))
    return jobs, kept


def _keep(path: Path, source: Artifact, recipe: Recipe, cpu: str) -> Artifact:
    artifact = read_exported(path, source)
    if recipe.calibrated and path.suffix == ".onnx" and artifact.sidecar.cpu != cpu:
        raise ArtifactError(
            f"'{path}' exists and is for {artifact.sidecar.cpu}, not for {cpu}; pass --overwrite to replace it"
        )
    return artifact


def _check_free(
    directory: RunDirectory, kinds: Sequence[str], recipes: dict[str, list[Recipe]], overwrite: bool
) -> None:
    """Raises ArtifactError if what a contract may come to is there and must not be replaced."""
    for kind in kinds:
        for stem in (*(recipe.name for recipe in recipes[kind]), "int8-mixed"):
            path = directory.artifacts / f"{stem}.{kind}"
            if path.exists() and not overwrite:
                raise ArtifactError(f"'{path}' exists; pass --overwrite to replace it")

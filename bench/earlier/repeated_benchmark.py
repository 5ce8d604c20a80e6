"""Repeating an earlier benchmark from its ``results.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.bench.measure.durations import DURATION_PRESETS
from tledge.bench.results.bench_options import AttackOptions, MeasurementOptions
from tledge.bench.results.results_folder import EARLIER, ResultsFolder
from tledge.bench.results.settings import NAME, BenchSettings
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.core.errors import MeasurementError
from tledge.core.folder_contents import finish_replacement
from tledge.core.measurement import read_results
from tledge.core.options import given_options, options_of
from tledge.core.progress import Progress


@dataclass(frozen=True)
class Repetition:
    """An earlier benchmark's settings, and the keyword arguments of ``bench`` that measure the same."""

    settings: BenchSettings
    arguments: Mapping[str, Any]

    def differences(self, again: BenchSettings) -> list[str]:
        """Returns what differed when the benchmark was repeated, in sentences."""
        before = self.settings
        found = [
            f"{name} has changed: SHA-256 {again.artifacts[name][:12]}… now, {sha256[:12]}… then"
            for name, sha256 in before.artifacts.items()
            if name in again.artifacts and again.artifacts[name] != sha256
        ]
        found += [f"{name} no longer exists" for name in before.artifacts if name not in again.artifacts]
        found += [f"{name} is new" for name in again.artifacts if name not in before.artifacts]
        if before.photos != again.photos:
            found.append("the photos or their labels have changed")
        if before.attacked_with != again.attacked_with:
            found.append("the attack set or the surrogate has changed")
        if before.attacks and before.attack_versions != again.attack_versions:
            found.append("an attack has changed: the same options find other images")
        if before.version != again.version:
            found.append(f"tledge {again.version} now, {before.version} then")
        return found


def read_repetition(results: Path, progress: Progress | None = None) -> Repetition:
    """Reads the options that measure the same again.

    Args:
        results: a ``results.jsonl``, its ``run.json`` beside it, or their folder.
        progress: reports that an interrupted replacement of the results is finished first.

    Raises:
        MeasurementError: no results, no record of how they were measured, or the run or files no longer exist.
    """
    results = ResultsFolder(results).results if results.is_dir() else results
    folder = finish_replacement(results.parent, progress)
    read_results(folder / results.name)
    settings = BenchSettings.load(folder)
    arguments = {item.name: getattr(settings, item.name) for item in options_of(MeasurementOptions)}
    if DURATION_PRESETS[settings.rigor].fixed:
        del arguments["seconds"]
    if not settings.rounds:  # nothing was timed, and the place chose the targets
        arguments = {name: arguments[name] for name in ("run", "files", "data", "seen_photos", "budget", "on")}
    elif settings.attacks:
        plan = AttackPlan.from_dict(settings.attacks, folder / NAME)
        arguments |= given_options(plan.options(), AttackOptions)
    arguments |= {"artifacts": settings.selected, "skip": settings.left_out}
    if settings.run:
        arguments["run"] = _find_run(results)
    else:
        arguments["output"] = _folder(results)
        for name in settings.files:
            if not Path(name).is_file():
                raise MeasurementError(f"'{name}', which '{results}' was measured on, no longer exists; restore it")
    return Repetition(settings, {name: value for name, value in arguments.items() if value not in ("", 0, ())})


def _folder(results: Path) -> Path:
    """Returns the folder of results that a file belongs to, also if it is in the folder of earlier results."""
    folder = results.resolve().parent
    return folder.parent.parent if folder.parent.name == EARLIER else folder


def _find_run(results: Path) -> Path:
    """Returns the run directory whose bench folder holds the results."""
    run = _folder(results).parent
    if not (run / "run.json").is_file():
        raise MeasurementError(
            f"'{results}' is not within its run: '{run}' has no run.json; move it back into the bench folder of the run"
        )
    return run

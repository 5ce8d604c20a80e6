"""Doing an earlier benchmark again: ``--repeat results.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.bench.measure.durations import DURATION_PRESETS
from tledge.bench.results.results_folder import EARLIER
from tledge.bench.results.settings import BenchSettings
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.core.errors import MeasurementError
from tledge.core.measurement import read_results


@dataclass(frozen=True)
class Repetition:
    """An earlier benchmark, ready to be done again.

    Attributes:
        settings: what it was asked for.
        arguments: keyword arguments of ``bench`` that ask for the same.
    """

    settings: BenchSettings
    arguments: Mapping[str, Any]

    def differences(self, again: BenchSettings) -> list[str]:
        """What was not the same the second time, in sentences."""
        before = self.settings
        found = [
            f"{name} is another file now: SHA-256 {again.artifacts[name][:12]}…, then {sha256[:12]}…"
            for name, sha256 in before.artifacts.items()
            if name in again.artifacts and again.artifacts[name] != sha256
        ]
        found += [f"{name} is gone" for name in before.artifacts if name not in again.artifacts]
        found += [f"{name} is new" for name in again.artifacts if name not in before.artifacts]
        if before.photos != again.photos:
            found.append("the photos or their labels are others")
        if before.attacked_with != again.attacked_with:
            found.append("the attack set or the surrogate is another one")
        if before.version != again.version:
            found.append(f"tledge {again.version}, then {before.version}")
        return found


def read_repetition(results: Path) -> Repetition:
    """Reads what must be asked for to measure the same again.

    Args:
        results: a ``results.jsonl``, its ``run.json`` beside it.

    Raises:
        MeasurementError: no results, no record of how they were measured, or the run or files are gone.
    """
    read_results(results)
    settings = BenchSettings.load(results.parent)
    arguments: dict[str, Any] = {
        "targets": settings.targets,
        "rigor": settings.rigor,
        "seconds": None if DURATION_PRESETS[settings.rigor].fixed else settings.seconds,
        "rounds": settings.rounds,
        "batch_sizes": settings.batch_sizes,
        "corruptions": settings.corruptions,
    }
    if settings.corruption_images:
        arguments["corruption_images"] = settings.corruption_images
    if settings.attacks:
        arguments.update(AttackPlan.from_dict(settings.attacks, results.parent).options())
    if settings.on:
        arguments["on"] = settings.on
        if not settings.rounds:  # nothing was timed, nor a target chosen
            arguments = {"on": settings.on}
    if settings.run:
        return Repetition(settings, {**arguments, "run": _find_run(results)})
    for name in settings.files:
        if not Path(name).is_file():
            raise MeasurementError(f"'{results}' is of '{name}', which is gone; put it back")
    return Repetition(
        settings,
        {**arguments, "files": settings.files, "data": settings.data or None, "output": _folder(results)},
    )


def _folder(results: Path) -> Path:
    """The folder of results that a file stands in, also where it was set aside there."""
    folder = results.resolve().parent
    return folder.parent.parent if folder.parent.name == EARLIER else folder


def _find_run(results: Path) -> Path:
    """The run directory whose ``bench`` the results stand in."""
    run = _folder(results).parent
    if not (run / "run.json").is_file():
        raise MeasurementError(
            f"'{results}' is not within its run: '{run}' has no run.json; repeat it where it was measured, or put it"
            " back into the bench folder of the run"
        )
    return run

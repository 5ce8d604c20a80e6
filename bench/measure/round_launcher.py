"""Starting the process of one round, watching the board meanwhile, and reading what it measured."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tledge.bench.measure.board import BoardSampler
from tledge.bench.measure.endings import describe_end
from tledge.bench.results.cell_result import Round, Specification
from tledge.core.child import python_module, quiet_environment
from tledge.core.errors import MeasurementError

TIMEOUT = 12 * 3600.0
"""Seconds after which a round is taken for stuck; one of them classifies all test photos, on whatever device."""


ROOT = Path("/")
"""Where ``/proc`` and ``/sys`` of the board are."""


def measure_in_own_process(specification: Specification, name: str) -> tuple[Round, float]:
    """Runs one round in a fresh process.

    Args:
        specification: what it has to do.
        name: what errors call it.

    Returns:
        What it measured, with what the board told meanwhile, and the ms from its start to its first answer.

    Raises:
        MeasurementError: it ended in an error, was killed, or hangs.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _run(specification, name, Path(folder))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise MeasurementError(f"{name} could not be measured: {error}") from error


def _run(specification: Specification, name: str, folder: Path) -> tuple[Round, float]:
    told, result = folder / "round.json", folder / "round.npz"
    specification.save(told)
    try:
        with BoardSampler(ROOT) as sampler:
            began = time.monotonic_ns()
            finished = subprocess.run(
                python_module("tledge.bench.measure.round_worker", told, result),
                env=quiet_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{name} gave no answer for {TIMEOUT / 3600:.0f} hours") from error
    if finished.stderr:
        sys.stderr.write(f"--- {name}\n{finished.stderr}")  # for the log
    if finished.returncode != 0:
        raise MeasurementError(f"{name} {describe_end(finished.returncode, finished.stderr)}")
    measured = Round.load(result)
    conditions = measured.conditions.with_board(sampler.readings)
    return replace(measured, conditions=conditions), (measured.answered - began) / 1e6

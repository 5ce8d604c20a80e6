"""Starts the process of one round, samples the board meanwhile, and reads what the process measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tledge.bench.measure.board import BoardSampler
from tledge.bench.results.cell_result import Round, Specification
from tledge.core.errors import MeasurementError
from tledge.core.temporary_files import temporary_folder
from tledge.core.worker import Worker, python_module

TIMEOUT = 12 * 3600.0
"""Seconds after which a round counts as stuck; the first round classifies all test photos, on any device."""

ROOT = Path("/")
"""Where ``/proc`` and ``/sys`` of the board are."""


def measure_in_own_process(specification: Specification, name: str) -> tuple[Round, float]:
    """Runs one round in a fresh process; error messages name the cell.

    Returns:
        The round, with the board's readings, and its cold start: ms from the start of the process to the first
        inference result.

    Raises:
        MeasurementError: the process reported an error, was killed, or exceeded the timeout.
    """
    command = python_module("tledge.bench.measure.round_worker")
    try:
        with temporary_folder() as folder:
            path = folder / "round.npz"
            request = {"specification": specification.to_dict(), "result": str(path)}
            with BoardSampler(ROOT) as sampler, Worker(command, name=name, timeout=TIMEOUT) as worker:
                worker.ask(request)
            measured = Round.load(path)
    except OSError as error:
        raise MeasurementError(f"{name} could not be measured: {error}") from error
    conditions = measured.conditions.with_board(sampler.readings)
    return replace(measured, conditions=conditions), cold_start(worker.started, measured.answered)


def cold_start(started: int, answered: int) -> float:
    """Returns the ms between two times in ns of the monotonic clock: process started, first inference finished."""
    return (answered - started) / 1e6

"""A budget of ``compare()`` chooses among the files of each machine; those of the benchmarks are not applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from comparison_sample import Machine
from leaderboard_sample import BOARD, cells, write_run

from tledge.bench import compare
from tledge.bench.leaderboard.compare_api import CompareRecord
from tledge.bench.leaderboard.leaderboard import OTHER_BUDGETS
from tledge.core.errors import OptionError, UnknownNameError

pytestmark = pytest.mark.unit


def compared(folder: Path, budget: str | Sequence[str] = ()) -> CompareRecord:
    return compare(runs=folder / "runs", output=folder / "compare", budget=budget)


def test_it_applies_to_each_machine(tmp_path: Path) -> None:
    """Files of 2.9 to 4 ms on the workstation, and of 14 to 20 ms on the board."""
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6))
    write_run(tmp_path / "runs", "b", 2, cells("b", 20.0, 6), machine=Machine(environment=BOARD))
    free = compared(tmp_path)
    assert all(board.recommendation.chosen is not None for board in free.leaderboard.machines)
    assert free.to_dict()["budget"] == []
    record = compared(tmp_path, ["p90_ms <= 10"])
    fast, slow = (board.recommendation for board in record.leaderboard.machines)
    assert fast.chosen is not None
    assert slow.chosen is None
    assert slow.budget is not None
    assert all(item.missed for item in slow.budget.rows)
    assert record.to_dict()["budget"] == ["p90_ms <= 10"]
    page, markdown = (path.read_text(encoding="utf-8") for path in record.files)
    assert "The recommended files have to meet p90_ms &lt;= 10." in page
    title = record.leaderboard.machines[1].card.title
    assert "meets the budget" in title
    assert title in markdown


def test_the_budget_of_a_benchmark_is_named_and_not_applied(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6), budget=("p90_ms <= 0.1",))
    record = compared(tmp_path)
    (board,) = record.leaderboard.machines
    assert board.recommendation.chosen is not None
    assert board.recommendation.budget is None
    assert OTHER_BUDGETS in record.leaderboard.notes


def test_limits_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="wrong direction"):
        compared(tmp_path, "p90_ms >= 20")
    with pytest.raises(UnknownNameError, match="p91_ms"):
        compared(tmp_path, "p91_ms <= 20")

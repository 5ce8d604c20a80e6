"""What relaxing a limit would gain: every relaxed budget that is named is given to the rule, which has to agree."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from timed_files import FAST, SLOW_ROUNDS, file, of, with_tail

from tledge.bench.report.recommendation_card import recommendation_card
from tledge.bench.results.budget_result import Relaxation
from tledge.bench.results.limit_relaxation import _rounded, gains_of
from tledge.bench.results.stored_results import StoredCell

pytestmark = pytest.mark.unit

VERY_SLOW = (4.0, 4.01, 3.99)


def relaxed(*cells: StoredCell, budget: Sequence[str]) -> Relaxation:
    found = of(*cells, budget=budget).recommendation.budget
    assert found is not None
    (relaxation,) = found.relaxed
    return relaxation


def chosen(*cells: StoredCell, budget: Sequence[str]) -> str:
    found = of(*cells, budget=budget).recommendation.chosen
    return "" if found is None else found.artifact


def why(*cells: StoredCell, budget: Sequence[str]) -> tuple[str, ...]:
    data = of(*cells, budget=budget)
    return recommendation_card(data, data.recommendation).why


def test_a_relaxed_limit_is_one_with_which_the_rule_chooses_the_row() -> None:
    """Ten mistakes are significantly more than none, but not than five, and five are not more than none."""
    cells = file("c.tflite", wrong=10), file("b.tflite", SLOW_ROUNDS, wrong=5), file("a.tflite", VERY_SLOW)
    found = relaxed(*cells, budget=["p90_ms <= 2"])
    assert chosen(*cells, budget=["p90_ms <= 2.5"]) == "c.tflite", "b.tflite alone does not rule it out"
    assert found.row is not None
    assert (found.row.artifact, found.text, found.preferred) == ("b.tflite", "p90_ms <= 4.9", True)
    assert chosen(*cells, budget=["p90_ms <= 2"]) == "c.tflite"
    assert chosen(*cells, budget=[found.text]) == "b.tflite"


def test_the_smallest_relaxation_that_changes_the_choice_is_named() -> None:
    cells = file("c.tflite", wrong=30), file("b.tflite", SLOW_ROUNDS, wrong=9), file("a.tflite", VERY_SLOW)
    found = relaxed(*cells, budget=["p90_ms <= 2"])
    assert found.row is not None
    assert (found.row.artifact, found.text) == ("b.tflite", "p90_ms <= 2.5")
    assert chosen(*cells, budget=[found.text]) == "b.tflite"


def test_a_row_that_meets_a_relaxed_limit_but_is_not_chosen_is_not_called_preferred() -> None:
    cells = file("a.tflite", SLOW_ROUNDS), file("b.tflite", wrong=20)
    found = relaxed(*cells, budget=["top1 >= 0.95"])
    assert found.row is not None
    assert (found.row.artifact, found.preferred, found.gains) == ("b.tflite", False, ("latency_p90",))
    assert chosen(*cells, budget=[found.text]) == "a.tflite"
    assert (
        "With top1 >= 0.85, b.tflite on litert:cpu:2 would meet the budget, too"
        in why(*cells, budget=["top1 >= 0.95"])[-1]
    )


def test_rows_that_cannot_be_compared_leave_open_what_is_gained() -> None:
    chosen_one = file("a.tflite", size=1e6)
    flagged = file("b.tflite", FAST, size=9e6, flags=("noisy",))
    assert not relaxed(chosen_one, flagged, budget=["size_mb <= 5"]).known
    assert why(chosen_one, flagged, budget=["size_mb <= 5"])[-1] == (
        "Whether relaxing size_mb <= 5 alone gains anything is not known."
    )
    slow = file("b.tflite", SLOW_ROUNDS, size=9e6)
    assert relaxed(chosen_one, slow, budget=["size_mb <= 5"]) == Relaxation(
        limit=of(chosen_one, budget=["size_mb <= 5"]).budget[0]
    )


def test_a_flagged_file_that_a_relaxed_limit_admits_is_named_if_every_file_misses_it() -> None:
    noisy = [file(name, size=size, flags=("noisy",)) for name, size in (("a.tflite", 3e6), ("b.tflite", 2e6))]
    assert why(*noisy, budget=["size_mb <= 1"])[-1] == (
        "With size_mb <= 2, b.tflite on litert:cpu:2 would meet the budget."
    )


def test_a_file_that_is_not_decided_for_another_limit_leaves_open_whether_a_relaxation_is_enough() -> None:
    cells = file("a.tflite", size=3e6, flags=("noisy",)), file("b.tflite", SLOW_ROUNDS, size=4e6)
    sentences = why(*cells, budget=["size_mb <= 1", "p90_ms <= 2"])
    assert sentences[-1] == "Whether relaxing size_mb <= 1 alone is enough is not known."
    assert "Relaxing p90_ms <= 2 alone is not enough." in sentences


@pytest.mark.parametrize(("p90", "gains"), [(3.0, ()), (2.35, ()), (2.2, ("latency_p90",))])
def test_a_gain_in_p90_is_decided_by_p90(p90: float, gains: tuple[str, ...]) -> None:
    """The median of b.tflite is half that of a.tflite, whose p90 is 2.4 ms (2.388–2.412)."""
    data = of(file("a.tflite", SLOW_ROUNDS), with_tail(file("b.tflite"), p90))
    first, second = data.rows
    assert gains_of(second, first, data.evidence) == gains


@pytest.mark.parametrize(
    ("value", "up", "rounded"),
    [
        (2.412, True, 2.5),
        (2.4, True, 2.4),
        (2.4000000001, True, 2.5),
        (0.8506, False, 0.85),
        (0.29, True, 0.29),
        (0.2899999999, False, 0.28),
        (123.0, True, 130.0),
        (0.0, True, 0.0),
    ],
)
def test_a_relaxed_limit_has_two_digits_and_is_never_short_of_the_value(value: float, up: bool, rounded: float) -> None:
    assert _rounded(value, up=up) == pytest.approx(rounded)

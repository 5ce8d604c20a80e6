"""Which items are chosen: as many of each class as there are, at random, and no class first by its number."""

from collections import Counter

import pytest

from tledge.core.balanced_sample import choose_balanced

pytestmark = pytest.mark.unit


def classes_of(chosen: tuple[str, ...]) -> Counter[str]:
    return Counter(item[0] for item in chosen)


def items(**counts: int) -> tuple[list[str], list[int]]:
    """Returns items "a0", "a1", "b0", … and their labels, class by class."""
    named = [(f"{name}{index}", label) for label, name in enumerate(counts) for index in range(counts[name])]
    return [name for name, _ in named], [label for _, label in named]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, {}),
        (3, {"a": 1, "b": 1, "c": 1}),
        (6, {"a": 2, "b": 2, "c": 2}),
        (8, {"a": 2, "b": 3, "c": 3}),  # class a has two only
        (12, {"a": 2, "b": 4, "c": 6}),
        (13, {"a": 2, "b": 4, "c": 7}),
        (99, {"a": 2, "b": 4, "c": 7}),  # fewer than requested
    ],
)
def test_classes_take_turns_until_one_has_no_more(seed: int, count: int, expected: dict[str, int]) -> None:
    names, labels = items(a=2, b=4, c=7)
    chosen = choose_balanced(names, labels, count, seed)
    assert classes_of(chosen) == expected
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(names)


def test_each_turn_is_shuffled_so_that_no_class_is_always_first() -> None:
    names, labels = items(a=5, b=5, c=5)
    first = Counter(choose_balanced(names, labels, 1, seed)[0][0] for seed in range(300))
    assert set(first) == {"a", "b", "c"}
    assert min(first.values()) >= 70  # 100 expected; 70 is 3.7 standard deviations below
    orders = {tuple(name[0] for name in choose_balanced(names, labels, 3, seed)) for seed in range(100)}
    assert len(orders) == 6, "all orders of a turn"
    in_one = choose_balanced(names, labels, 15, 0)
    assert len({tuple(name[0] for name in in_one[turn : turn + 3]) for turn in range(0, 15, 3)}) > 1, "each turn anew"


def test_items_of_a_class_are_drawn_at_random() -> None:
    names, labels = items(a=5)
    drawn = Counter(choose_balanced(names, labels, 1, seed)[0] for seed in range(500))
    assert set(drawn) == set(names)
    assert min(drawn.values()) >= 65  # 100 expected; 65 is 3.9 standard deviations below


def test_the_seed_decides() -> None:
    names, labels = items(a=9, b=9)
    assert choose_balanced(names, labels, 6, 3) == choose_balanced(names, labels, 6, 3)
    assert len({choose_balanced(names, labels, 6, seed) for seed in range(20)}) > 10


def test_any_labels_and_items_will_do() -> None:
    assert choose_balanced([], [], 5, 0) == ()
    assert sorted(choose_balanced(["none", "x"], [7, -1], 2, 0), key=str) == ["none", "x"]

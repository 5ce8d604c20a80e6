"""A random sample with as many items of each class as possible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice, zip_longest
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def choose_balanced(items: Sequence[T], labels: Sequence[int], count: int, seed: int) -> tuple[T, ...]:
    """Draws items in turns: each turn takes one random item of every class that has any left.

    The order of the classes is shuffled in each turn, so that an incomplete last turn favours no class.

    Args:
        items, labels: what to choose from, and the class of each item.
        count: number of items to draw; all items if there are fewer.
        seed: of the random choice.
    """
    of_class: dict[int, list[T]] = defaultdict(list)
    rng = np.random.default_rng(seed)
    for index in rng.permutation(len(items)):
        of_class[labels[index]].append(items[index])
    turns = zip_longest(*(of_class[label] for label in sorted(of_class)))
    shuffled = (turn[index] for turn in turns for index in rng.permutation(len(turn)))
    return tuple(islice((item for item in shuffled if item is not None), count))

"""Choosing some of many labelled items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice, zip_longest
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def choose_balanced(items: Sequence[T], labels: Sequence[int], count: int, seed: int) -> tuple[T, ...]:
    """Takes items from the classes in turn, at random within each; all where there are fewer than ``count``.

    Args:
        items: what to choose from.
        labels: the class of each.
        count: how many.
        seed: of the choice.
    """
    of_class: dict[int, list[T]] = defaultdict(list)
    rng = np.random.default_rng(seed)
    for place in rng.permutation(len(items)):
        of_class[labels[place]].append(items[place])
    turns = zip_longest(*(of_class[label] for label in sorted(of_class)))
    mixed = (turn[place] for turn in turns for place in rng.permutation(len(turn)))  # no class is always the first
    return tuple(islice((item for item in mixed if item is not None), count))

"""The options of a benchmark are checked in one place, at both bounds."""

from typing import Any

import pytest

from tledge.bench.results.bench_options import BenchOptions
from tledge.core.errors import OptionError


@pytest.mark.parametrize(
    ("name", "allowed", "wrong"),
    [
        ("seconds", (1e-6, 3600.0), (0.0, 3600.1)),
        ("rounds", (1, 100), (0, 101)),
        ("batch_sizes", ((1,), (4096, 1), ()), ((0,), (8, 4097))),
        ("corruption_images", (1,), (0,)),
        ("attack_images", (1,), (0,)),
    ],
)
def test_numbers_at_both_bounds(name: str, allowed: tuple[Any, ...], wrong: tuple[Any, ...]) -> None:
    for value in allowed:
        BenchOptions(**{name: value})
    for value in wrong:
        with pytest.raises(OptionError, match=f"`{name}` must be"):
            BenchOptions(**{name: value})

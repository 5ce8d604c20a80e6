"""Options are declared once; the kinds hold their defaults, which the help states."""

import pytest

from tledge.core.options import options_of
from tledge.visualize.kind import KINDS
from tledge.visualize.visualize_options import KindOptions

NAMES = ("channels", "tv", "l2", "jitter", "scales", "max_eps", "tiles", "points", "method", "seed")
"""Options with one default."""


@pytest.mark.parametrize("name", NAMES)
def test_the_help_states_the_defaults_of_the_kinds(name: str) -> None:
    shown = {item.name: item.default_text for item in options_of(KindOptions)}[name]
    kinds = [kind for kind in map(KINDS.load, KINDS.names()) if name in kind.options()]
    assert kinds
    for kind in kinds:
        value = getattr(kind, name)
        assert shown == (value if isinstance(value, str) else f"{value:g}"), kind.name


def test_every_option_belongs_to_a_kind() -> None:
    taken = frozenset().union(*(KINDS.load(name).options() for name in KINDS.names()))
    assert {item.name for item in options_of(KindOptions)} == taken

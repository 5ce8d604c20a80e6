"""The options of a training are checked in one place, at both bounds, and their defaults are those in the help."""

from typing import Any

import pytest

from tledge.core.errors import OptionError
from tledge.core.options import options_of
from tledge.train.train_options import RunOptions
from tledge.train.train_settings import settle


@pytest.mark.parametrize(
    ("name", "allowed", "wrong"),
    [
        ("learning_rate", (1e-9, 1.0), (0.0, 1.001)),
        ("warm_up", (0.0, 0.9), (-0.001, 0.901)),
        ("weight_decay", (0.0, 1.0), (-0.001, 1.001)),
        ("label_smoothing", (0.0, 0.9), (-0.001, 0.901)),
        ("validation_fraction", (0.01, 0.45), (0.0099, 0.4501)),
        ("test_fraction", (0.01, 0.45), (0.0099, 0.4501)),
        ("seed", (0, 2**32 - 1), (-1, 2**32)),
        *(
            (name, (1, 10_000), (0,))
            for name in ("probe_epochs", "epochs", "batch_size", "patience", "hosts", "devices")
        ),
    ],
)
def test_numbers_at_both_bounds(name: str, allowed: tuple[Any, ...], wrong: tuple[Any, ...]) -> None:
    for value in allowed:
        RunOptions(**{name: value})
    for value in wrong:
        with pytest.raises(OptionError, match=f"`{name}` must be"):
            RunOptions(**{name: value})


@pytest.mark.parametrize(
    ("asked", "index"),
    [({}, 0), ({"adversarial": 2}, 1), ({"weights": "none"}, 2)],
    ids=["fine", "adversarial", "full"],
)
def test_the_defaults_in_the_help_are_those_that_hold(asked: dict[str, Any], index: int) -> None:
    settings = settle(RunOptions(data="photos", **asked))
    texts = {item.name: item.default_text for item in options_of(RunOptions)}
    expected = {"epochs": (6, 12, 15), "batch_size": (32, 8, 32), "label_smoothing": (0.1, 0, 0)}
    for name, values in expected.items():
        assert getattr(settings, name) == values[index]
        assert f"{values[index]:g}" in texts[name]
    assert settings.patience == (3, settings.epochs, settings.epochs)[index]
    assert settings.fine_tune is (index < 2)

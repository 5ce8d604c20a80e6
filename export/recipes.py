"""Quantization recipes, by the names that ``export(quantize=...)`` takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tledge.core.errors import UnknownNameError


@dataclass(frozen=True)
class Recipe:
    """How the numbers of a model are stored and computed.

    Attributes:
        floor: the lowest signal-to-noise ratio of an accepted artifact's logits against the Keras model's, in dB.
            Unlike agreement, it does not depend on how clearly a model prefers one class on a given task. None where
            training changes the predictions.
        calibrated: whether the ranges of its activations come from calibration images.
        trained: whether its weights are trained for minutes; it is only made when named.
    """

    name: str
    floor: float | None = None
    calibrated: bool = False
    trained: bool = False


RECIPES = (
    Recipe("float32", 60),
    Recipe("float16", 30),  # float16 weights; float32 activations
    Recipe("dynamic", 15),  # int8 weights; float32 activations, integers at run time in TFLite
    Recipe("int16x8", 20, calibrated=True),  # int8 weights per channel; int16 activations (TFLite)
    Recipe("int8", 15, calibrated=True),  # int8 weights per channel; int8 (TFLite) or uint8 (ONNX) activations
    Recipe("qat", calibrated=True, trained=True),  # as int8, trained with fake quantization
)
"""All recipes, in the order in which they are shown."""

LARGEST_DROP = 5.0
"""Points of top-1 (hundredths) that an artifact of any recipe may lose, unless ``max_drop`` says otherwise."""


def find_recipe(name: str) -> Recipe:
    """Returns the recipe of that name; raises UnknownNameError if there is none."""
    (recipe,) = parse_recipes([name])
    return recipe


def parse_recipes(names: Iterable[str]) -> list[Recipe]:
    """Returns the recipes of these names, each once, in the order of ``RECIPES``.

    Args:
        names: recipe names; one may hold several, separated by commas.

    Raises:
        UnknownNameError: a name is not a recipe, or there is none.
    """
    chosen = {name.strip() for part in names for name in part.split(",") if name.strip()}
    known = [recipe.name for recipe in RECIPES]
    for name in sorted(chosen) or [""]:
        if name not in known:
            raise UnknownNameError("recipe", name, known)
    return [recipe for recipe in RECIPES if recipe.name in chosen]

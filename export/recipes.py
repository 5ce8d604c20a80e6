"""Quantization recipes, by the names that ``export(quantize=...)`` takes.

| recipe  | weights           | activations                            | calibration | lowest signal-to-noise    |
|---------|-------------------|----------------------------------------|-------------|---------------------------|
| float32 | float32           | float32                                |             | 60 dB                     |
| float16 | float16           | float32                                |             | 30 dB                     |
| int16x8 | int8, per channel | int16 (TFLite)                         | yes         | 20 dB                     |
| int8    | int8, per channel | int8 (TFLite) or uint8 (ONNX)          | yes         | 15 dB                     |
| dynamic | int8              | float32, integers at run time (TFLite) |             | 15 dB                     |
| qat     | as int8, trained with fake quantization | the same         | training    |                           |
"""

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
    Recipe("float16", 30),
    Recipe("dynamic", 15),
    Recipe("int16x8", 20, calibrated=True),
    Recipe("int8", 15, calibrated=True),
    Recipe("qat", calibrated=True, trained=True),
)
"""All recipes, in the order in which they are shown."""

LARGEST_DROP = 5.0
"""Points of top-1 (hundredths) that an artifact of any recipe may lose, unless ``max_drop`` says otherwise."""


def find_recipe(name: str) -> Recipe:
    """Returns the recipe of that name.

    Raises:
        UnknownNameError: there is no such recipe.
    """
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

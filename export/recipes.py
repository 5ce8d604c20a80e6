"""Quantization recipes, named as users type them after ``--quantize``.

| recipe  | weights           | activations                            | calibration | agreement, at least |
|---------|-------------------|----------------------------------------|-------------|---------------------|
| float32 | float32           | float32                                |             | 1.000               |
| float16 | float16           | float32                                |             | 0.999               |
| dynamic | int8              | float32, integers at run time (TFLite) |             | 0.990               |
| int16x8 | int8, per channel | int16 (TFLite)                         | yes         | 0.990               |
| int8    | int8, per channel | int8 (TFLite) or uint8 (ONNX)          | yes         | 0.980               |
| qat     | the same, trained with fake quantization | the same        | training    | 0.950               |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tledge.core.errors import UnknownNameError


@dataclass(frozen=True)
class Recipe:
    """How the numbers of a model are stored and computed.

    Attributes:
        name: as users type it.
        floor: an artifact is refused where even the upper end of the 95% interval of its agreement with the Keras
            model lies below.
        calibrated: it takes the ranges of its activations from calibration images.
        trained: its weights learn to be integers, which takes minutes: it is made only when asked for by name.
    """

    name: str
    floor: float = 0.0
    calibrated: bool = False
    trained: bool = False


RECIPES = (
    Recipe("float32", 1.0),
    Recipe("float16", 0.999),
    Recipe("dynamic", 0.99),
    Recipe("int16x8", 0.99, calibrated=True),
    Recipe("int8", 0.98, calibrated=True),
    Recipe("qat", 0.95, calibrated=True, trained=True),
)
"""From the largest artifact to the smallest."""


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises UnknownNameError."""
    (recipe,) = parse_recipes([name])
    return recipe


def parse_recipes(names: Iterable[str]) -> list[Recipe]:
    """The recipes of these names, each once, in the order of ``RECIPES``.

    Args:
        names: recipe names; one may hold several, separated by commas.

    Raises:
        UnknownNameError: one is no recipe.
    """
    wanted = {name.strip() for part in names for name in part.split(",") if name.strip()}
    known = [recipe.name for recipe in RECIPES]
    for name in sorted(wanted) or [""]:
        if name not in known:
            raise UnknownNameError("recipe", name, known)
    return [recipe for recipe in RECIPES if recipe.name in wanted]

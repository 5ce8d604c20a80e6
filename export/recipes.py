"""Quantization recipes, named as users type them after ``--quantize``.

| recipe  | weights           | activations                            | calibration | signal to noise, at least |
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
        name: as users type it.
        floor: an artifact is refused whose logits have a lower signal-to-noise ratio against the Keras model's, in dB.
            A ratio says the same of an easy task as of a hard one, where a model hardly prefers one class and the
            slightest noise changes its mind; None where training has changed the answers.
        calibrated: it takes the ranges of its activations from calibration images.
        trained: its weights learn to be integers, which takes minutes: it is made only when asked for by name.
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
"""In the order that they are shown in."""

LARGEST_DROP = 5.0
"""Points of top-1 (hundredths) that an artifact of any recipe may lose."""


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

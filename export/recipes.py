"""Quantization recipes, named as users type them after ``--quantize``.

| recipe  | weights            | activations                       | calibration |
|---------|--------------------|-----------------------------------|-------------|
| float32 | float32            | float32                           |             |
| float16 | float16            | float32                           |             |
| dynamic | int8               | float32, integers at run time     |             |
| int8    | int8, per channel; 7 bits in ONNX | int8 (TFLite) or uint8 (ONNX) | yes |
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
        calibrated: it takes the ranges of its activations from calibration images.
    """

    name: str
    calibrated: bool = False


RECIPES = (Recipe("float32"), Recipe("float16"), Recipe("dynamic"), Recipe("int8", calibrated=True))
"""From the largest artifact to the smallest."""


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

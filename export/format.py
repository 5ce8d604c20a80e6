"""What a format is: the base of every module in ``export/formats``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from tledge.core.images import Pixels
from tledge.core.registry import Registry
from tledge.export.recipes import Recipe


class Format(ABC):
    """A kind of model file.

    Attributes:
        recipes: the names of the recipes that it has.
        modules: top-level modules that converting needs.
        distributions: whose versions belong into the sidecar.
    """

    recipes: tuple[str, ...]
    modules: tuple[str, ...]
    distributions: tuple[str, ...]

    @abstractmethod
    def convert(self, model: Any, recipe: Recipe, calibration: Pixels | None) -> bytes:
        """Converts a Keras model.

        Args:
            model: a ``keras.Model`` from ``image``, float32 RGB pixel values 0 to 255 (N, height, width, 3), to
                ``logits`` (N, classes).
            recipe: one of ``recipes``.
            calibration: uint8 (n, height, width, 3) if the recipe is calibrated, else None.

        Returns:
            A model file from ``image``, uint8, to ``logits``, float32.

        Raises:
            ConversionError: the model holds what the format cannot express.
        """


FORMATS = Registry[Format]("tledge.export.formats", "format", "FORMAT", Format)

"""What a format is: the base of every module in ``export/formats``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tledge.core.registry import Registry
from tledge.export.recipes import Recipe

if TYPE_CHECKING:
    from tledge.export.weight_rounding import CalibratedModel


class Quantizer(ABC):
    """A model that is ready to be quantized again and again, with other layers left in float32 each time."""

    @abstractmethod
    def quantize(self, float_layers: frozenset[str]) -> bytes:
        """Makes a model file.

        Args:
            float_layers: names of the Keras layers that stay float32.
        """


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
    def convert(self, model: Any, recipe: Recipe, calibration: CalibratedModel | None, cpu: str = "any") -> bytes:
        """Converts a Keras model.

        Args:
            model: a ``keras.Model`` from ``image``, float32 RGB pixel values 0 to 255 (N, height, width, 3), to
                ``logits`` (N, classes).
            recipe: one of ``recipes``.
            calibration: of the same model, if the recipe is calibrated.
            cpu: one of ``core.cpu.CPUS``.

        Returns:
            A model file from ``image``, uint8, to ``logits``, float32.

        Raises:
            ConversionError: the model holds what the format cannot express.
        """

    @abstractmethod
    def quantizer(self, calibration: CalibratedModel, cpu: str = "any") -> Quantizer:
        """The recipe ``int8``, ready to be made with some layers in float32.

        Args:
            calibration: the model with its calibration images.
            cpu: one of ``core.cpu.CPUS``.
        """


FORMATS = Registry[Format]("tledge.export.formats", "format", "FORMAT", Format)

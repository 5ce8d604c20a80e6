"""The base class of the formats in ``export/formats``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tledge.core.errors import ConversionError, TledgeError, first_line
from tledge.core.registry import Registry
from tledge.export.recipes import Recipe

if TYPE_CHECKING:
    from tledge.export.weight_calibration import CalibratedModel


class Quantizer(ABC):
    """Quantizes one model, each time with other layers left in float32."""

    @abstractmethod
    def quantize(self, float_layers: frozenset[str]) -> bytes:
        """Returns a model file in which the Keras layers of these names stay float32.

        Raises:
            ConversionError: a layer is not found in the converted model.
        """


class Format(ABC):
    """A kind of model file.

    Attributes:
        modules: top-level modules that the conversion imports.
        distributions: packages whose versions the sidecar records.
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
            calibration: the same model with its calibration images, if the recipe is calibrated.
            cpu: one of ``core.cpu.CPUS``.

        Returns:
            A model file from ``image``, uint8, to ``logits``, float32.

        Raises:
            ConversionError: the format does not support the model.
        """

    @abstractmethod
    def quantizer(self, calibration: CalibratedModel, cpu: str = "any") -> Quantizer:
        """Returns a quantizer for the recipe ``int8``, which can leave layers in float32."""


FORMATS = Registry[Format]("tledge.export.formats", "format", "FORMAT", Format)


def call_converter(kind: str, recipe: str, convert: Callable[[], bytes]) -> bytes:
    """Returns what a converter returns.

    Raises:
        ConversionError: the converter raised an error of its own; the message names the format and the recipe.
        TledgeError: as the converter raised it.
    """
    try:
        return convert()
    except TledgeError:
        raise
    except Exception as error:  # the converters' exception classes have no common base
        raise ConversionError(
            f"cannot convert this model to {kind} in {recipe}: {first_line(error)}; try another recipe or format"
        ) from error

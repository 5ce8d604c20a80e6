"""A model file without a sidecar: its tensors are known from the file, which is enough to measure latency."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tledge.core.errors import ArtifactError, OptionError
from tledge.core.sidecar_storage import format_of
from tledge.edge_runtime.runtime import default_target, resolve
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import CHANNELS, Tensor, TensorSpec


class BareModel:
    """A model file without a sidecar, loaded on a target.

    Args:
        model: the model file.
        target: "runtime:device:threads"; by default the CPU with every core that this process may use.
        batch: images that it computes at once.
        input_size: (height, width) of random inputs, for a model that leaves it open.

    Attributes:
        target: where it runs, with its thread count.
        image, output: the input and output tensors.

    Raises:
        ArtifactError: the file does not exist, cannot be loaded, or has several inputs or outputs.
        TargetError: this machine does not have the target.
        OptionError: the target's runtime does not run files of this format, or the model has another input size.
    """

    def __init__(
        self, model: Path, target: str | Target | None = None, *, batch: int = 1, input_size: tuple[int, ...] = ()
    ) -> None:
        if not model.is_file():
            raise ArtifactError(f"no model file '{model}'; expected a .tflite, .onnx or .keras file")
        model_format = format_of(model)
        wanted = Target.parse(target) if isinstance(target, str) else target or default_target(model_format)
        runtime, self.target = resolve(wanted)
        if model_format not in runtime.formats:
            raise OptionError(f"{self.target.runtime} cannot run '{model}': it runs .{' and .'.join(runtime.formats)}")
        session = self._session = runtime.load(model, self.target, batch, input_size)
        self.image, self.output = session.image, session.output
        self._lengths = _lengths(model, session.image, input_size)

    @property
    def provider(self) -> str:
        """What runs the model, as its runtime reports it; it can change with the first input of another size."""
        return self._session.provider

    def random_input(self, seed: int, batch: int = 1, lengths: tuple[int, ...] | None = None) -> Tensor:
        """Returns a random input: uniform over all values of an integer dtype, or over 0 to 1 for floats.

        Args:
            seed: of the random values.
            batch: number of images.
            lengths: lengths of the other axes; by default those of the file and ``input_size``.

        Raises:
            ArtifactError: the model only takes batches of another size.
        """
        first = self.image.shape[0] if self.image.shape else None
        if first not in (None, 1, batch):
            raise ArtifactError(f"the model only takes batches of {first}; received {batch}: {self.image}")
        shape = (batch, *(self._lengths if lengths is None else lengths))
        rng = np.random.default_rng(seed)
        if np.issubdtype(self.image.dtype, np.integer):
            bounds = np.iinfo(self.image.dtype)
            return rng.integers(bounds.min, bounds.max, shape, self.image.dtype, endpoint=True)
        return rng.random(shape).astype(self.image.dtype)

    def run(self, images: Tensor) -> Tensor:
        """Runs the model on an array with its input's dtype and lengths, N images along the first axis."""
        return self._session.run(images)

    def close(self) -> None:
        """Frees the loaded model."""
        self._session.close()


def _lengths(model: Path, image: TensorSpec, size: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the lengths of an input's axes after the first, with the open ones of height and width as in ``size``.

    Raises:
        OptionError: its size is fixed and another one.
    """
    lengths = image.lengths(1, size, channels_last=model.suffix.lower() != ".onnx")[1:]
    fits = not size or size in ((lengths[:2], lengths[-2:]) if None in image.shape[1:] else _sides(lengths))
    if not fits:
        raise OptionError(f"`input_size='{size[0]}x{size[1]}'` contradicts '{model}', whose input is {image}")
    return lengths


def _sides(lengths: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Returns what the (height, width) of an input of a fixed size may be."""
    if len(lengths) == 1:  # all values of a square image
        return [(side, side) for side in (math.isqrt(lengths[0] // channels) for channels in CHANNELS)]
    last = lengths[-1] in CHANNELS or len(lengths) == 2
    return [lengths[:2] if last else lengths[-2:]]

"""A model file of which nothing is known but what it says of itself: enough to measure how fast it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tledge.core.errors import ArtifactError, OptionError
from tledge.core.sidecar_storage import format_of
from tledge.edge_runtime.runtime import default_target, resolve
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor, TensorSpec


class BareModel:
    """A model file without a sidecar, loaded on a target.

    Args:
        model: the file.
        target: "runtime:device:threads"; without one, the CPU with every core that this process may use.
        batch: images that it computes at once.

    Raises:
        ArtifactError: no such file, or one that the runtime cannot load, or with several inputs or outputs.
        TargetError: this machine does not have the target.
    """

    def __init__(self, model: Path, target: str | Target | None = None, *, batch: int = 1) -> None:
        if not model.is_file():
            raise ArtifactError(f"no model file '{model}'; expected a .tflite, .onnx or .keras file")
        model_format = format_of(model)
        wanted = Target.parse(target) if isinstance(target, str) else target or default_target(model_format)
        runtime, self.target = resolve(wanted)
        if model_format not in runtime.formats:
            raise OptionError(f"{self.target.runtime} cannot run '{model}': it takes .{' and .'.join(runtime.formats)}")
        self._session = runtime.load(model, self.target, batch)

    @property
    def image(self) -> TensorSpec:
        """The tensor that it takes."""
        return self._session.image

    @property
    def output(self) -> TensorSpec:
        """The tensor that it gives."""
        return self._session.output

    @property
    def provider(self) -> str:
        """What runs it, as the runtime says."""
        return self._session.provider

    def random_input(self, seed: int, batch: int = 1, lengths: tuple[int, ...] | None = None) -> Tensor:
        """An input for it, uniform over all integers, or over 0 to 1.

        Args:
            seed: the same gives the same input.
            batch: images in it.
            lengths: of the other axes; those that ``TensorSpec.lengths`` says without it.

        Raises:
            ArtifactError: its first axis is no batch, or has another fixed length.
        """
        first = self.image.shape[0] if self.image.shape else None
        if first not in (None, 1, batch):
            raise ArtifactError(f"the model takes batches of {first} only; asked for {batch}: {self.image}")
        shape = self.image.lengths(batch) if lengths is None else (batch, *lengths)
        rng = np.random.default_rng(seed)
        if np.issubdtype(self.image.dtype, np.integer):
            bounds = np.iinfo(self.image.dtype)
            return rng.integers(bounds.min, bounds.max, shape, self.image.dtype, endpoint=True)
        return rng.random(shape).astype(self.image.dtype)

    def run(self, images: Tensor) -> Tensor:
        """Runs the model on an array of its input's dtype and lengths, N images along the first axis."""
        return self._session.run(images)

    def close(self) -> None:
        """Frees the loaded model."""
        self._session.close()

"""Classifying images with an artifact: the public API of the edge runtime."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from tledge.core import images
from tledge.core.artifact import Artifact, read_artifact
from tledge.core.cpu import CpuWarning, mismatch
from tledge.core.errors import ArtifactError, OptionError, SidecarMissingError, TledgeError
from tledge.core.images import Pixels
from tledge.edge_runtime.adapter import Adapter
from tledge.edge_runtime.input_range import check_span
from tledge.edge_runtime.runtime import default_target, resolve
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Logits, Tensor


@dataclass(frozen=True)
class Prediction:
    """One class of an image, with its probability.

    Attributes:
        label: the class name.
        index: the index of the class.
        score: its probability, 0 to 1: as the model returns it, or the softmax of its logits.
    """

    label: str
    index: int
    score: float


class Classifier:
    """An artifact, loaded on a target and ready to classify. Several threads may use one at once.

    For artifacts that tledge exported, LiteRT copies the pixels of a decoded photo once, and ONNX Runtime reads them in
    place.

    Args:
        artifact: a model file with its sidecar ("int8.tflite"), or the artifact that was read from one.
        target: "runtime:device:threads"; by default the CPU with every core that this process may use.
        batch: images that the model computes at once; ``logits`` then takes multiples of it. With 1, it takes any
            number of images.
        warm_up: classify a black image first, so that the first photo takes no longer than the others.

    Raises:
        ArtifactError: the file is absent, cut off, without a sidecar, or does not match the sidecar beside it.
        TargetError: this machine does not have the target.
        OptionError: the target's runtime does not run this format.
        MissingExtraError: the runtime's library is not installed.

    Warns:
        CpuWarning: the artifact was exported for another CPU, and its predictions may differ on this one; or LiteRT's
            XNNPACK cannot prepare it, and it runs on slower kernels.

    Attributes:
        artifact: the model file and its sidecar.
        target: where it runs, with its thread count.
        sidecar: the artifact's sidecar.
        class_names: the label of each logit.
        input_size: (height, width) of the model's input.
    """

    def __init__(
        self,
        artifact: str | Path | Artifact,
        target: str | Target | None = None,
        *,
        batch: int = 1,
        warm_up: bool = True,
    ) -> None:
        self.artifact = artifact if isinstance(artifact, Artifact) else _read(Path(artifact))
        self.sidecar = self.artifact.sidecar
        self.class_names, self.input_size = self.sidecar.class_names, self.sidecar.input_size
        if target is None:
            target = default_target(self.artifact.format)
        elif isinstance(target, str):
            target = Target.parse(target)
        runtime, self.target = resolve(target)
        if self.artifact.format not in runtime.formats:
            raise OptionError(
                f"{self.target.runtime} cannot run '{artifact}': it runs .{' and .'.join(runtime.formats)} files;"
                f" try `target='{default_target(self.artifact.format)}'`"
            )
        difference = mismatch(self.sidecar.cpu)
        if difference:
            warnings.warn(f"'{artifact}': {difference}", CpuWarning, stacklevel=2)
        self._session = runtime.load(self.artifact.path, self.target, batch, self.input_size)
        if self.sidecar.preprocessing is not None:
            try:
                check_span(self._session.image, self.sidecar.preprocessing)
            except OptionError as error:
                raise ArtifactError(
                    f"the sidecar of '{artifact}' does not match its model: {error}; adopt it again"
                ) from error
        self._adapter = Adapter(self.artifact.path, self.sidecar, self._session.image, self._session.output)
        self._expected = (*self.input_size, 3)
        if warm_up:
            self.logits(np.zeros((max(self._session.image.shape[0] or 1, batch), *self._expected), np.uint8))

    @property
    def provider(self) -> str:
        """What runs the model, as its runtime reports it ("XNNPACK", "CUDAExecutionProvider")."""
        return self._session.provider

    def load(self, image: str | Path | bytes) -> Pixels:
        """Decodes and resizes an image file, or its bytes, for this model.

        Returns:
            uint8 (height, width, 3), RGB.

        Raises:
            ImageError: the image cannot be read.
        """
        if isinstance(image, bytes):
            return images.load_pixels_from_bytes(image, self.input_size, self.sidecar.resize)
        return images.load_pixels(Path(image), self.input_size, self.sidecar.resize)

    def logits(self, batch: Pixels) -> Logits:
        """Runs the model.

        Args:
            batch: uint8 (N, height, width, 3), RGB pixel values, of the model's input size.

        Returns:
            float32 (N, classes).

        Raises:
            OptionError: the images have another dtype or shape, or the classifier is closed.
        """
        return self._adapter.to_logits(self._run(batch))

    def probabilities(self, batch: Pixels) -> Logits:
        """Runs the model, as :meth:`logits` does, and returns probabilities: float32 (N, classes).

        They are those that the model returns, as they are; for a model that returns logits, their softmax.
        """
        return self._adapter.to_probabilities(self._run(batch))

    def _run(self, batch: Pixels) -> Tensor:
        if batch.dtype != np.uint8 or batch.shape[1:] != self._expected or len(batch) == 0:
            raise OptionError(
                f"logits() takes uint8 pixels of shape (N, {', '.join(map(str, self._expected))}), N at least 1;"
                f" received {batch.dtype} {batch.shape}"
            )
        if self.sidecar.preprocessing is None:
            return self._session.run(self._adapter.to_tensor(batch))
        return self._session.run_filled(len(batch), lambda out: self._adapter.to_tensor(batch, out))

    def classify(self, image: str | Path | bytes | Pixels, top: int | None = None) -> list[Prediction]:
        """Classifies one image.

        Args:
            image: an image file or its bytes, or uint8 (height, width, 3) pixels of the model's input size.
            top: number of classes to return; by default all.

        Returns:
            The most probable classes, best first.

        Raises:
            ImageError: the file cannot be read as an image.
            OptionError: the pixels have another dtype or shape, ``top`` is below 1, or the classifier is closed.
        """
        if top is not None and top < 1:
            raise OptionError(f"`top` must be 1 or more; received {top}")
        pixels = image if isinstance(image, np.ndarray) else self.load(image)
        return ranked(self.probabilities(pixels[np.newaxis])[0], self.class_names)[:top]

    def close(self) -> None:
        """Frees the model's memory, after the runs of other threads have ended; safe to call twice."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(path: Path) -> Artifact:
    """Reads an artifact; the error for a file without a sidecar says why it cannot be adopted, if so."""
    try:
        return read_artifact(path)
    except SidecarMissingError as error:
        from tledge.edge_runtime.inspection import inspect

        try:
            inspect(path)
        except TledgeError as cause:
            raise ArtifactError(f"'{path}' has no sidecar and cannot be adopted: {cause}") from error
        raise


def ranked(scores: Logits, class_names: Sequence[str]) -> list[Prediction]:
    """Returns the classes of one image, the most probable first; ``scores`` are its probabilities: (classes,)."""
    best = np.argsort(-scores, kind="stable")
    return [Prediction(class_names[index], int(index), float(scores[index])) for index in best]

"""The network to visualize: the Keras model of a run with its artifacts and photos, or a published backbone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tledge.attacks.loss_gradients import GradientModel
from tledge.core import images
from tledge.core.artifact import Artifact, read_artifact, read_exported
from tledge.core.errors import ArtifactError, ModelError, OptionError, UnknownNameError
from tledge.core.extras import keras_backend, require
from tledge.core.images import Floats, Pixels
from tledge.core.progress import Progress, Step
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Splits
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.batched_logits import batched_logits

PREFERRED_RECIPES = ("int8", "int8-mixed", "qat")
"""Recipes of the artifact that is shown by default, best first."""


@dataclass(frozen=True, kw_only=True)
class VisualizedModel:
    """A network with its classes, artifacts and run.

    Attributes:
        title: name on the page.
        model: a ``keras.Model`` from pixel values 0 to 255, (N, height, width, 3), to logits (N, classes), or, without
            a head, to feature maps (N, h, w, channels).
        class_names: the class of each logit; empty without a head.
        resize: rule for resizing photos to its input size.
        artifacts: artifacts exported from it.
        directory: run directory; None for a backbone.
        imported: it was trained elsewhere.
        progress: reports that a ZIP of photos is unpacked again.
    """

    title: str
    model: Any
    class_names: tuple[str, ...]
    resize: str
    artifacts: tuple[Artifact, ...] = ()
    directory: RunDirectory | None = None
    imported: bool = False
    progress: Progress = field(default_factory=Progress)

    @property
    def photo_kind(self) -> str:
        """What photos of the run's test split are called: an imported model may have been trained on them."""
        return "photos" if self.imported else "test photos"

    @property
    def photo_doubts(self) -> list[str]:
        """What is to be known of these photos, as sentences."""
        return ["The model was imported: some of these photos may have been used to train it."] * self.imported

    @property
    def input_size(self) -> tuple[int, int]:
        """Input size (height, width) in pixels."""
        _, height, width, _ = self.model.input_shape
        return int(height), int(width)

    @property
    def has_head(self) -> bool:
        """Whether the network has a classification head."""
        return bool(self.class_names)

    @property
    def needs_head(self) -> str:
        """Error text if the network has no classification head; empty if it has one."""
        if self.has_head:
            return ""
        return f"'{self.title}' has no classification head; pass `weights` that include one, or a trained run as `run`"

    @property
    def needs_run(self) -> str:
        """Error text if there is no run to take test photos from; empty if there is one."""
        return "" if self.directory is not None else f"'{self.title}' has no test photos: name a trained run with `run`"

    @cached_property
    def splits(self) -> Splits:
        """The splits of the run. Raises RunError if they cannot be read, OptionError if there is no run."""
        if self.directory is None:
            raise OptionError(f"{self.needs_run}, or name photos with `photos`")
        return self.directory.splits(self.progress)

    @cached_property
    def gradient_model(self) -> GradientModel:
        """The model with the gradients that attacks use. Raises ModelError if it cannot be attacked."""
        return GradientModel(self.model)

    def logits(self, pixels: Pixels) -> Floats:
        """Computes the Keras model's logits of uint8 (N, height, width, 3): float32 (N, classes)."""
        return self.gradient_model.logits(pixels)

    def load(self, path: Path) -> Pixels:
        """Decodes and resizes an image file: uint8 (height, width, 3). Raises ImageError."""
        return images.load_pixels(path, self.input_size, self.resize)

    def class_index(self, name: str) -> int:
        """Returns the index of a class, given its name or number.

        Raises:
            UnknownNameError: there is no such class.
            OptionError: the network has no head.
        """
        if not self.has_head:
            raise OptionError(self.needs_head)
        if name not in self.class_names and name.isdecimal() and int(name) < len(self.class_names):
            return int(name)  # a backbone without a list of labels has no class names
        if name not in self.class_names:
            raise UnknownNameError("class", name, self.class_names)
        return self.class_names.index(name)

    def choose_artifacts(self, names: Sequence[str]) -> tuple[Artifact, ...]:
        """Returns the named artifacts, or all of the run.

        Args:
            names: file names, or names of artifacts of the run.

        Raises:
            ArtifactError: an artifact cannot be read.
            OptionError: an artifact has other input sizes or classes than the model.
        """
        own = {artifact.name: artifact for artifact in self.artifacts}
        if not names:
            return self.artifacts
        chosen: list[Artifact] = []
        for name in names:
            if name not in own and not Path(name).is_file():
                if own:
                    raise UnknownNameError("artifact", name, own)
                raise ArtifactError(f"no such file: '{name}', and the run has no artifacts; make some with `export()`")
            artifact = own.get(name) or read_artifact(Path(name))
            sidecar = artifact.sidecar
            numbered = all(label.isdecimal() for label in self.class_names)
            if not numbered and sidecar.class_names != self.class_names:
                raise OptionError(
                    f"'{name}' has the classes {', '.join(sidecar.class_names[:5])}, but the model has"
                    f" {', '.join(self.class_names[:5])}; pass an artifact of that model"
                )
            if sidecar.input_size != self.input_size or len(sidecar.class_names) != len(self.class_names):
                raise OptionError(
                    f"'{name}' has input size {sidecar.input_size} and {len(sidecar.class_names)} classes, but the"
                    f" model has {self.input_size} and {len(self.class_names)}; pass an artifact of that model"
                )
            if artifact.name in {other.name for other in chosen}:
                raise OptionError(f"`artifacts` names '{artifact.name}' twice; name each once, by different file names")
            chosen.append(artifact)
        return tuple(chosen)


def default_artifact(artifacts: Sequence[Artifact]) -> Artifact | None:
    """Returns the preferred 8-bit artifact, else the last one, or None if there are none."""
    found = [item for recipe in PREFERRED_RECIPES for item in artifacts if item.sidecar.recipe == recipe]
    return found[0] if found else (artifacts[-1] if artifacts else None)


def artifact_logits(artifact: Artifact, pixels: Pixels | Iterable[Pixels], step: Step | None = None) -> Floats:
    """Computes an artifact's logits on the CPU, with the same code as on a device.

    Args:
        artifact: the exported file.
        pixels: uint8 (N, height, width, 3), or batches of them.
        step: advances by one for each image.

    Returns:
        float32 (N, classes).

    Raises:
        TledgeError: the artifact cannot be loaded.
    """
    with Classifier(artifact.path) as classifier:
        return batched_logits(classifier.logits, pixels, step=step)


def model_of_run(directory: RunDirectory) -> VisualizedModel:
    """Loads the Keras model of a run and its exported artifacts.

    Raises:
        RunError: the model file has changed since training.
        ArtifactError: an artifact cannot be read or belongs to another run.
        ModelError: Keras cannot load the model.
        MissingExtraError: Keras or its backend is not installed.
    """
    require("keras", keras_backend(), extra="train", purpose="visualizing a network")
    reference = read_artifact(directory.model)
    directory.check_model(reference.sha256)
    manifest = directory.manifest()

    import keras

    try:
        model = keras.saving.load_model(directory.model, compile=False)
    except Exception as error:  # Keras raises whatever a layer's constructor does
        raise ModelError(f"Keras {keras.__version__} cannot load '{directory.model}': {error}; train again") from error
    exported = directory.exported() if directory.artifacts.is_dir() and any(directory.artifacts.iterdir()) else []
    return VisualizedModel(
        title=manifest.title,
        imported=manifest.imported,
        model=model,
        class_names=reference.sidecar.class_names,
        resize=reference.sidecar.resize,
        artifacts=tuple(read_exported(path, reference) for path in exported),
        directory=directory,
    )

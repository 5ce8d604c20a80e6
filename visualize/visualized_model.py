"""What is looked at: the Keras model of a run with its artifacts and photos, or a backbone as it was published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tledge.attacks.loss_gradients import Floats, GradientModel
from tledge.core import images
from tledge.core.artifact import Artifact, read_artifact, read_exported
from tledge.core.errors import ArtifactError, ModelError, OptionError, UnknownNameError
from tledge.core.extras import keras_backend, require
from tledge.core.images import Pixels
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Splits

FAVOURITES = ("int8", "int8-mixed", "qat")
"""Recipes of the artifact that people ask about first."""


@dataclass(frozen=True, kw_only=True)
class VisualizedModel:
    """A network and what belongs to it.

    Attributes:
        title: what the page calls it.
        model: a ``keras.Model`` from pixel values 0 to 255, (N, height, width, 3), to logits (N, classes), or, without
            a head, to a feature map (N, h, w, channels).
        class_names: the label of each logit; empty without a head.
        resize: the rule by which photos get its size.
        artifacts: what was exported from it.
        directory: its run; None for a backbone.
    """

    title: str
    model: Any
    class_names: tuple[str, ...]
    resize: str
    artifacts: tuple[Artifact, ...] = ()
    directory: RunDirectory | None = None

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the images that the model takes."""
        _, height, width, _ = self.model.input_shape
        return int(height), int(width)

    @property
    def has_head(self) -> bool:
        """Whether it says of an image what it shows."""
        return bool(self.class_names)

    @property
    def needs_head(self) -> str:
        """Why it cannot be asked for classes; empty where it can."""
        if self.has_head:
            return ""
        return f"'{self.title}' has no classification head: pass weights with one, or a trained run with --run"

    @property
    def needs_run(self) -> str:
        """Why it has no test photos; empty where it has."""
        return "" if self.directory is not None else f"'{self.title}' has no test photos: name a trained run with --run"

    @cached_property
    def splits(self) -> Splits:
        """Which photos the run learned from, and which not. Raises RunError, and OptionError where there is no run."""
        if self.directory is None:
            raise OptionError(f"{self.needs_run}, or name photos with --photo")
        return self.directory.splits()

    @cached_property
    def gradient_model(self) -> GradientModel:
        """The model as attacks take it. Raises ModelError where it is none that can be attacked."""
        return GradientModel(self.model)

    def logits(self, pixels: Pixels) -> Floats:
        """The Keras model's answers to uint8 (N, height, width, 3): float32 (N, classes)."""
        return self.gradient_model.logits(pixels)

    def load(self, path: Path) -> Pixels:
        """Decodes and resizes an image file: uint8 (height, width, 3). Raises ImageError."""
        return images.load_pixels(path, self.input_size, self.resize)

    def class_index(self, name: str) -> int:
        """The place of a class, by its name or number, among the logits.

        Raises:
            UnknownNameError: there is none.
            OptionError: there is no head.
        """
        if not self.has_head:
            raise OptionError(self.needs_head)
        if name not in self.class_names and name.isdecimal() and int(name) < len(self.class_names):
            return int(name)  # classes have names only where a list of them is at hand
        if name not in self.class_names:
            raise UnknownNameError("class", name, self.class_names)
        return self.class_names.index(name)

    def choose_artifacts(self, names: Sequence[str]) -> tuple[Artifact, ...]:
        """The exported artifacts that a user names, or all.

        Args:
            names: of files, or of artifacts of the run.

        Raises:
            ArtifactError: one cannot be read.
            OptionError: one takes other images or gives other classes than the model.
        """
        own = {artifact.name: artifact for artifact in self.artifacts}
        if not names:
            return self.artifacts
        chosen: list[Artifact] = []
        for name in names:
            if name not in own and not Path(name).is_file():
                if own:
                    raise UnknownNameError("artifact", name, own)
                raise ArtifactError(
                    f"no such file: '{name}', and no artifacts in the run: make some with 'tledge export'"
                )
            artifact = own.get(name) or read_artifact(Path(name))
            sidecar = artifact.sidecar
            numbered = all(label.isdecimal() for label in self.class_names)
            if not numbered and sidecar.class_names != self.class_names:
                raise OptionError(
                    f"'{name}' tells apart {', '.join(sidecar.class_names[:5])}; the model"
                    f" {', '.join(self.class_names[:5])}: name an artifact of that model"
                )
            if sidecar.input_size != self.input_size or len(sidecar.class_names) != len(self.class_names):
                raise OptionError(
                    f"'{name}' takes {sidecar.input_size} pixels and knows {len(sidecar.class_names)} classes; the"
                    f" model takes {self.input_size} and knows {len(self.class_names)}: name an artifact of that model"
                )
            if artifact.name in {other.name for other in chosen}:
                raise OptionError(f"--artifact names '{artifact.name}' twice; name each once, by different file names")
            chosen.append(artifact)
        return tuple(chosen)


def favourite(artifacts: Sequence[Artifact]) -> Artifact | None:
    """The 8-bit artifact that people ask about first, else the last one; None where there is none."""
    found = [item for recipe in FAVOURITES for item in artifacts if item.sidecar.recipe == recipe]
    return found[0] if found else (artifacts[-1] if artifacts else None)


def model_of_run(directory: RunDirectory) -> VisualizedModel:
    """The Keras model of a run and what was exported from it.

    Raises:
        RunError: the model is no longer what it was when the run was trained.
        ArtifactError: one cannot be read, or is another run's.
        ModelError: Keras cannot load the model.
        MissingExtraError: Keras or its backend is not installed.
    """
    require("keras", keras_backend(), extra="train", purpose="looking into a network")
    import keras

    reference = read_artifact(directory.model)
    directory.check_model(reference.sha256)
    try:
        model = keras.saving.load_model(directory.model, compile=False)
    except Exception as error:  # Keras raises whatever a layer's constructor does
        raise ModelError(f"Keras {keras.__version__} cannot load '{directory.model}': {error}; train again") from error
    exported = directory.exported() if directory.artifacts.is_dir() and any(directory.artifacts.iterdir()) else []
    return VisualizedModel(
        title=directory.manifest().name,
        model=model,
        class_names=reference.sidecar.class_names,
        resize=reference.sidecar.resize,
        artifacts=tuple(read_exported(path, reference) for path in exported),
        directory=directory,
    )

"""Making artifacts of one run's model: converted, written aside, compared with the Keras model, put in place."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tledge.core.artifact import Artifact, move_artifact, write_artifact
from tledge.core.balanced_sample import choose_balanced
from tledge.core.cpu import mismatch
from tledge.core.environment import installed_versions
from tledge.core.errors import ConversionError, OptionError, TledgeError
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.sidecar import Calibration, Sidecar
from tledge.core.splits import Sample
from tledge.edge_runtime.delegation import find_undelegated
from tledge.export.calibration import load_calibration
from tledge.export.export_record import ExportedArtifact, describe_artifact
from tledge.export.format import FORMATS
from tledge.export.keras_parity import Parity, Reference
from tledge.export.recipes import LARGEST_DROP, Recipe, find_recipe

if TYPE_CHECKING:
    from tledge.export.tfmot import Quantized
    from tledge.export.weight_rounding import CalibratedModel

PARITY_IMAGES = 200
"""Validation photos that each artifact is compared with the Keras model on."""


class RefusedError(ConversionError):
    """An artifact that answers too differently from its Keras model."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What artifacts are made with.

    Attributes:
        calibration_images: photos of the training split that calibrated recipes take.
        cpu: one of ``core.cpu.CPUS``.
        sparsity: the fraction of weights to prune; 0 for none.
        allow_drop: artifacts below their recipe's floor are kept all the same.
    """

    calibration_images: int = 200
    cpu: str = "any"
    sparsity: float = 0.0
    allow_drop: bool = False


class ArtifactMaker:
    """Makes the artifacts of one run; what several of them need is made once.

    Args:
        directory: the run.
        source: its Keras model.
        terms: what artifacts are made with.
        progress: is told of it.

    Raises:
        TledgeError: Keras does not run on TensorFlow, or the model is not the run's.
    """

    def __init__(self, directory: RunDirectory, source: Artifact, terms: Terms, progress: Progress) -> None:
        import keras

        if keras.backend.backend() != "tensorflow":
            raise OptionError(
                f"exporting needs Keras on TensorFlow; it runs on {keras.backend.backend()}: set"
                " KERAS_BACKEND=tensorflow"
            )
        directory.check_model(source.sha256)
        self.directory = directory
        self.source = source
        self.terms = terms
        self.progress = progress
        self.splits = directory.splits()
        self.manifest = directory.manifest()
        self._trained: Any = keras.saving.load_model(directory.model, compile=False)
        self._trained.jit_compile = False  # XLA is many times slower on a CPU

    @cached_property
    def model(self) -> Any:
        """What is exported and compared with: the run's model, pruned if that was asked for."""
        if not self.terms.sparsity:
            return self._trained
        from tledge.export.tfmot import prune, with_weights

        found = prune(self._trained, self.splits, sparsity=self.terms.sparsity, **self._training)
        pruned = with_weights(self._trained, found.weights)
        pruned.jit_compile = False
        samples = self._choose_validation()
        parity = self._refer(self._trained, samples).compare_logits(self._refer(pruned, samples).logits)
        self.progress.note(
            "Pruned",
            f"{found.sparsity:.1%} of the weights of {len(found.pruned)} convolutions and dense layers; validation"
            f" top-1 {parity.top1:.3f}, before {parity.keras_top1:.3f} ({parity.images} photos)",
        )
        return pruned

    def _choose_validation(self) -> tuple[Sample, ...]:
        """A class-balanced sample of the validation split."""
        samples = self.splits.validation
        return choose_balanced(samples, [sample.label for sample in samples], PARITY_IMAGES, self.manifest.seed)

    @cached_property
    def calibrated(self) -> CalibratedModel:
        """The model with its calibration images."""
        return self._calibrate(self.model)

    @cached_property
    def validation(self) -> Reference:
        """The whole validation split, with what the Keras model says of it."""
        return self._refer(self.model, self.splits.validation)

    @cached_property
    def reference(self) -> Reference:
        """A class-balanced sample of the validation split, with what the Keras model says of it."""
        return self._refer(self.model, self._choose_validation())

    def prepare(self, recipes: Iterable[Recipe]) -> None:
        """Does first what these recipes need and takes long, each with a progress bar of its own."""
        wanted = list(recipes)
        _ = self.model
        if any(recipe.calibrated for recipe in wanted):
            _ = self._calibration
        if any(recipe.trained for recipe in wanted):
            _ = self._quantized

    def make(self, path: Path, recipe: Recipe) -> ExportedArtifact:
        """Makes an artifact and puts it in place.

        Raises:
            RefusedError: it is too far from the Keras model; nothing was put in place.
            TledgeError: it cannot be made.
        """
        began = time.perf_counter()
        content = self.convert(path.suffix[1:], recipe)
        with self.aside(path, content, recipe) as artifact:
            return self.put_in_place(artifact, path, seconds=time.perf_counter() - began)

    def convert(self, kind: str, recipe: Recipe) -> bytes:
        """A model file without a sidecar, of the format ``kind``. Raises ConversionError."""
        if recipe.trained:
            trained = self._quantized
            if kind == "tflite":
                return trained.tflite
            from tledge.export.tfmot import with_weights

            calibrated: CalibratedModel | None = self._calibrate(with_weights(self.model, trained.weights))
        else:
            calibrated = self.calibrated if recipe.calibrated else None
        convert = FORMATS.load(kind).convert
        return translated(kind, recipe.name, lambda: convert(self.model, recipe, calibrated, self.terms.cpu))

    @contextmanager
    def aside(
        self, path: Path, content: bytes, recipe: Recipe, float_layers: tuple[str, ...] = ()
    ) -> Iterator[Artifact]:
        """A model file with its sidecar, beside where it is to be; gone after the block unless it was moved."""
        from tledge.export.tflite_metadata_writer import add_metadata

        class_names = self.source.sidecar.class_names
        if path.suffix == ".tflite":
            content = add_metadata(content, class_names, name=path.stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
            yield write_artifact(Path(folder) / path.name, content, self._describe(path, recipe, float_layers))

    def put_in_place(
        self, artifact: Artifact, path: Path, *, seconds: float, largest_drop: float = LARGEST_DROP
    ) -> ExportedArtifact:
        """Compares an artifact that lies aside with the Keras model, and moves it.

        Raises:
            RefusedError: it is too far from the Keras model.
        """
        parity = self.reference.compare(artifact.path)
        self._check_floor(path, artifact.sidecar, parity, largest_drop)
        moved = move_artifact(artifact, path)
        return describe_artifact(
            moved,
            kept=False,
            parity=parity,
            delegation=find_undelegated(path) if path.suffix == ".tflite" else None,
            sparse=bool(self.terms.sparsity),
            seconds=seconds,
        )

    def _check_floor(self, path: Path, sidecar: Sidecar, parity: Parity, largest_drop: float) -> None:
        recipe = find_recipe(sidecar.recipe)
        wrong = faults(recipe, parity, largest_drop)
        if mismatch(sidecar.cpu):
            self.progress.warn(
                f"{path.name} is for {sidecar.cpu}: 8-bit products saturate on this CPU, so these figures are not those"
                " of the device, and it was not held to a floor"
            )
        elif wrong and not self.terms.allow_drop:
            stays = "; the file that was there stays" if path.exists() else ""
            advice = "--max-drop, more --calibration-images, or float16" if recipe.calibrated else "another recipe"
            raise RefusedError(
                f"{path.name} was not kept: on {parity.images} {parity.split} photos {' and '.join(wrong)} (agreement"
                f" with Keras {parity.agreement:.3f}); try {advice}; or pass --allow-drop to keep it{stays}"
            )

    @cached_property
    def _calibration(self) -> tuple[Any, Calibration]:
        return load_calibration(
            self.splits,
            images=self.terms.calibration_images,
            seed=self.manifest.seed,
            size=self.manifest.input_size,
            resize=self.manifest.resize,
            progress=self.progress,
        )

    @cached_property
    def _quantized(self) -> Quantized:
        from tledge.export.tfmot import train_quantized

        return train_quantized(self.model, self.splits, **self._training)

    @property
    def _training(self) -> dict[str, Any]:
        return {
            "size": self.manifest.input_size,
            "resize": self.manifest.resize,
            "seed": self.manifest.seed,
            "flip": bool(self.manifest.config.get("flip", False)),
            "progress": self.progress,
        }

    def _calibrate(self, model: Any) -> CalibratedModel:
        from tledge.export.weight_rounding import CalibratedModel

        return CalibratedModel(model, self._calibration[0])

    def _refer(self, model: Any, samples: tuple[Sample, ...]) -> Reference:
        return Reference.of_model(
            model,
            self.splits,
            "validation",
            samples,
            size=self.manifest.input_size,
            resize=self.manifest.resize,
        )

    def _describe(self, path: Path, recipe: Recipe, float_layers: tuple[str, ...]) -> Sidecar:
        source = self.source.sidecar
        kind = path.suffix[1:]
        # The ranges of a trained TFLite file were learnt with its weights.
        uses_photos = recipe.calibrated and not (recipe.trained and kind == "tflite")
        return Sidecar(
            class_names=source.class_names,
            input_size=source.input_size,
            resize=source.resize,
            recipe=recipe.name,
            source_run=source.source_run,
            source_sha256=self.source.sha256,
            calibration=self._calibration[1] if uses_photos else None,
            cpu=self.terms.cpu if recipe.calibrated and kind == "onnx" else "any",
            float_layers=float_layers,
            sparsity=self.terms.sparsity,
            versions=installed_versions(("tledge", *FORMATS.load(kind).distributions)),
        )


def faults(recipe: Recipe, parity: Parity, largest_drop: float) -> list[str]:
    """What speaks against an artifact, for a person.

    Args:
        recipe: of the artifact.
        parity: with the Keras model.
        largest_drop: points of top-1 that it may lose; a single photo is never too much.
    """
    found = []
    if parity.drop > largest_drop + 1e-9 and (parity.lost > 1.5 or largest_drop < LARGEST_DROP):
        found.append(f"it loses {parity.drop:.1f} points of top-1, {largest_drop:g} are allowed")
    ratio, floor = parity.signal_to_noise, recipe.floor
    if floor is not None and ratio is not None and ratio < floor:
        found.append(f"its logits are {ratio:.0f} dB above their noise, {recipe.name} has to reach {floor:g}")
    return found


def translated(kind: str, recipe: str, convert: Callable[[], bytes]) -> bytes:
    """What a converter gives; what it raises becomes a ConversionError."""
    try:
        return convert()
    except TledgeError:
        raise
    except Exception as error:  # the converters' exception classes share no base
        raise ConversionError(
            f"{kind} cannot express this model in {recipe}: {_first_line(error)}; try another recipe or format"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

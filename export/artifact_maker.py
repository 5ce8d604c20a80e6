"""Makes the artifacts of one run: converts the model, compares the result with the Keras model, and saves it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tledge.core.artifact import Artifact, move_artifact, write_artifact
from tledge.core.balanced_sample import choose_balanced
from tledge.core.environment import installed_versions
from tledge.core.errors import TargetError
from tledge.core.number_text import counted
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.sidecar import Calibration, Sidecar
from tledge.core.splits import Sample
from tledge.core.temporary_files import temporary_folder
from tledge.edge_runtime.delegation import find_undelegated
from tledge.export.calibration import load_calibration
from tledge.export.export_options import ExportOptions
from tledge.export.export_record import ExportedArtifact, describe_artifact
from tledge.export.format import FORMATS, Quantizer, call_converter
from tledge.export.keras_parity import Reference, check_accepted
from tledge.export.recipes import LARGEST_DROP, Recipe
from tledge.export.tfmot import QuantizedModel, TuningOptions, prune, train_quantized, with_weights

if TYPE_CHECKING:
    from tledge.export.weight_calibration import CalibratedModel

PARITY_IMAGES = 200
"""Validation photos on which each artifact is compared with the Keras model."""

PRUNING_EPOCHS = 4
PRUNING_LEARNING_RATE = 1e-4


class ArtifactMaker:
    """Makes the artifacts of one run; work that several of them share is done once.

    Raises:
        TledgeError: Keras does not run on TensorFlow, or ``source`` is not the run's Keras model.
    """

    def __init__(self, directory: RunDirectory, source: Artifact, options: ExportOptions, progress: Progress) -> None:
        import keras

        if keras.backend.backend() != "tensorflow":
            raise TargetError(
                f"exporting needs the Keras backend tensorflow; received {keras.backend.backend()}: set"
                " KERAS_BACKEND=tensorflow"
            )
        directory.check_model(source.sha256)
        self.directory = directory
        self.source = source
        self.options = options
        self.progress = progress
        self.splits = directory.splits(progress)
        self.manifest = directory.manifest()
        self._trained: Any = keras.saving.load_model(directory.model, compile=False)
        self._trained.jit_compile = False  # XLA is many times slower on a CPU

    @cached_property
    def model(self) -> Any:
        """The model to export: the run's, pruned if ``sparsity`` is set."""
        if not self.options.sparsity:
            return self._trained
        tuning = replace(self._tuning, epochs=PRUNING_EPOCHS, learning_rate=PRUNING_LEARNING_RATE)
        found = prune(self._trained, self.splits, tuning, sparsity=self.options.sparsity, progress=self.progress)
        pruned = with_weights(self._trained, found.weights)
        pruned.jit_compile = False
        samples = self._choose_validation()
        parity = self._reference(self._trained, samples).compare_logits(self._reference(pruned, samples).logits)
        self.progress.note(
            "Pruned",
            f"{found.sparsity:.1%} of the weights of {len(found.report.pruned)} convolutions and dense layers;"
            f" validation top-1 {parity.top1:.3f} ({parity.keras_top1:.3f} before), {counted(parity.images, 'photos')}",
        )
        return pruned

    @cached_property
    def calibrated(self) -> CalibratedModel:
        """The model with its calibration images."""
        return self._calibrate(self.model)

    @cached_property
    def validation(self) -> Reference:
        """The Keras model's logits for the whole validation split."""
        return self._reference(self.model, self.splits.validation)

    @cached_property
    def reference(self) -> Reference:
        """The Keras model's logits for a class-balanced sample of the validation split."""
        return self._reference(self.model, self._choose_validation())

    def kernel_layers(self) -> list[str]:
        """Returns the names of the model's convolutions and dense layers."""
        import keras

        kinds = keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense
        return [layer.name for layer in self.model.layers if isinstance(layer, kinds)]

    def prepare(self, recipes: Iterable[Recipe]) -> None:
        """Does the slow work that some recipes share, each part with a progress bar of its own."""
        needed = list(recipes)
        _ = self.model
        if any(recipe.calibrated for recipe in needed):
            _ = self._calibration
        if any(recipe.trained for recipe in needed):
            _ = self._quantized

    def make(self, path: Path, recipe: Recipe) -> ExportedArtifact:
        """Makes an artifact and saves it as ``path``.

        Raises:
            ArtifactRejectedError: it is too far from the Keras model; nothing was saved.
            TledgeError: it cannot be made.
        """
        started = time.perf_counter()
        content = self.convert(path.suffix[1:], recipe)
        with self.staged(path, content, recipe) as artifact:
            return self.publish(artifact, path, seconds=time.perf_counter() - started)

    def convert(self, kind: str, recipe: Recipe) -> bytes:
        """Converts the model to a file without a sidecar, of the format ``kind``.

        Raises:
            ConversionError: the format or the recipe does not support the model.
        """
        if recipe.trained:
            trained = self._quantized
            if kind == "tflite":
                return trained.tflite
            calibrated: CalibratedModel | None = self._calibrate(with_weights(self.model, trained.weights))
        else:
            calibrated = self.calibrated if recipe.calibrated else None
        convert = FORMATS.load(kind).convert
        return call_converter(kind, recipe.name, lambda: convert(self.model, recipe, calibrated, self.options.cpu))

    def quantizer(self, kind: str) -> Quantizer:
        """Returns the int8 quantizer of the format ``kind`` for the model."""
        return FORMATS.load(kind).quantizer(self.calibrated, self.options.cpu)

    @contextmanager
    def staged(
        self, path: Path, content: bytes, recipe: Recipe, float_layers: tuple[str, ...] = ()
    ) -> Iterator[Artifact]:
        """Writes a model file and its sidecar to a temporary folder beside ``path``, for the ``with`` block."""
        from tledge.export.tflite_metadata_writer import add_metadata

        if path.suffix == ".tflite":
            content = add_metadata(content, self.source.sidecar.class_names, name=path.stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path) as folder:
            yield write_artifact(folder / path.name, content, self._describe(path, recipe, float_layers))

    def publish(
        self, artifact: Artifact, path: Path, *, seconds: float, max_drop: float = LARGEST_DROP
    ) -> ExportedArtifact:
        """Compares an artifact from :meth:`staged` with the Keras model, and moves it to ``path``.

        Args:
            max_drop: points of top-1 that it may lose.

        Raises:
            ArtifactRejectedError: it is too far from the Keras model.
        """
        parity, allow_drop = self.reference.compare(artifact.path), self.options.allow_drop
        check_accepted(path, artifact.sidecar, parity, max_drop=max_drop, allow_drop=allow_drop, progress=self.progress)
        return describe_artifact(
            move_artifact(artifact, path),
            kept=False,
            parity=parity,
            delegation=find_undelegated(path) if path.suffix == ".tflite" else None,
            sparse=bool(self.options.sparsity),
            seconds=seconds,
        )

    def _choose_validation(self) -> tuple[Sample, ...]:
        samples = self.splits.validation
        return choose_balanced(samples, [sample.label for sample in samples], PARITY_IMAGES, self.manifest.seed)

    @cached_property
    def _calibration(self) -> tuple[Any, Calibration]:
        return load_calibration(
            self.splits,
            images=self.options.calibration_images,
            seed=self.manifest.seed,
            size=self.manifest.input_size,
            resize=self.manifest.resize,
            progress=self.progress,
        )

    @cached_property
    def _quantized(self) -> QuantizedModel:
        return train_quantized(self.model, self.splits, self._tuning, progress=self.progress)

    @property
    def _tuning(self) -> TuningOptions:
        return TuningOptions(
            size=self.manifest.input_size,
            resize=self.manifest.resize,
            seed=self.manifest.seed,
            flip=bool(self.manifest.config.get("flip", False)),
        )

    def _calibrate(self, model: Any) -> CalibratedModel:
        from tledge.export.weight_calibration import CalibratedModel

        return CalibratedModel(model, self._calibration[0])

    def _reference(self, model: Any, samples: tuple[Sample, ...]) -> Reference:
        return Reference.of_model(
            model, self.splits, samples, size=self.manifest.input_size, resize=self.manifest.resize
        )

    def _describe(self, path: Path, recipe: Recipe, float_layers: tuple[str, ...]) -> Sidecar:
        source = self.source.sidecar
        kind = path.suffix[1:]
        # Training has set the ranges of a TFLite file made by qat.
        uses_photos = recipe.calibrated and not (recipe.trained and kind == "tflite")
        return Sidecar(
            class_names=source.class_names,
            input_size=source.input_size,
            resize=source.resize,
            recipe=recipe.name,
            source_run=source.source_run,
            source_sha256=self.source.sha256,
            calibration=self._calibration[1] if uses_photos else None,
            cpu=self.options.cpu if recipe.calibrated and kind == "onnx" else "any",
            float_layers=float_layers,
            sparsity=self.options.sparsity,
            versions=installed_versions(("tledge", *FORMATS.load(kind).distributions)),
            seen_photos=source.seen_photos,
        )

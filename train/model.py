"""The classifier: preprocessing, backbone and head in one flat graph, and its file. Imports Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from tledge.core.artifact import write_artifact
from tledge.core.environment import installed_versions
from tledge.core.seen_photos import SeenPhotos
from tledge.core.sidecar import Sidecar
from tledge.core.temporary_files import temporary_folder
from tledge.train.backbone import Backbone
from tledge.train.backend import should_jit_compile

DISTRIBUTIONS = ("tledge", "keras", "tensorflow", "jax", "numpy", "pillow", "scipy")
"""Distributions whose versions a run records."""


def build_classifier(backbone: Backbone, image_size: int, classes: int, *, alpha: float = 1.0) -> Any:
    """Builds a classifier with random weights.

    The graph is flat: none of its layers is a model, so that every tool finds layers by name. The logits are float32,
    everything else has Keras' current precision (``keras.config.dtype_policy``).

    Args:
        alpha: the backbone's width multiplier.

    Returns:
        A ``keras.Model`` from ``image``, float32 RGB pixel values 0 to 255 (N, image_size, image_size, 3), to
        ``logits`` (N, classes). Its layer ``features`` gives the pooled features (N, channels).
    """
    image = keras.Input((image_size, image_size, 3), name="image", dtype="float32")
    features = keras.layers.GlobalAveragePooling2D(name="features")(backbone.connect(image, alpha))
    logits = keras.layers.Dense(classes, name="logits", dtype="float32")(features)
    model = keras.Model(image, logits)
    model.jit_compile = should_jit_compile()
    return model


def copy_weights(model: Any, network: Any) -> None:
    """Copies the weights of a backbone into a classifier that contains it."""
    # By order, not by name: the names that Keras generates differ between models.
    ours = [layer for layer in model.layers if layer.weights and layer.name != "logits"]
    theirs = [layer for layer in network.layers if layer.weights]
    of_the_backbone = ours[len(ours) - len(theirs) :]  # the preprocessing may have a layer with weights too
    for layer, source in zip(of_the_backbone, theirs, strict=True):
        layer.set_weights(source.get_weights())


def feature_extractor(model: Any) -> Any:
    """Returns the part of a classifier from ``image`` to the pooled ``features``; it shares the weights."""
    features = keras.Model(model.input, model.get_layer("features").output)
    features.jit_compile = should_jit_compile()
    return features


def freeze_before(model: Any, first_layer: str) -> None:
    """Freezes the layers before ``first_layer``, and all batch norms, which then run in inference mode."""
    trainable = False
    for layer in model.layers:
        trainable = trainable or layer.name == first_layer
        layer.trainable = trainable and not isinstance(layer, keras.layers.BatchNormalization)


def save_model(
    path: Path,
    model: Any,
    class_names: tuple[str, ...],
    *,
    size: tuple[int, int],
    resize: str,
    source_run: str,
    seen_photos: SeenPhotos | None = None,
) -> str:
    """Writes a ``.keras`` file with its sidecar, without the optimizer's state; returns the file's SHA-256.

    Args:
        class_names: the class of each logit.
        size: (height, width) of its input.
        seen_photos: fingerprints of the photos that it was trained on, if they are known.
    """
    with temporary_folder(path) as folder:
        plain = folder / "model.keras"
        keras.Model(model.input, model.output).save(plain)
        content = plain.read_bytes()
    sidecar = Sidecar(
        class_names=class_names,
        input_size=size,
        resize=resize,
        recipe="float32",
        source_run=source_run,
        versions=installed_versions(DISTRIBUTIONS),
        seen_photos=seen_photos,
    )
    return write_artifact(path, content, sidecar).sha256

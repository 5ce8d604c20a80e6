"""Writes a trained Keras model with its sidecar. Imports Keras."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras

from tledge.core.artifact import write_artifact
from tledge.core.environment import installed_versions
from tledge.core.sidecar import Sidecar

DISTRIBUTIONS = ("tledge", "keras", "tensorflow", "jax", "numpy", "pillow", "scipy")
"""Distributions whose versions a run records."""


def save_model(
    path: Path, model: Any, class_names: tuple[str, ...], *, size: tuple[int, int], resize: str, source_run: str
) -> str:
    """Writes a ``.keras`` file with its sidecar, without the optimizer's state.

    Args:
        path: the file to write.
        model: the classifier.
        class_names: the class of each logit.
        size: (height, width) of its input.
        resize: the resize rule.
        source_run: the name of the run.

    Returns:
        The file's SHA-256.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        plain = Path(folder) / "model.keras"
        keras.Model(model.input, model.output).save(plain)
        content = plain.read_bytes()
    sidecar = Sidecar(
        class_names=class_names,
        input_size=size,
        resize=resize,
        recipe="float32",
        source_run=source_run,
        versions=installed_versions(DISTRIBUTIONS),
    )
    return write_artifact(path, content, sidecar).sha256

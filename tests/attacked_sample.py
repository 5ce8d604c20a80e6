"""A network that has learned digits, its files and some photos, for attacks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from digit_sample import Digits
from PIL import Image
from support import TINY_SIDECAR

from tledge.core.artifact import write_artifact
from tledge.export.format import FORMATS
from tledge.export.recipes import RECIPES

NAMES = tuple(str(digit) for digit in range(10))
SIDECAR = replace(TINY_SIDECAR, class_names=NAMES, input_size=(32, 32))


def write_attacked(path: Path, network: Any, digit_sets: Sequence[Digits]) -> None:
    """Writes the network, its float32 and float16 TFLite files, and three photos of each digit or fewer."""
    network.save(path / "plain.keras")
    keras = write_artifact(path / "model.keras", (path / "plain.keras").read_bytes(), SIDECAR)
    for recipe in RECIPES:
        if recipe.name in ("float32", "float16"):
            content = FORMATS.load("tflite").convert(network, recipe, None)
            sidecar = replace(SIDECAR, recipe=recipe.name, source_sha256=keras.sha256)
            write_artifact(path / f"{recipe.name}.tflite", content, sidecar)
    learned, others = digit_sets
    images = np.concatenate([others.images, learned.images[:100]])
    labels = np.concatenate([others.labels, learned.labels[:100]])
    for number, name in enumerate(NAMES):
        (path / "photos" / name).mkdir(parents=True)
        for index, image in enumerate(images[labels == number][:3]):
            Image.fromarray(image).save(path / "photos" / name / f"{index}.png")

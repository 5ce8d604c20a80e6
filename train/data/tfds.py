"""Image classification data sets of tensorflow-datasets: ``data="tfds:cats_vs_dogs"``.

The photos are written once as files, in their original encoding, in folders of splits and classes. From then on the
data set is a folder like any other: artifacts can be run on the same files, on any machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tledge.core.errors import DataError, first_line
from tledge.core.extras import require
from tledge.core.manifest import TFDS_PREFIX
from tledge.core.progress import Progress, Step
from tledge.core.split_names import TRAIN, split_of
from tledge.core.temporary_files import temporary_folder
from tledge.core.user_cache import building, holds

_SPLITS = frozenset({"train", "val", "valid", "validation", "test"})
_SUFFIXES = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"), (b"RIFF", ".webp"))


def write_tfds(name: str, folder: Path, *, progress: Progress) -> Path:
    """Writes the photos of a data set as files, unless an earlier run did and they have not changed since.

    Args:
        name: a name of tensorflow-datasets: "cats_vs_dogs", "oxford_iiit_pet:4.0.0".
        folder: the folder for all such data sets.

    Returns:
        A folder with one folder per class, or with such folders below ``train``, ``validation`` and ``test`` if the
        data set has these splits.

    Raises:
        MissingExtraError: tensorflow-datasets is not installed.
        DataError: there is no such data set, it cannot be downloaded, it is damaged, or it does not hold images with
            one class each.
    """
    require("tensorflow_datasets", extra="tfds", purpose=f"data '{TFDS_PREFIX}{name}'")
    import tensorflow as tf
    import tensorflow_datasets as tfds

    builder = _build(tfds, name)
    image, label = _features(tfds, builder, name=name)
    complete = folder / str(builder.info.full_name).replace("/", "-")
    if holds(complete, progress):
        return complete
    splits = {found: str(split_of(found)) for found in builder.info.splits if found in _SPLITS}
    if TRAIN not in splits:
        raise DataError(f"'{TFDS_PREFIX}{name}' has no split 'train'; it has {', '.join(builder.info.splits)}")
    class_names = [re.sub(r"[/\0]", "_", class_name) for class_name in builder.info.features[label].names]
    with building(complete) as temporary, temporary_folder(complete) as whole:
        total = sum(builder.info.splits[split].num_examples for split in splits)
        with progress.step(f"Write {TFDS_PREFIX}{name}", total, "photos") as step:
            for split, kind in splits.items():
                examples = builder.as_dataset(split=split, decoders={image: tfds.decode.SkipDecoding()})
                pairs = ((bytes(item[image]), int(item[label])) for item in tfds.as_numpy(examples))
                labelled = (pair for pair in pairs if pair[1] >= 0)  # -1 in test splits without public labels
                try:
                    _write(labelled, class_names, folder=whole / kind, step=step)
                except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
                    raise DataError(
                        f"'{builder.data_dir}' is damaged: {first_line(error)}; delete that folder, and it is prepared"
                        " again"
                    ) from error
        alone = [path.name for path in whole.iterdir()] == [TRAIN]  # a test split without labels has no files
        for path in (whole / TRAIN if alone else whole).iterdir():
            path.rename(temporary / path.name)
    return complete


def _build(tfds: Any, name: str) -> Any:
    try:
        builder = tfds.builder(name)
        builder.download_and_prepare()
    except tfds.core.DatasetNotFoundError as error:
        raise DataError(
            f"tensorflow-datasets has no data set '{name}'; choose one from its catalog, such as"
            f" '{TFDS_PREFIX}cats_vs_dogs'"
        ) from error
    except Exception as error:  # any error of a download, or a version that does not exist
        raise DataError(
            f"cannot prepare '{TFDS_PREFIX}{name}': {first_line(error)}; prepare it on a machine with internet access"
            " and set TFDS_DATA_DIR"
        ) from error
    return builder


def _features(tfds: Any, builder: Any, *, name: str) -> tuple[str, str]:
    """Returns the keys of the image and of its class."""
    features = builder.info.features
    found = {
        kind: [key for key, feature in features.items() if type(feature) is kind]
        for kind in (tfds.features.Image, tfds.features.ClassLabel)
    }
    for key in builder.info.supervised_keys or ():
        for kind, keys in found.items():
            if key in keys:
                found[kind] = [key]
    image, label = found.values()
    if not image or not label:
        raise DataError(
            f"'{TFDS_PREFIX}{name}' is not an image classification data set: its features are {', '.join(features)}"
        )
    return image[0], "label" if "label" in label else label[0]


def _write(pairs: Iterable[tuple[bytes, int]], class_names: list[str], *, folder: Path, step: Step) -> None:
    for number, (content, label) in enumerate(pairs):
        suffix = next((suffix for start, suffix in _SUFFIXES if content.startswith(start)), ".jpg")
        (folder / class_names[label]).mkdir(parents=True, exist_ok=True)
        (folder / class_names[label] / f"{number:07d}{suffix}").write_bytes(content)
        step.advance()

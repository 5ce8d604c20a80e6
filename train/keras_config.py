"""The configuration inside a Keras file, read and changed without loading the model."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.core.errors import ModelError, first_line
from tledge.core.file_kinds import HEAD, recognize
from tledge.core.keras_archive import check_keras_archive, read_json
from tledge.core.regular_file import open_regular
from tledge.core.zip_limits import FREE_SIZE, MOST_EXPANDED, open_zip

HDF5, ZIP = b"\x89HDF", b"PK\x03\x04"

_OTHERS = {
    HDF5: "is an HDF5 file, which Keras only loads by the suffix .h5; rename it",
    ZIP: "is a file of Keras' newer format, which Keras only loads by the suffix .keras; rename it",
}
"""What other files start with, and what to do about them."""

_PRECISIONS = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")

_MODULES = {
    "Functional": "keras.src.engine.functional",
    "Sequential": "keras.src.engine.sequential",
    "TFOpLambda": "keras.src.layers.core.tf_op_layer",
    "SlicingOpLambda": "keras.src.layers.core.tf_op_layer",
}
"""Where tf_keras has classes that versions of Keras 2 name by different modules."""


@dataclass(frozen=True)
class KerasConfig:
    """What a Keras file says about its model.

    Attributes:
        model: the configuration of the model, as :meth:`keras.Model.get_config` serializes it.
        version: of the Keras that wrote the file, "" if it is not recorded.
    """

    model: Any
    version: str

    @property
    def of_keras2(self) -> bool:
        """Whether Keras 2 (up to TensorFlow 2.15, or ``tf_keras``) wrote the file."""
        return int(self.version.partition(".")[0] or 2) < 3


def read_config(path: Path) -> KerasConfig:
    """Reads the configuration of a model without loading the model.

    Raises:
        ModelError: the file is no Keras model; the message says what it is instead, as far as that is known.
    """
    _check_kind(path)
    try:
        if is_hdf5(path):
            return _read_hdf5(path)
        config, metadata = check_keras_archive(path)
        version = metadata.get("keras_version", "3") if isinstance(metadata, dict) else "3"
        if not isinstance(config, dict):
            raise ValueError("its configuration is not an object")
        _check_weights(path)
        return KerasConfig(config, str(version))
    except FileNotFoundError as error:
        raise ModelError(f"no such file: '{path}'; pass a .keras or .h5 file saved by Keras") from error
    except (OSError, KeyError, ValueError, RuntimeError, SystemError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"'{path}' is not a complete Keras model ({first_line(error)}); pass a .keras or .h5 file from"
            " model.save(), not a weights file"
        ) from error


def is_hdf5(path: Path) -> bool:
    """Whether Keras reads a file of this name as HDF5."""
    return path.suffix.lower() in (".h5", ".hdf5")


def _check_kind(path: Path) -> None:
    """Raises ModelError if a file starts like one of another kind, or is a folder."""
    if path.is_dir():
        saved = (path / "saved_model.pb").exists()
        raise ModelError(
            f"'{path}' is a {'SavedModel' * saved or 'plain'} folder; pass a .keras or .h5 file"
            + "; convert the folder with tf.lite.TFLiteConverter.from_saved_model and adopt the .tflite file" * saved
        )
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(HEAD)
    for start, cause in _OTHERS.items():
        if head.startswith(start) and start != (HDF5 if is_hdf5(path) else ZIP):
            raise ModelError(f"'{path}' {cause}")
    onnx = path.suffix.lower() == ".onnx" and head.startswith(b"\x08")
    if onnx or head[4:8] == b"TFL3":
        kind = "an ONNX" if onnx else "a TFLite"
        raise ModelError(f"'{path}' is {kind} model, which is ready to run: adopt it instead")
    known = "" if head.startswith((HDF5, ZIP)) else recognize(path.with_suffix(""), head)
    if known:
        raise ModelError(f"'{path}' is {known}")


def _read_hdf5(path: Path) -> KerasConfig:
    import h5py

    with h5py.File(path) as file:
        _check_datasets(file, path.stat().st_size)
        if "model_config" not in file.attrs:
            raise ModelError(
                f"'{path}' holds weights without a model; load them into the model that they are of, and pass the file"
                " of its model.save()"
            )
        version = file.attrs.get("keras_version", "")
        return KerasConfig(
            read_json(file.attrs["model_config"]), version.decode() if isinstance(version, bytes) else str(version)
        )


def _check_weights(path: Path) -> None:
    """Checks the HDF5 file inside a ``.keras`` file, see ``_check_datasets``."""
    import h5py

    with open_regular(path) as opened, open_zip(opened) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".h5"):
                with archive.open(member) as stored, h5py.File(io.BytesIO(stored.read())) as file:
                    _check_datasets(file, member.file_size)


def _check_datasets(file: Any, file_size: int) -> None:
    """Raises ValueError if an HDF5 file refers to other files, or announces far larger arrays than it can hold."""
    import h5py

    links: list[tuple[str, Any]] = []
    file.visititems_links(lambda name, link: links.append((name, link)))  # h5py loses errors that are raised in it
    total = 0
    for name, link in links:
        if isinstance(link, h5py.ExternalLink):
            raise ValueError(f"'{name}' is a link to another file, '{link.filename}'")
        item = file.get(name) if isinstance(link, h5py.HardLink) else None
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"the content of '{name}' is in another file")
            total += item.nbytes
            if total > max(FREE_SIZE, MOST_EXPANDED * file_size):
                raise ValueError(f"its {file_size:,} bytes announce weights of {total:,} bytes or more")


def float32_file(path: Path, folder: Path) -> Path:
    """Returns a Keras file that computes in float32: ``path`` itself, or a copy in ``folder`` with another precision.

    A file of Keras 2 also gets today's names of Keras 2's modules.
    """
    config = read_config(path)
    changed = _in_float32(config.model, _MODULES if config.of_keras2 else {})
    if changed == config.model:
        return path
    copy = folder / path.name
    if is_hdf5(path):
        import h5py

        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            file.attrs["model_config"] = json.dumps(changed)
        return copy
    with open_regular(path) as file, open_zip(file) as source, zipfile.ZipFile(copy, "w") as target:
        for member in source.infolist():
            content = json.dumps(changed).encode() if member.filename == "config.json" else source.read(member)
            target.writestr(member, content)
    return copy


def _in_float32(part: Any, modules: dict[str, str]) -> Any:
    """Returns a part of a configuration with float32 in place of a lower or mixed precision."""
    if isinstance(part, list):
        return [_in_float32(item, modules) for item in part]
    if not isinstance(part, dict):
        return part
    found = {key: _in_float32(value, modules) for key, value in part.items()}
    policy = found.get("config")
    if found.get("class_name") in ("DTypePolicy", "Policy") and isinstance(policy, dict):
        if policy.get("name") in _PRECISIONS:
            found["config"] = {**policy, "name": "float32"}
    elif found.get("dtype") in _PRECISIONS:
        found["dtype"] = "float32"
    if "module" in found and found.get("class_name") in modules:
        found["module"] = modules[found["class_name"]]
    return found

"""The safety check of a Keras file: whether loading or running it could execute code. It does not load the file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tledge.core.errors import ModelError, first_line

EXECUTES_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "__lambda__")

READS_FILES = ("StringLookup", "IntegerLookup", "TextVectorization")

SAFE_MODULES = ("layers", "models", "initializers", "regularizers", "constraints", "dtype_policies", "ops")
"""Modules of ``keras`` and ``keras.src`` whose other classes only compute."""

SAFE_CLASSES = (("keras", "DTypePolicy"), ("keras", "Functional"), ("keras", "Sequential"), ("builtins", "slice"))


def check_keras_file(path: Path, *, trust: bool) -> None:
    """Raises ModelError if a file is not a Keras model or, unless ``trust`` is set, if it could execute code."""
    config = _read_config(path)
    if not trust:
        check_config(path, config)


def check_config(path: Path, config: Any) -> None:
    """Raises ModelError if a model's configuration contains anything but Keras' own layers and functions.

    Args:
        config: the configuration, as :meth:`keras.Model.get_config` serializes it. Its ``compile_config`` (loss and
            optimizer) is not loaded, and therefore not checked.
    """
    for part in _serialized_objects({key: value for key, value in config.items() if key != "compile_config"}):
        if not _is_safe(part):
            raise ModelError(
                f"'{path}' contains {_describe(part)!r}, which can execute arbitrary code: the file was not loaded."
                " Replace it with Keras' own layers or, if you trust the file's source, pass `trust_model=True`"
            )


def _read_config(path: Path) -> Any:
    """Reads the configuration of a model without loading the model."""
    try:
        if path.suffix.lower() in (".h5", ".hdf5"):
            import h5py

            with h5py.File(path) as file:
                return json.loads(file.attrs["model_config"])
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except FileNotFoundError as error:
        raise ModelError(f"no such file: '{path}'; pass a .keras or .h5 file saved by Keras") from error
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"'{path}' is not a complete Keras model ({first_line(error)}); pass a .keras or .h5 file from"
            " model.save(), not a weights file"
        ) from error


def _is_safe(part: dict[str, Any]) -> bool:
    """Returns whether a serialized object is one of Keras' own, and only computes."""
    name, module = str(part["class_name"]), part.get("module")
    if not name.isidentifier() or name in (*EXECUTES_CODE, *READS_FILES, "function") or ">" in _registered_name(part):
        return False
    if module is None or (module, name) in SAFE_CLASSES:  # older files name no modules
        return True
    parts = [part for part in str(module).split(".") if part != "src"]
    return parts[0] == "keras" and len(parts) > 1 and parts[1] in SAFE_MODULES


def _describe(part: dict[str, Any]) -> Any:
    if part["class_name"] == "function":
        return part.get("config")
    return _registered_name(part) if ">" in _registered_name(part) else part["class_name"]


def _registered_name(part: dict[str, Any]) -> str:
    """Returns the name of a class that was registered by others ("package>Name"), or another name, or nothing."""
    return str(part.get("registered_name") or "")


def _serialized_objects(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        for value in config.values():
            yield from _serialized_objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _serialized_objects(value)

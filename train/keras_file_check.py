"""The safety check of a Keras file: whether loading or running it could execute code. It does not load the file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tledge.core.errors import ModelError
from tledge.train.keras_config import KerasConfig, read_config

EXECUTES_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "__lambda__")

READS_FILES = ("StringLookup", "IntegerLookup", "TextVectorization")

SAFE_MODULES = ("layers", "models", "initializers", "regularizers", "constraints", "dtype_policies", "ops")
"""Modules of ``keras`` and ``keras.src`` whose other classes only compute."""

_INITIALIZERS = (
    *("Constant", "GlorotNormal", "GlorotUniform", "Identity", "Ones", "Orthogonal", "RandomNormal", "RandomUniform"),
    *("TruncatedNormal", "VarianceScaling", "Zeros"),
)
"""TensorFlow's own, as in EfficientNetV2 of Keras 2."""

SAFE_CLASSES = (
    *(("keras", name) for name in ("DTypePolicy", "Functional", "Sequential")),
    *(("keras.engine.functional", "Functional"), ("keras.engine.sequential", "Sequential")),
    *(("keras.mixed_precision", "Policy"), ("builtins", "slice")),
    *(("keras.applications.convnext", name) for name in ("LayerScale", "StochasticDepth")),
    ("keras.applications.inception_resnet_v2", "CustomScaleLayer"),
    *(("tensorflow.python.ops.init_ops_v2", name) for name in _INITIALIZERS),
)
"""Other safe classes, by their modules without ``src``; tf_keras counts as Keras."""

UNSUPPORTED = ("ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer")
"""Layers of Keras 2 that call TensorFlow by name in ways that are not converted."""

TENSORFLOW_FUNCTIONS = (
    *(f"math.{name}" for name in ("abs", "add", "divide", "exp", "maximum", "minimum", "multiply", "negative", "pow")),
    *(f"math.{name}" for name in ("reduce_max", "reduce_mean", "reduce_sum", "rsqrt", "sigmoid", "softplus", "sqrt")),
    *(f"math.{name}" for name in ("square", "subtract", "tanh", "truediv", "l2_normalize")),
    *(f"__operators__.{name}" for name in ("add", "getitem")),
    *(f"nn.{name}" for name in ("bias_add", "elu", "gelu", "leaky_relu", "relu", "relu6", "selu", "silu", "softmax")),
    *(f"compat.v1.{name}" for name in ("gather", "pad", "squeeze", "transpose")),
    *("cast", "clip_by_value", "concat", "expand_dims", "identity", "image.resize", "image.rgb_to_grayscale"),
    *("reshape", "reverse", "split", "stack", "stop_gradient", "unstack"),
)
"""What a ``TFOpLambda`` or ``SlicingOpLambda`` of Keras 2 may call; ``keras2_layers`` converts each."""


def check_keras_file(path: Path, *, trust: bool) -> KerasConfig:
    """Returns a file's configuration.

    Raises:
        ModelError: it is not a Keras model or, unless ``trust`` is set, it could execute code or needs classes that
            are not Keras' own.
    """
    config = read_config(path)
    if not trust:
        check_config(path, config.model)
    return config


def check_config(path: Path, config: Any) -> None:
    """Raises ModelError if a model's configuration contains anything but Keras' own layers and functions.

    Args:
        config: the configuration, as :meth:`keras.Model.get_config` serializes it. Its ``compile_config`` (loss and
            optimizer) is not loaded, and therefore not checked.
    """
    for part in _serialized_objects({key: value for key, value in config.items() if key != "compile_config"}):
        if _is_safe(part):
            _check_supported(path, part)
        elif _is_foreign(part):
            raise ModelError(
                f"'{path}' contains {_describe(part)!r}, which is not part of Keras and whose code is not in the file:"
                " the file was not loaded. Replace it with Keras' own layers or, if this Python can import it and you"
                " trust it, pass `trust_model=True`"
            )
        else:
            raise ModelError(
                f"'{path}' contains {_describe(part)!r}, which can execute arbitrary code: the file was not loaded."
                " Replace it with Keras' own layers or, if you trust the file's source, pass `trust_model=True`"
            )


def _is_foreign(part: dict[str, Any]) -> bool:
    """Returns whether a serialized object is of a class of others, which is only unknown."""
    name, module = _class_name(part), str(part.get("module") or "keras")
    if not name.isidentifier() or name in (*EXECUTES_CODE, *READS_FILES, "function"):
        return False
    root = module.partition(".")[0]
    return ">" in _registered_name(part) or root not in {*_OWN, *sys.stdlib_module_names}


def _is_safe(part: dict[str, Any]) -> bool:
    """Returns whether a serialized object is one of Keras' own, and only computes."""
    name, module = _class_name(part), part.get("module")
    if not name.isidentifier() or name in (*EXECUTES_CODE, *READS_FILES, "function"):
        return False
    parts = [part for part in str(module).replace("tf_keras", "keras", 1).split(".") if part != "src"]
    if (".".join(parts), name) in SAFE_CLASSES and module != "keras.src":
        return True
    if module is None and _registered_name(part) == "Custom>CustomScaleLayer":  # in an .h5 file
        return True
    if ">" in _registered_name(part) or _called_function(part).startswith(_DANGEROUS_FUNCTIONS):
        return False
    return module is None or (parts[0] == "keras" and len(parts) > 1 and parts[1] in SAFE_MODULES)


def _check_supported(path: Path, part: dict[str, Any]) -> None:
    """Raises ModelError if a layer of Keras 2 calls what is not converted."""
    name, function = part["class_name"], _called_function(part)
    if name in UNSUPPORTED or (function and function not in TENSORFLOW_FUNCTIONS):
        raise ModelError(
            f"'{path}' calls TensorFlow's {function or name!r} between its layers, which cannot be converted to Keras"
            " 3: the file was not loaded. Replace it with a Keras layer"
        )


def _called_function(part: dict[str, Any]) -> str:
    config = part.get("config")
    if part["class_name"] not in ("TFOpLambda", "SlicingOpLambda"):
        return ""
    return str(config.get("function", "?")) if isinstance(config, dict) else "?"


_OWN = ("keras", "tf_keras", "tensorflow", "numpy", "h5py")
"""Packages that are always there, so that a file can name any of their functions."""

_DANGEROUS_FUNCTIONS = (
    "io.",
    "raw_ops.",
    "py_function",
    "numpy_function",
    "load_",
    "saved_model.",
    "compat.v1.py_func",
)


def _describe(part: dict[str, Any]) -> Any:
    if part["class_name"] == "function":
        return part.get("config")
    return _registered_name(part) if ">" in _registered_name(part) else part["class_name"]


def _registered_name(part: dict[str, Any]) -> str:
    """Returns the name of a class that was registered by others ("package>Name"), or another name, or nothing."""
    return str(part.get("registered_name") or (part["class_name"] if ">" in part["class_name"] else ""))


def _class_name(part: dict[str, Any]) -> str:
    """Returns the name of a class, before which .h5 files have the package ("package>Name")."""
    return str(part["class_name"]).rpartition(">")[2]


def _serialized_objects(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        for value in config.values():
            yield from _serialized_objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _serialized_objects(value)

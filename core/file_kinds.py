"""What a file is that is not a TFLite, ONNX or Keras model, by its first bytes: the cause and the remedy.

``KINDS`` is in order: the first pattern that matches decides. A file that none of them knows gets no guess.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from tledge.core.regular_file import open_regular, read_start
from tledge.core.zip_limits import open_zip

HEAD = 600
"""Bytes that the patterns look at; a tar archive says what it is at byte 257."""

_TORCH = "export it in PyTorch with torch.onnx.export(model, (image,), 'model.onnx')"
_TENSORFLOW = "convert it with tf.lite.TFLiteConverter or tf2onnx"
_KERAS = "`export(model='MODEL.h5', data='PHOTOS')` imports it; its name has to end in .h5"
_UNPACK = "unpack it, and use the model in it"
_DOWNLOAD = (
    "download the file itself, in GitHub with 'Download raw file', in Hugging Face through /resolve/, not /blob/"
)

KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb".{4}TFL3", "a TFLite model", "rename it to .tflite"),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file that it stands for", "run 'git lfs pull' there"),
    (rb"(?i:\s*<(!doctype html|html|head|body))", "a web page", _DOWNLOAD),
    (rb"\s*<(\?xml.*<)?net\b", "an OpenVINO model", "convert the model it was made from to ONNX"),
    (rb"\s*\{.*(modelTopology|layers-model|graph-model)", "a TensorFlow.js model", _TENSORFLOW),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes .h5", _KERAS),
    (rb"\x80[\x02-\x05]", "a Python pickle, as PyTorch wrote .pt and .pth before 1.6", _TORCH),
    (rb".{2,6}\x00{2,6}\{\s*\"", "safetensors: weights without a network", _TORCH),
    (rb"\x0a.{1,250}?\x12[\x05\x0b](Const|Placeholder)", "a TensorFlow graph (.pb)", _TENSORFLOW),
    (rb"[fp]trt", "a TensorRT engine, for one kind of GPU", "use the .onnx file that it was built from"),
    (rb".{4}ET\d\d", "an ExecuTorch program", _TORCH),
    (rb".{4}ORTM", "a model in ONNX Runtime's own format", "use the .onnx file that it was made from"),
    (rb"RKNN", "a Rockchip model", "use the .onnx or .tflite file that it was made from"),
    (rb"GGUF", "a language model (GGUF)", "tledge takes image classifiers"),
    (rb"\x1f\x8b|\xfd7zXZ|BZh\d|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!|.{257}ustar", "an archive", _UNPACK),
    (rb"\x00{16}", "filled with zeros, as a download that was cut off leaves it", "download it again"),
    (rb"\x08[\x01-\x3f][\x12\x1a\x22\x28\x32\x3a\x42]", "an ONNX model, by its first bytes", "rename it to .onnx"),
    (rb"[\t\n\r\x20-\x7e]{12,}\Z", "a text file", "look at what it says"),
)
"""A pattern of the first bytes, what the file is, and the remedy."""

MEMBERS: tuple[tuple[str, str, str], ...] = (
    ("data.pkl", "a PyTorch file (.pt, .pth)", _TORCH),
    ("model.weights.h5", "a Keras file", "rename it to .keras"),
    ("saved_model.pb", "an archive of a TensorFlow SavedModel", _TENSORFLOW),
    (".npy", "NumPy arrays (.npz): weights without a network", "save the model itself"),
    ("", "a ZIP archive", _UNPACK),
)
"""The ending of a member's name in a ZIP, what the file is, and the remedy."""

SUFFIXES: tuple[tuple[str, str, str], ...] = (
    (".pt .pth .ckpt", "a PyTorch file", _TORCH),
    (".mlmodel .mlpackage", "a Core ML model", "convert the model it was made from to ONNX"),
    (".h5 .hdf5", "a Keras file", "`export(model='MODEL.h5', data='PHOTOS')` imports it"),
    (".pb", "a TensorFlow graph", _TENSORFLOW),
    (".engine .plan .trt", "a TensorRT engine", "use the .onnx file that it was built from"),
)
"""Suffixes of files that their first bytes do not tell, what they are, and the remedy."""


def recognize(path: Path, head: bytes | None = None) -> str:
    """Returns what a file is and the remedy, "a Git LFS pointer …: run 'git lfs pull' there"; empty if unknown.

    Args:
        path: the file, or a folder.
        head: its first ``HEAD`` bytes, if they were read already.
    """
    if (path / "saved_model.pb").is_file():
        return f"a TensorFlow SavedModel: {_TENSORFLOW}"
    if head is None:
        try:
            head = read_start(path, HEAD)
        except OSError:
            head = b""
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    for pattern, kind, remedy in KINDS:
        if re.match(pattern, head, re.DOTALL):
            return f"{kind}: {remedy}"
    return next((f"{kind}: {remedy}" for names, kind, remedy in SUFFIXES if path.suffix.lower() in names.split()), "")


def _kind_of_zip(path: Path) -> str:
    try:
        with open_regular(path) as file, open_zip(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        names = []
    return next(f"{kind}: {remedy}" for end, kind, remedy in MEMBERS if not end or any(n.endswith(end) for n in names))

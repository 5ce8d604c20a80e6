"""Why a runtime cannot load a model file: the causes that its message shows, each with its remedy.

``FAULTS`` is in order: the first pattern found in the message decides. A message that none of them knows stands in the
error in full, without a remedy.
"""

from __future__ import annotations

import re
from pathlib import Path

from tledge.core.environment import installed_versions
from tledge.core.errors import ArtifactError
from tledge.core.model_files import weight_files

FAULTS: tuple[tuple[str, str, str], ...] = (
    (
        r"edgetpu-custom-op",
        "it was compiled for the Edge TPU and runs only there",
        "use the file that it was compiled from, without '_edgetpu' in its name",
    ),
    (
        r"Select TensorFlow op|Flex delegate",
        "it uses operators of TensorFlow itself{operators}, which LiteRT does not have",
        "convert it again with `supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]` alone",
    ),
    (
        r"unresolved custom op: (\S+?)\.?\s",
        "it uses custom operators{operators}, which are not part of LiteRT",
        "convert it again without them, or run it with the library that they are from",
    ),
    (
        r"builtin opcode '(\w+)' version '(\d+)'",
        "it needs version {2} of the operator {1}, which the installed ai-edge-litert {litert} does not have",
        "pip install -U ai-edge-litert, or convert it with an older TensorFlow",
    ),
    (
        r"builtin_code out of range: (\d+)",
        "it uses the operator number {1}, which the installed ai-edge-litert {litert} does not have",
        "pip install -U ai-edge-litert, or convert it with an older TensorFlow",
    ),
    (r"not a valid Flatbuffer", "it is damaged or truncated", "copy or convert it again"),
    (
        r"Opset (\d+) is under development.*official support for domain (\S+) is till opset (\d+)",
        "it needs opset {1} of {2}, and the installed onnxruntime {onnxruntime} supports up to {3}",
        "pip install -U onnxruntime, or export it again with `opset_version={3}` or lower",
    ),
    (
        r"IR version: (\d+), max supported IR version: (\d+)",
        "it has version {1} of the ONNX format (IR), and the installed onnxruntime {onnxruntime} reads up to {2}",
        "pip install -U onnxruntime, or save it with `model.ir_version = {2}`",
    ),
    (
        r"failed:Fatal error: (\S+?)\(\S*\) is not a registered function/op",
        "it uses the custom operator {1}, which is not part of ONNX Runtime",
        "export it again without it, or run it with the library that it is from",
    ),
    (
        r"No Op registered for (\w+) with domain_version of (\d+)",
        "it uses the operator {1}, which opset {2} does not have",
        "export it again, with the opset that it needs",
    ),
    (r"Protobuf parsing failed", "it is damaged, truncated or no ONNX model", "copy or export it again"),
)
"""A pattern of the runtime's message, the cause and the remedy; {1} is the first group, {operators} are custom ones."""


def load_error(library: str, model: Path, error: Exception, *, to: str = "load") -> ArtifactError:
    """Returns the error for a model that a library cannot load.

    Args:
        library: its name, "LiteRT".
        model: the file.
        error: what the library raised.
        to: what it cannot do.

    Raises:
        ArtifactError: files with weights of the model are missing or incomplete.
    """
    weight_files(model)
    message = " ".join(str(error).split())
    for pattern, cause, remedy in FAULTS:
        found = re.search(pattern, message)
        if found:
            versions = installed_versions(("ai-edge-litert", "onnxruntime-gpu", "onnxruntime"))
            known = {
                "operators": _custom_operators(model) if "{operators}" in cause else "",
                "litert": versions.get("ai-edge-litert", ""),
                "onnxruntime": versions.get("onnxruntime", versions.get("onnxruntime-gpu", "")),
            }
            known_cause = f"{cause}; {remedy}".format(found[0], *found.groups(), **known)
            return ArtifactError(f"{library} cannot {to} '{model}': {known_cause}")
    return ArtifactError(f"{library} cannot {to} '{model}': {message}")


def _custom_operators(model: Path) -> str:
    """Returns the names of a TFLite file's custom operators, " (FlexErf, FlexRoll)"; empty for other files."""
    from ai_edge_litert import schema_py_generated as schema

    if model.suffix.lower() != ".tflite":
        return ""
    root = schema.Model.GetRootAs(model.read_bytes(), 0)
    codes = (root.OperatorCodes(index).CustomCode() for index in range(root.OperatorCodesLength()))
    names = sorted({code.decode("utf-8", "replace") for code in codes if code})
    return f" ({', '.join(names)})" if names else ""

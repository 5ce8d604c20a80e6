"""A first run of a model file in a process of its own, where a crash of a native library ends nothing else.

LiteRT, ONNX Runtime and TensorFlow check much of a file, but not all: some damaged files end the process that loads
them, with SIGSEGV or with an abort of the C library.
"""

from __future__ import annotations

import re
from pathlib import Path

from tledge.core.errors import ArtifactError
from tledge.core.worker import python_module, run_worker

SECONDS = 300.0
"""How long a trial may take: a large model on a small board takes a minute."""

LIBRARIES = {".tflite": "LiteRT", ".onnx": "ONNX Runtime", ".keras": "Keras"}


def try_model(model: Path, input_size: tuple[int, int] | None = None, *, grey: bool = False) -> None:
    """Loads and runs a model of others in a child process, as ``inspect`` does.

    Errors that ``inspect`` raises are ignored: whoever loads the file next gets them.

    Args:
        model: a TFLite or ONNX file.
        input_size, grey: see ``inspect``.

    Raises:
        ArtifactError: the child process crashed, needed more memory than there is, or did not end.
    """
    library = LIBRARIES.get(model.suffix.lower())
    if library is None:  # no runtime loads it
        return
    request = {"model": str(model), "input_size": input_size, "grey": grey}
    try:
        run_worker(
            python_module("tledge.edge_runtime.trial_worker"),
            request,
            name=library,
            error=_TrialError,
            timeout=SECONDS,
        )
    except _TrialError as error:
        raise ArtifactError(_describe(model, library, str(error))) from error


class _TrialError(ArtifactError):
    """The child process failed."""


def _describe(model: Path, library: str, message: str) -> str:
    """Returns what happened to the process that tried a model, and what to do."""
    if "did not reply within" in message:
        return f"{message} while running '{model}': it may never end; convert the model again"
    found = re.search(r"was ended by (\w+)", message)
    if found and found[1] == "SIGKILL":
        return f"'{model}' needs more memory than this machine has: its process was ended by SIGKILL"
    if "out of memory" in message:
        return f"'{model}' needs more memory than this machine has; use a smaller model"
    cause = found[1] if found else message
    return (
        f"{library} crashed ({cause}) while loading or running '{model}': the file is damaged or not supported; copy it"
        " again, or convert it again"
    )

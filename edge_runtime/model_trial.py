"""A first run of a model file in a process of its own, see ``core.crash_trial``."""

from __future__ import annotations

from pathlib import Path

from tledge.core.crash_trial import run_trial
from tledge.core.errors import ArtifactError

LIBRARIES = {".tflite": "LiteRT", ".onnx": "ONNX Runtime", ".keras": "Keras"}


def try_model(model: Path, input_size: tuple[int, int] | None = None, *, grey: bool = False) -> None:
    """Loads and runs a model of others in a child process. ``inspect`` calls it first.

    Errors that ``inspect`` raises are ignored: whoever loads the file next gets them.

    Args:
        model: a TFLite, ONNX or Keras file.
        input_size, grey: see ``inspect``.

    Raises:
        ArtifactError: the child process crashed, needed more memory than there is, or did not end.
    """
    library = LIBRARIES.get(model.suffix.lower())
    if library is None:  # no runtime loads it
        return
    run_trial(
        "tledge.edge_runtime.trial_worker",
        {"model": str(model), "input_size": input_size, "grey": grey},
        library=library,
        error=ArtifactError,
    )

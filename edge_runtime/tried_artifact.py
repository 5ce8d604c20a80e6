"""Reading a model file whose first use may crash: one that nobody has run yet is tried in a child process."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tledge.core.artifact import Artifact, read_artifact
from tledge.core.errors import SidecarMissingError
from tledge.edge_runtime.model_trial import try_model


def read_tried(path: Path, input_size: tuple[int, ...] = ()) -> Artifact | None:
    """Reads a model file, and tries it in a child process unless a checksum or hash shows that its bytes are unchanged.

    Args:
        path: a TFLite, ONNX or Keras file.
        input_size: (height, width) of the images to try it on; empty for the usual size.

    Returns:
        The file with its sidecar; None for a file without a sidecar.

    Raises:
        ArtifactError: the file cannot be read or does not match its sidecar, or the child process crashed, needed more
            memory than there is, or did not end.
    """
    artifact = None
    with suppress(SidecarMissingError):  # whoever loads the file describes what is missing
        artifact = read_artifact(path)
    if artifact is None or not artifact.verified:
        try_model(path, (input_size[0], input_size[1]) if len(input_size) == 2 else None)
    return artifact

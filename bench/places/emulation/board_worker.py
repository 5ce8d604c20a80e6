"""Runs on the emulated board: classifies images with an artifact, with the same code as a real board.

``python3.11 board_worker.py ARTIFACT TARGET IMAGES`` serves requests (see ``core.worker``). IMAGES is an ``.npy`` of
uint8 (N, height, width, 3). A request is the index of an image, and its result the logits of that image alone, as a
device computes them; or the request is null, and its result the provider and the board's record.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.array_file import load_array
from tledge.core.environment import read_environment
from tledge.core.progress import Progress
from tledge.core.worker_child import serve
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.runtime import RUNTIMES


def main() -> int:
    """Serves requests until standard input closes."""
    artifact, target, images = sys.argv[1:]
    pixels = load_array(Path(images), mapped=True)

    @cache
    def load() -> Classifier:  # at the first request, so that its errors are reported
        return Classifier(artifact, target=target, warm_up=False)  # nothing is timed, and everything is slow here

    def handle(index: int | None, _: Progress) -> Any:
        classifier = load()
        if index is not None:
            return classifier.logits(np.asarray(pixels[index])[np.newaxis])[0].tolist()
        environment = read_environment(RUNTIMES.load(classifier.target.runtime).distributions)
        return {"provider": classifier.provider, "environment": environment.to_dict()}

    return serve(handle)


if __name__ == "__main__":
    raise SystemExit(main())

"""What runs on the emulated board: an artifact, through the classifier that ships.

``python3.11 guest.py ARTIFACT TARGET IMAGES FIRST LAST RESULT`` prints an empty line for each image that is done.
Beside RESULT it writes RESULT.json: what ran the model, and the record of the machine as the board's programs see it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from tledge.core.environment import read_environment
from tledge.core.errors import TledgeError
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.runtime import RUNTIMES


def classify(artifact: Path, target: str, images: Path, *, first: int, last: int, result: Path) -> None:
    """Writes an artifact's logits.

    Args:
        artifact: the model file.
        target: "runtime:device:threads".
        images: an ``.npy`` of uint8 (N, height, width, 3).
        first, last: which of them to classify, as in a slice; one image at a time, as a device does.
        result: the ``.npy`` to write: float32 (last - first, classes).
    """
    pixels = np.load(images, mmap_mode="r")[first:last]
    logits = []
    with Classifier(artifact, target=target, warm_up=False) as classifier:  # nothing is timed, and all takes long here
        for image in pixels:
            logits.append(classifier.logits(np.asarray(image)[np.newaxis]))
            print(flush=True)
        environment = read_environment(RUNTIMES.load(classifier.target.runtime).distributions)
        told = {"provider": classifier.provider, "environment": environment.to_dict()}
    result.with_name(f"{result.name}.json").write_text(json.dumps(told), encoding="utf-8")
    np.save(result, np.concatenate(logits))


def main() -> int:
    """Reads the arguments; a user's error is one line and exit code 1."""
    artifact, target, images, first, last, result = sys.argv[1:]
    try:
        classify(Path(artifact), target, Path(images), first=int(first), last=int(last), result=Path(result))
    except TledgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

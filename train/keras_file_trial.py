"""A first reading of a Keras file in a process of its own, see ``core.crash_trial``: what HDF5 and TensorFlow do with a
damaged file ends only that.
"""

from __future__ import annotations

from pathlib import Path

from tledge.core.crash_trial import run_trial
from tledge.core.errors import ModelError
from tledge.core.worker import quiet_environment


def try_keras_file(path: Path, *, trust: bool) -> None:
    """Reads a Keras file, loads its model, and runs it on zeros if its input has a fixed size, in a child process.

    Errors of the safety check are ignored: whoever reads the file next gets them. A Keras 2 file that ``tf_keras``
    reads is only checked, since that happens in a process of its own, too.

    Raises:
        ModelError: the child process crashed, needed more memory than there is, or did not end, or Keras cannot load
            the model.
    """
    run_trial(
        "tledge.train.keras_file_trial_worker",
        {"model": str(path), "trust": trust},
        library="Keras",
        error=ModelError,
        environment={**quiet_environment(), "CUDA_VISIBLE_DEVICES": "-1"},  # the driver reserves addresses
    )

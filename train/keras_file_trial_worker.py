"""The child process of ``keras_file_trial``: it reads a Keras file as importing does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.crash_trial import OUT_OF_MEMORY, lacks_memory, limit_memory
from tledge.core.errors import MissingExtraError, ModelError
from tledge.core.progress import Progress
from tledge.core.temporary_files import temporary_folder
from tledge.core.worker_child import serve
from tledge.train.keras_config import KerasConfig, float32_file
from tledge.train.keras_file_check import check_keras_file


def try_file(request: dict[str, Any], progress: Progress) -> bool:
    """Checks, loads and runs a file; returns whether all that was done."""
    path, trust = Path(request["model"]), bool(request["trust"])
    limit_memory()
    try:
        config = check_keras_file(path, trust=trust)
    except ModelError as error:
        if lacks_memory(str(error)):
            raise ModelError(OUT_OF_MEMORY) from error
        return False
    try:
        return _load(path, config, trust=trust)
    except MissingExtraError:
        return False
    except (MemoryError, ModelError) as error:
        if isinstance(error, MemoryError) or lacks_memory(str(error)):
            raise ModelError(OUT_OF_MEMORY) from error
        raise


def _load(path: Path, config: KerasConfig, *, trust: bool) -> bool:
    from tledge.train.keras2_conversion import infer
    from tledge.train.keras_file import load_with_keras3, loads_directly

    if config.of_keras2 and not loads_directly(config):
        return False
    with temporary_folder() as folder:
        model = load_with_keras3(path, float32_file(path, folder), of_keras2=config.of_keras2, trust=trust)
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or None in shape[1:]:
        return False
    try:
        infer(model, np.zeros((1, *shape[1:]), np.float32))
    except MemoryError:
        raise
    except Exception as error:
        if lacks_memory(str(error)):
            raise MemoryError from error
        return False  # importing runs it, too, and says more
    return True


def main() -> int:
    """Serves one request."""
    return serve(try_file)


if __name__ == "__main__":
    sys.exit(main())

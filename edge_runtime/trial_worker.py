"""The child process of ``model_trial``: it loads a model file and runs it, as adopting does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tledge.core.crash_trial import OUT_OF_MEMORY, lacks_memory, limit_memory
from tledge.core.errors import ArtifactError, TledgeError
from tledge.core.progress import Progress
from tledge.core.worker_child import serve


def try_file(request: dict[str, Any], progress: Progress) -> bool:
    """Runs a model and inspects it; only a crash, too much memory or no end matters."""
    from tledge.edge_runtime.bare import BareModel
    from tledge.edge_runtime.inspection import inspect

    limit_memory()
    model, size = Path(request["model"]), request["input_size"]
    try:
        with _memory_matters():
            loaded = BareModel(model, input_size=tuple(size or ()))
            loaded.run(loaded.random_input(0))
            loaded.close()
        with _memory_matters():
            inspect(model, None if size is None else (size[0], size[1]), grey=request["grey"], trial=False)
    except MemoryError as error:
        raise ArtifactError(OUT_OF_MEMORY) from error
    except Exception:  # noqa: BLE001 - whoever loads the file next gets it, in a process that reports it
        return False
    return True


@contextmanager
def _memory_matters() -> Iterator[None]:
    """Ignores errors of the file; one for lack of memory is a MemoryError."""
    try:
        yield
    except TledgeError as error:
        if lacks_memory(str(error)):
            raise MemoryError from error


def main() -> int:
    """Serves one request."""
    return serve(try_file)


if __name__ == "__main__":
    sys.exit(main())

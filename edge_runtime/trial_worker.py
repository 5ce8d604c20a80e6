"""The child process of ``model_trial``: it loads a model file and runs it, as adopting does."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tledge.core.errors import ArtifactError, TledgeError
from tledge.core.progress import Progress
from tledge.core.worker_child import serve

SHARE = 0.9
"""The fraction of the machine's free memory that a trial may take, besides what libraries reserve."""

RESERVED = 4 << 30
"""Bytes of addresses that libraries reserve and hardly use, such as for the stacks of threads."""


def try_file(request: dict[str, Any], progress: Progress) -> bool:
    """Runs a model and inspects it; only a crash, too much memory or no end matters."""
    from tledge.edge_runtime.bare import BareModel
    from tledge.edge_runtime.inspection import inspect

    _limit_memory()
    model, size = Path(request["model"]), request["input_size"]
    try:
        with suppress(TledgeError):
            loaded = BareModel(model, input_size=tuple(size or ()))
            loaded.run(loaded.random_input(0))
            loaded.close()
        with suppress(TledgeError):
            inspect(model, None if size is None else (size[0], size[1]), grey=request["grey"])
    except MemoryError as error:
        raise ArtifactError("out of memory") from error
    except Exception:  # noqa: BLE001 - whoever loads the file next gets it, in a process that reports it
        return False
    return True


def _limit_memory() -> None:
    """Limits the memory of this process to what is free: an allocation then fails, and nothing else is killed."""
    import resource

    with suppress(ValueError, OSError):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = int(free * SHARE) + RESERVED
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def main() -> int:
    """Serves one request."""
    return serve(try_file)


if __name__ == "__main__":
    sys.exit(main())

"""A first use of a model file in a process of its own, where a crash of a native library ends nothing else.

The libraries that load models check much of a file, but not all: some damaged files end the process that loads them,
with SIGSEGV or with an abort of the C library. Others ask for more memory than there is.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tledge.core.errors import TledgeError
from tledge.core.worker import ChildEnd, Worker, describe_signal, python_module, signal_name

SECONDS = 300.0
"""How long a trial may take: a large model on a small board takes a minute."""

SHARE = 0.9
"""The fraction of the machine's free memory that a trial may take, besides what libraries reserve."""

RESERVED = 4 << 30
"""Bytes of addresses that libraries reserve and hardly use, such as for the stacks of threads."""

OUT_OF_MEMORY = "out of memory"
"""What a child reports as its error if memory is what it lacks."""

_LACK = re.compile(r"out of memory|bad_alloc|OOM when|(failed|unable) to allocate|RESOURCE_?EXHAUSTED", re.IGNORECASE)


def run_trial(
    module: str,
    request: Mapping[str, Any],
    *,
    library: str,
    error: type[TledgeError],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs a module that tries a model file in a child process.

    Args:
        module: its name; it serves one request (see ``core.worker_child``) and calls ``limit_memory``.
        request: for the module; ``model`` is the file.
        library: what loads the file, for error messages: "LiteRT".
        error: the type of the errors.
        environment: of the child, see ``core.worker.Worker``.

    Raises:
        TledgeError: of the type ``error``: the child crashed, needed more memory than there is, did not end, or
            reported an error, which is passed on.
    """
    with Worker(python_module(module), name=library, error=error, timeout=SECONDS, environment=environment) as worker:
        try:
            worker.ask(dict(request))
        except error as found:
            end = found.__cause__ if isinstance(found.__cause__, ChildEnd) else None
            raise error(_describe(str(request["model"]), library, str(found), end)) from found


def _describe(model: str, library: str, message: str, end: ChildEnd | None) -> str:
    """Returns what happened to the process that tried a model, and what to do."""
    if end and end.timed_out:
        return f"{message} while running '{model}': it may never end; convert the model again"
    if end and end.code == -signal.SIGKILL:
        return f"the process that tried '{model}' {describe_signal(end.code)}; use a smaller model"
    if message == OUT_OF_MEMORY or (end and lacks_memory(message)):
        return f"'{model}' needs more memory than this machine has; use a smaller model"
    if end is None:
        return message
    cause = message.removeprefix(f"{library} ") if end.code >= 0 else signal_name(end.code)
    return (
        f"{library} crashed ({cause}) while loading or running '{model}': the file is damaged or not supported; copy it"
        " again, or convert it again"
    )


def lacks_memory(message: str) -> bool:
    """Whether a library's message says that there was not enough memory."""
    return bool(_LACK.search(message))


def limit_memory() -> None:
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

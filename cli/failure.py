"""Errors of a machine that lacks something (memory, disk, threads, a folder), in one line with what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from tledge.cli.messages import flag, options_of_command
from tledge.core.options import Option

_MEMORY_SIGNS = (
    "std::bad_alloc",
    "failed to allocate",
    "allocation failed",
    "cannot allocate memory",
    "unable to allocate",
    "out of memory",
    "oom when allocating",
    "failed to map segment from shared object",
    "error return without exception set",  # of CPython, where a C extension could not allocate
)
"""What native libraries say, in lower case."""

_MEMORY_TYPES = frozenset({"MemoryError", "ResourceExhaustedError"})

_NO_THREAD = "can't start new thread"

_SIZES = ("batch_size", "batch_sizes", "image_size")
"""Options whose values decide how much memory a command needs."""

_PLACES = ("runs", "output")
"""Options for the folders that a command writes to."""

CREATE_RUNS = ("train", "demo")
"""Commands that create runs. For the others, ``--runs`` is where the run is found, and no place to write to."""

_ADVICE = {
    errno.ENOSPC: ("free some space", ", or choose another disk with {}"),
    errno.EDQUOT: ("free some space", ", or choose another disk with {}"),
    errno.EFBIG: ("raise the limit on the size of files (ulimit -f)", ", or choose another disk with {}"),
    errno.EROFS: ("the disk is read-only: make it writable", ", or choose another one with {}"),
    errno.EACCES: ("check the permissions", ", or choose another folder with {}"),
    errno.EPERM: ("check the permissions", ", or choose another folder with {}"),
    errno.EEXIST: ("it is a file where a folder is needed: rename it", ", or choose another name with {}"),
    errno.ENOTDIR: ("a part of it is a file, not a folder: rename that file", ", or choose another name with {}"),
    errno.EMFILE: ("raise the limit on open files (ulimit -n)", ""),
    errno.ENFILE: ("close other programs", ""),
}
"""What to do, and what else a command can do that has an option for it."""


def is_lack_of_memory(error: BaseException) -> bool:
    """Returns whether an error, or one that caused it, is that memory ran out, whatever library raised it."""
    return any(_is_lack_of_memory(cause) for cause in _causes(error))


def describe_failure(error: Exception, command: str) -> str | None:
    """Returns what an error of the machine means and what to do; None for an error of another kind.

    Args:
        error: what was raised.
        command: what failed; only its own options are suggested.
    """
    if is_lack_of_memory(error):
        return "out of memory; close other programs" + _with_options(", or try a smaller {}", command, _SIZES)
    if _NO_THREAD in str(error):
        return f"{_NO_THREAD}: too little memory, or too many processes (ulimit -u); close other programs"
    if isinstance(error, OSError):
        return _describe_os_error(error, command)
    return None


def working_folder_is_gone() -> bool:
    """Returns whether the working directory was removed, so that no relative path exists."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if any(base.__name__ in _MEMORY_TYPES for base in type(error).__mro__):
        return True
    text = str(error).lower()
    return any(sign in text for sign in _MEMORY_SIGNS)


def _with_options(advice: str, command: str, names: Sequence[str]) -> str:
    """Returns advice about those of some options that a command has; empty if it has none of them."""
    options = options_of_command(command)
    flags = [flag(options[name]) for name in names if name in options and _fits(options[name], command)]
    return advice.format(" or ".join(flags)) if flags else ""


def _fits(option: Option, command: str) -> bool:
    """Whether an option of the name is the one that is meant: ``--output`` of 'adopt' is no folder."""
    if option.name == "runs":
        return command in CREATE_RUNS
    return option.name != "output" or Path in get_args(option.annotation)


def _describe_os_error(error: OSError, command: str) -> str:
    reason = error.strerror or str(error)
    always, with_options = _ADVICE.get(error.errno or 0, ("", ""))
    advice = always + _with_options(with_options, command, _PLACES)
    if not error.filename:
        if "No usable temporary directory" in reason:
            return f"{reason}; free some space, or set TMPDIR to a folder that can be written to"
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return f"{reason.lower()}; {advice}"
        return f"cannot write: {reason}; {advice or 'free some space or write elsewhere'}"
    named = error.filename2 or error.filename
    return f"cannot read or write '{named}': {reason}; {advice or 'check the disk and try again'}"

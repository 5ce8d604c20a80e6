"""Errors of the machine suggest only what the command that failed can do."""

import errno
import importlib
import os
import re

import pytest

from tledge.cli.app import SUMMARIES, LazyCommands
from tledge.cli.failure import describe_failure

pytestmark = pytest.mark.unit

NUMBERS = (*(code for code in errno.errorcode if code != errno.ENOMEM), 0)
ERRORS = [
    MemoryError(),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    RuntimeError("can't start new thread"),
    FileNotFoundError(errno.ENOENT, "No usable temporary directory found"),
    *(OSError(code, os.strerror(code)) for code in NUMBERS),
    *(OSError(code, os.strerror(code), "some/file") for code in NUMBERS),
]


@pytest.mark.parametrize("command", SUMMARIES)
def test_a_remedy_names_only_options_of_the_command(command: str) -> None:
    own = {name for parameter in LazyCommands()[command].params for name in parameter.opts}
    for error in ERRORS:
        said = describe_failure(error, command)
        assert said is not None, error
        assert "\n" not in said
        assert "{}" not in said
        assert set(re.findall(r"--[a-z-]+", said)) <= own, said


@pytest.mark.parametrize(
    ("command", "error", "said"),
    [
        ("train", MemoryError(), "out of memory; close other programs, or try a smaller --batch-size or --image-size"),
        ("bench", MemoryError(), "out of memory; close other programs, or try a smaller --batch-sizes"),
        ("predict", MemoryError(), "out of memory; close other programs"),
        (
            "train",
            OSError(errno.ENOSPC, "No space left on device", "runs/a"),
            "cannot read or write 'runs/a': No space left on device; free some space, or choose another disk with"
            " --runs",
        ),
        (
            "bench",
            OSError(errno.EROFS, "Read-only file system", "bench-results"),
            "cannot read or write 'bench-results': Read-only file system; the disk is read-only: make it writable, or"
            " choose another one with --output",
        ),
        (
            "adopt",  # whose --output is no folder
            OSError(errno.EACCES, "Permission denied", "a.tflite.json"),
            "cannot read or write 'a.tflite.json': Permission denied; check the permissions",
        ),
        (
            "predict",
            OSError(errno.ENOTDIR, "Not a directory", "a/b"),
            "cannot read or write 'a/b': Not a directory; a part of it is a file, not a folder: rename that file",
        ),
    ],
)
def test_what_can_be_done_depends_on_the_command(command: str, error: Exception, said: str) -> None:
    importlib.import_module(f"tledge.cli.commands.{command}")
    assert describe_failure(error, command) == said


def test_other_errors_are_not_described() -> None:
    assert describe_failure(ValueError("x"), "train") is None

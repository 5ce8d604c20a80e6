"""How the suite runs: its own folder for temporary files, what unit tests must not do, which files share a process.

A pytest plugin that ``conftest.py`` loads.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("tensorflow", "keras", "tf_keras")
PROCESS_EVENTS = frozenset({"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"})
LIBRARY_PROBES = frozenset({"fc-list", "uname"})  # libraries run these once, in whichever test imports them first

SHARED_PROCESS = {
    "tests/bench/places/test_on_emulated.py": "demo",
    "tests/bench/test_bench_api.py": "demo",
    "tests/cli/test_demo.py": "demo",
}
"""Test files that run in one worker, because they share a session fixture that takes minutes to make."""

_temporary = pytest.StashKey[Path]()
_guarded_test: str | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option that makes the tests in ``tests/hardening`` long."""
    parser.addoption("--scale", type=int, default=1, help="multiplies the mutations and kills of tests/hardening")


@pytest.fixture(scope="session")
def scale(pytestconfig: pytest.Config) -> int:
    """How many times as many mutations and kills a hardening test tries; 20 is the long version."""
    return int(pytestconfig.getoption("--scale"))


def pytest_configure(config: pytest.Config) -> None:
    """Gives the tests a folder of their own for temporary files, and with it a benchmark lock of their own."""
    folder = Path(tempfile.mkdtemp(prefix="tledge-tests-"))
    config.stash[_temporary] = folder
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None  # the folder is looked up again
    sys.addaudithook(_refuse_processes)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes that folder."""
    folder = config.stash[_temporary]
    os.environ["TMPDIR"] = str(folder.parent)
    tempfile.tempdir = None
    shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files with slow tests first, so that at the end no worker waits for one of them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[Any]:
    """Guards the fixtures of a unit test."""
    with _guard(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[Any]:
    """Guards the body of a unit test."""
    with _guard(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[Any]:
    """Makes reports of names that are not UTF-8 fit for xdist, which could not send them."""
    return _encodable((yield))


def _encodable(content: Any) -> Any:
    if isinstance(content, str):
        return content.encode(errors="backslashreplace").decode()
    if isinstance(content, dict):
        return {_encodable(key): _encodable(value) for key, value in content.items()}
    return type(content)(map(_encodable, content)) if type(content) in (list, tuple) else content


@contextmanager
def _guard(item: pytest.Item) -> Iterator[None]:
    """While a unit test runs, starting a process and importing TensorFlow or Keras raise."""
    global _guarded_test  # noqa: PLW0603 - an audit hook takes no arguments and cannot be removed
    if item.get_closest_marker("unit") is None:
        yield
        return
    loaded = {name: sys.modules.pop(name) for name in HEAVY if name in sys.modules}
    finder = _RefusingFinder()
    sys.meta_path.insert(0, finder)
    _guarded_test = item.nodeid
    try:
        yield
    finally:
        _guarded_test = None
        sys.meta_path.remove(finder)
        sys.modules.update(loaded)


class _RefusingFinder:
    """Raises for an import of TensorFlow or Keras; no ImportError, which ``importorskip`` would make a skip."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in HEAVY:
            raise RuntimeError(f"{_guarded_test} is marked unit and must not import {name}")


def _refuse_processes(event: str, arguments: tuple[Any, ...]) -> None:
    if _guarded_test is not None and event in PROCESS_EVENTS and not LIBRARY_PROBES.intersection(arguments[:1]):
        raise RuntimeError(f"{_guarded_test} is marked unit and must start no process; received {event} {arguments}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distributes whole files, and files with a shared process together."""
    from xdist.scheduler import LoadScopeScheduling

    class SharedProcessScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return SHARED_PROCESS.get(file, file)

    return SharedProcessScheduling(config, log)

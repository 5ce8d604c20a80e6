"""Files from outside are opened by readers with limits, so that new code cannot forget one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from source_calls import calls, modules, parsed
from support import ROOT

pytestmark = pytest.mark.unit

JSON_READERS = {
    "core/bounded_json.py": "the reader itself",
    "core/worker_child.py": "requests of the process that started it",
    "bench/places/remote/remote_receiver.py": "runs without tledge; a request of the process that started it",
    "bench/profile/onnxruntime_profiler.py": "ONNX Runtime wrote the file in this process",
    "export/tfmot/graph.py": "JSON that it has just made",
}


def _reads(call: ast.Call) -> bool:
    """Whether a call of ``ZipFile`` opens an archive that is there; others write one."""
    mode = call.args[1] if len(call.args) > 1 else None
    return not (isinstance(mode, ast.Constant) and mode.value in ("w", "a", "x"))


def _callers(*names: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for name, call in calls(path)
        if name in names and _reads(call)
    }


def test_json_is_read_within_limits() -> None:
    assert _callers("json.load", "json.loads", "json.JSONDecoder") == set(JSON_READERS)


def test_arrays_are_read_without_pickles_and_within_limits() -> None:
    loaders = ("np.load", "numpy.load", "np.lib.format.read_array", "np.lib.format.open_memmap", "np.fromfile")
    assert _callers(*loaders) == {"core/array_file.py"}


def test_zip_archives_are_opened_within_limits() -> None:
    assert _callers("ZipFile", "zipfile.ZipFile") == {"core/zip_limits.py"}


@pytest.mark.parametrize("module", ["json", "zipfile", "numpy"])
def test_no_reader_has_another_name(module: str) -> None:
    """Calls are recognized by their names."""
    names = {"json": {"load", "loads", "JSONDecoder"}, "zipfile": set(), "numpy": {"load", "fromfile"}}[module]
    usual = {"json": {"json"}, "zipfile": {"zipfile"}, "numpy": {"np", "numpy"}}[module]
    for path in modules():
        for node in _imports(path):
            if isinstance(node, ast.ImportFrom) and node.module == module:
                assert not names & {alias.name for alias in node.names}, path
                assert all(alias.asname is None for alias in node.names), path
            if isinstance(node, ast.Import):
                found = {alias.asname or alias.name for alias in node.names if alias.name == module}
                assert found <= usual, path


def _imports(path: Path) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in parsed(path) if isinstance(node, ast.Import | ast.ImportFrom)]

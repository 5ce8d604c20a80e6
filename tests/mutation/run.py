"""Mutation testing: changes the modules that decide or measure, one small change at a time, and counts noticed ones.

``python tests/mutation/run.py`` takes hours for all modules; name some to run less. Each change is made in a copy of
the tree, and the unit tests that ``modules.toml`` lists for the module run on it. A mutant is killed where they fail.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads(Path(__file__).with_name("modules.toml").read_text())
ROOMS = ("core", "edge_runtime", "attacks", "train", "export", "bench", "visualize", "cli")
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Mutant:
    """A module's source with one change.

    Attributes:
        operator: cosmic-ray's name of the change.
        source: the whole changed source.
    """

    operator: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Yields every change of a module that can alter what it does."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(source)))
    excluded = [re.compile(f"core/{pattern}") for pattern in CONFIG["operators"]["exclude"]]
    seen = {_meaning(source)}
    for name in sorted(operator_names()):
        if any(pattern.fullmatch(name) for pattern in excluded):
            continue
        operator = get_operator(name)()
        for occurrence in range(sum(1 for node in nodes for _ in operator.mutation_positions(node))):
            changed = mutate_code(source, operator, occurrence)
            meaning = _meaning(changed)
            if meaning not in seen:
                seen.add(meaning)
                yield Mutant(name.removeprefix("core/"), changed)


def _meaning(source: str) -> str:
    """Returns the syntax tree as text without docstrings and annotations, which change nothing at run time."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(value=None)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(value=None)
    return ast.dump(tree)


def copy_tree(folder: Path) -> None:
    """Copies the files of this repository, and makes ``folder/.packages`` hold them as the package ``tledge``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    package = folder / ".packages" / "tledge"
    package.mkdir(parents=True)
    for room in ROOMS:
        (package / room).symlink_to(folder / room)


def run_tests(folder: Path, tests: Sequence[str], seconds: float | None) -> str:
    """Runs unit tests in a copy of the tree and returns "passed", "failed" or "timeout"."""
    child = FORK.Process(target=_run_pytest, args=(folder, tests))
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        return "timeout"
    return "passed" if child.exitcode == 0 else "failed"


def _run_pytest(folder: Path, tests: Sequence[str]) -> None:
    """Runs in a forked process, which has pytest and numpy loaded already, and nothing of tledge."""
    import pytest

    os.setsid()
    os.chdir(folder)
    sys.path.insert(0, str(folder / ".packages"))
    os.environ["PYTHONPATH"] = str(folder / ".packages")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder / ".tmp")
    Path(tempfile.tempdir).mkdir(exist_ok=True)
    with (folder / ".pytest.log").open("w") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
    code = pytest.main(["-x", "-q", "-n0", "-m", "unit", "-p", "no:cacheprovider", "--no-header", *tests])
    os._exit(int(code))


def _start_worker(folders: Any) -> None:
    """Loads in a worker what all runs of pytest share, and takes a copy of the tree for this worker alone."""
    global _folder  # noqa: PLW0603 - a pool's initializer has no other place to keep it
    import numpy as np
    import PIL.Image
    import pytest

    sys.dont_write_bytecode = True  # a mutant may have its original's size and time of change
    _folder = folders.get(timeout=60)
    _ = (np, PIL.Image, pytest)


_folder = ROOT


def _survives(module: str, mutant: Mutant, tests: Sequence[str], seconds: float) -> bool:
    path = _folder / module
    original = path.read_text()
    path.write_text(mutant.source)
    try:
        return run_tests(_folder, tests, seconds) == "passed"
    finally:
        path.write_text(original)


def _baseline(tests: Sequence[str]) -> float:
    """Returns the seconds that the tests take on the unchanged module; ends the program where they fail."""
    begin = time.monotonic()
    if run_tests(_folder, tests, None) != "passed":
        raise RuntimeError(f"the tests fail on the unchanged module:\n{(_folder / '.pytest.log').read_text()[-3000:]}")
    return time.monotonic() - begin


def main() -> None:
    """Prints killed and all mutants of each module, and on request a diff of each survivor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="for instance bench/earlier/gate.py (default: all)"
    )
    parser.add_argument("--survivors", action="store_true", help="print each change that no test noticed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="tests that run at a time")
    chosen = parser.parse_args()
    unknown = set(chosen.modules) - set(CONFIG["modules"])
    if unknown:
        parser.error(f"not in modules.toml: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="tledge-mutants-") as root:
        folders = FORK.Queue()
        for number in range(chosen.workers):
            copy_tree(Path(root) / str(number))
            folders.put(Path(root) / str(number))
        with ProcessPoolExecutor(chosen.workers, FORK, _start_worker, (folders,)) as pool:
            print(f"{'module':40} {'killed':>6} {'all':>6} {'share':>6}", flush=True)
            for module in chosen.modules or CONFIG["modules"]:
                _report(pool, module, chosen.survivors)


def _report(pool: ProcessPoolExecutor, module: str, show_survivors: bool) -> None:
    tests, source = CONFIG["modules"][module], (ROOT / module).read_text()
    seconds = 5 + 4 * pool.submit(_baseline, tests).result()
    runs = [(mutant, pool.submit(_survives, module, mutant, tests, seconds)) for mutant in mutants(source)]
    survivors = [mutant for mutant, survives in runs if survives.result()]
    killed = len(runs) - len(survivors)
    print(f"{module:40} {killed:6} {len(runs):6} {killed / max(1, len(runs)):6.2f}", flush=True)
    for mutant in survivors if show_survivors else []:
        diff = difflib.unified_diff(source.splitlines(), mutant.source.splitlines(), mutant.operator, "", "", "", 1, "")
        print("\n".join(line for line in diff if line != "+++ "), flush=True)


if __name__ == "__main__":
    main()

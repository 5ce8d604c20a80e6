"""``pytest -m unit`` covers every room, and its tests start no process and load no TensorFlow."""

import subprocess
import sys
import tomllib

import pytest
from support import ROOMS, ROOT


def test_every_room_has_unit_tests() -> None:
    code = (
        "import sys, pytest; code = pytest.main(sys.argv[1:]); assert 'tensorflow' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--collect-only", "-q", "-n0", "-m", "unit"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    for room in ROOMS:
        assert any(file.startswith(f"tests/{room}/") for file in files), room


@pytest.mark.unit
def test_a_unit_test_that_starts_a_process_fails() -> None:
    with pytest.raises(RuntimeError, match="is marked unit and must start no process"):
        subprocess.run(["true"], check=True)


@pytest.mark.unit
@pytest.mark.parametrize("name", ["tensorflow", "keras", "tf_keras"])
def test_a_unit_test_that_loads_a_heavy_library_fails(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"must not import {name}"):
        __import__(name)


@pytest.mark.unit
def test_the_mutation_run_lists_modules_and_tests_that_exist() -> None:
    listed = tomllib.loads((ROOT / "tests" / "mutation" / "modules.toml").read_text())["modules"]
    named = {*listed, *(path for tests in listed.values() for path in tests)}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []

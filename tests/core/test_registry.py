import importlib
import sys
from pathlib import Path

import pytest

from tledge.core.errors import UnknownNameError
from tledge.core.registry import Registry

pytestmark = pytest.mark.unit


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    package = tmp_path / f"zoo_{tmp_path.name}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lion.py").write_text("LEGS = 4\n")
    (package / "ostrich.py").write_text("LEGS = 'two'\n")
    (package / "broken.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return Registry[int](package.name, "animal", "LEGS", int)


def test_listing_imports_nothing_and_loading_imports_one(zoo: Registry[int]) -> None:
    assert zoo.names() == ("broken", "lion", "ostrich")
    assert f"{zoo.package}.lion" not in sys.modules
    assert zoo.load("lion") == 4
    assert f"{zoo.package}.ostrich" not in sys.modules


def test_an_unknown_name_suggests_the_nearest(zoo: Registry[int]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown animal 'lyon'. Did you mean 'lion'\? Animals: broken, lion"):
        zoo.load("lyon")


def test_a_module_without_the_right_entry_is_refused(zoo: Registry[int]) -> None:
    with pytest.raises(TypeError, match="LEGS must be a int; received 'two'"):
        zoo.load("ostrich")


def test_a_new_file_is_a_new_entry(zoo: Registry[int], tmp_path: Path) -> None:
    (tmp_path / zoo.package / "ant.py").write_text("LEGS = 6\n")
    importlib.invalidate_caches()
    assert zoo.load("ant") == 6

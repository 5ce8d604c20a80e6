"""An emulated board, which takes a minute to make."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tledge.bench.places.emulation import EmulatedMachine, prepare_root


@pytest.fixture(scope="session")
def board_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What XDG_CACHE_HOME must be for the board to be found."""
    folder = tmp_path_factory.mktemp("cache")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def pi5(board_cache: Path) -> EmulatedMachine:
    """An emulated Raspberry Pi 5, built from nothing."""
    if not os.environ.get("CI") and not (
        shutil.which("qemu-aarch64-static") and Path("/usr/sbin/debootstrap").exists()
    ):
        pytest.skip("needs Debian's packages: apt-get install qemu-user-static debootstrap")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(board_cache))
        return prepare_root("pi5")

"""A folder that one block locks is locked for all others until the block ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tledge.core.temporary_files import lock_of, locked_folder

pytestmark = pytest.mark.unit


def test_a_folder_is_locked_during_the_block_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), locked_folder(tmp_path):
        assert lock_of(tmp_path) is None
        raise ValueError("inside")
    handle = lock_of(tmp_path)
    assert handle is not None
    os.close(handle)


def test_a_folder_that_cannot_be_locked_does_not_stop_the_block(tmp_path: Path) -> None:
    with locked_folder(tmp_path / "gone"):
        pass

"""Importing this makes photos share memory as on a board with 512 MB, whatever this machine has."""

from __future__ import annotations

import os

from tledge.core import images
from tledge.core.memory_budget import budget_for

BOARD_BYTES = 512 << 20

_sysconf = os.sysconf
os.sysconf = lambda name: BOARD_BYTES // _sysconf("SC_PAGE_SIZE") if name == "SC_PHYS_PAGES" else _sysconf(name)  # type: ignore[assignment]
images.budget = budget_for(images.LARGEST)
os.sysconf = _sysconf

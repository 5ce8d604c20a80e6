"""A target: runtime, device and thread count, written ``runtime:device:threads``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tledge.core.errors import OptionError

MOST_THREADS = 1024
"""The most threads of a target. A runtime starts any number of threads that the system allows."""


@dataclass(frozen=True)
class Target:
    """The runtime, device and thread count that run an artifact.

    Attributes:
        runtime: a registered runtime ("litert").
        device: a device of that runtime ("cpu", "cuda").
        threads: CPU threads; None if the runtime decides.
    """

    runtime: str
    device: str
    threads: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.runtime, self.device, self.threads) if part is not None)

    @classmethod
    def parse(cls, text: str) -> Target:
        """Reads ``litert``, ``litert:cpu`` or ``litert:cpu:4``; the default device is ``cpu``. Raises OptionError."""
        parts = text.split(":")
        if not 1 <= len(parts) <= 3 or not all(parts):
            raise OptionError(f"not a target: '{text}'; expected runtime:device:threads, as in litert:cpu:4")
        threads = None
        if len(parts) == 3:
            if not re.fullmatch(r"[0-9]{1,4}", parts[2]) or not 1 <= int(parts[2]) <= MOST_THREADS:
                raise OptionError(f"not a thread count: '{parts[2]}' in '{text}'; expected 1 to {MOST_THREADS}")
            threads = int(parts[2])
        return cls(parts[0], parts[1] if len(parts) > 1 else "cpu", threads)

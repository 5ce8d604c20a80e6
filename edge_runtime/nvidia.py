"""Whether this machine has an NVIDIA GPU, without importing a framework."""

from __future__ import annotations

from pathlib import Path

NO_NVIDIA_DRIVER = "no NVIDIA driver (no /dev/nvidiactl)"


def has_nvidia_driver() -> bool:
    """Whether the driver's control device exists."""
    return Path("/dev/nvidiactl").exists()

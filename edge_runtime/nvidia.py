"""Whether this machine has an NVIDIA GPU, without importing a framework to ask."""

from __future__ import annotations

from pathlib import Path

NO_NVIDIA_DRIVER = "no NVIDIA driver (no /dev/nvidiactl)"


def has_nvidia_driver() -> bool:
    """Whether the driver's control device is there."""
    return Path("/dev/nvidiactl").exists()

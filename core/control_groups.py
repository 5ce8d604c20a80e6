"""The control groups of this process, through which containers and systemd limit what it may use.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/, and proc_pid_mountinfo(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tledge.core.system_files import read_text


def group_folders(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """Yields the folders of the groups of this process and of all groups above, each with its version, 1 or 2.

    Args:
        controller: "cpu" or "memory".
        root: the folder that contains ``proc`` and ``sys``.
    """
    groups = read_text(root / "proc/self/cgroup").splitlines()
    mounts = read_text(root / "proc/self/mountinfo").splitlines()
    paths = {controllers: path for _, controllers, path in (line.split(":", 2) for line in groups if ":" in line)}
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        kind, _, options = (*rest.split(" ", 2), "", "")[:3]
        if kind == "cgroup2" and "" in paths:
            version, path = 2, paths[""]
        elif kind == "cgroup" and controller in options.split(","):
            found = (path for controllers, path in paths.items() if controller in controllers.split(","))
            version, path = 1, next(found, "/")
        else:
            continue
        mounted, mount_point = fields.split(" ")[3:5]
        for folder in _upwards(root / mount_point.lstrip("/"), path, mounted):
            yield version, folder


def _upwards(mount_point: Path, path: str, mounted: str) -> Iterator[Path]:
    """Yields the folders of the group ``path`` and of the groups above it, as far as this process sees them.

    ``mounted`` is the group that is mounted at ``mount_point``; in a container its own.
    """
    inner = PurePosixPath(path)
    below = inner.relative_to(mounted) if inner.is_relative_to(mounted) and ".." not in inner.parts else PurePosixPath()
    folder = mount_point / below
    yield folder
    yield from folder.parents[: len(below.parts)]

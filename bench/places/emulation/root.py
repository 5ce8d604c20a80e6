"""Building a board's root folder and the folders of its Python packages: about 360 MB and a minute, once.

The root folder holds Debian's aarch64 packages, unpacked and not set up, which needs neither privileges nor a chroot.
All boards share it: the root folder of a board links to it and adds the files that tell of the CPU.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from tledge.bench.places.emulation.boards import SYSTEM_FILES, Board, find_board
from tledge.bench.places.emulation.cache import building, entry
from tledge.bench.places.emulation.machine import EmulatedMachine, run_python
from tledge.bench.places.emulation.programs import call, find_programs
from tledge.core.environment import installed_versions
from tledge.core.errors import TargetError
from tledge.core.progress import Progress
from tledge.core.worker import describe_end

QEMU = "qemu-aarch64-static"
SUITE = "bookworm"
PACKAGES = ("python3", "libstdc++6", "libgomp1")
"""What the wheels need, beside Debian's smallest set of packages."""

PYTHON = "3.11"
"""The Python version of SUITE."""

PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
MODULES = {
    "msgspec": "msgspec",
    "numpy": "numpy",
    "pillow": "PIL.Image",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "onnxruntime": "onnxruntime",
}
"""A module of each distribution that is taken along; their own dependencies are not needed to run an artifact."""

LINKED = ("bin", "etc", "lib", "sbin", "usr")
"""The folders of the root that boards share; elsewhere emulated programs see this machine's files."""

OWN_PACKAGES = ("tledge.core", "tledge.edge_runtime")


def prepare_root(board: str | Board, progress: Progress | None = None) -> EmulatedMachine:
    """Makes a board ready to run, downloading what is not in the cache yet.

    The wheels have the versions of the libraries that are installed in this environment, whatever its own Python.

    Args:
        board: one of BOARDS, or its name.
        progress: is told what happens.

    Raises:
        UnknownNameError: no such board.
        TargetError: Debian's programs are missing (they are named), a download failed, or the libraries do not start.
    """
    board = find_board(board) if isinstance(board, str) else board
    qemu = _find_qemu()
    versions = _versions()
    debian = entry("debian", [SUITE, PACKAGES])
    wheels = entry("wheels", [PYTHON, PLATFORMS, versions])
    root = entry(board.name, [debian.name, wheels.name, board.qemu_cpu, board.cpuinfo, SYSTEM_FILES])
    missing = [folder for folder in (debian, wheels, root) if not folder.exists()]
    if missing:
        with (progress or Progress()).step(f"Set up {board.name}", len(missing), "parts") as step:
            if debian in missing:
                _build_debian(debian)
                step.advance(1, f"Debian {SUITE}")
            if wheels in missing:
                _build_wheels(wheels, versions)
                step.advance(1, "wheels")
            if root in missing:
                modules = [MODULES[name] for name in versions]
                _build_board(root, board, qemu, debian=debian, wheels=wheels, modules=modules)
                step.advance(1, board.model)
    return EmulatedMachine(board=board, qemu=qemu, root=root, libraries=(wheels, _own_code()))


def _find_qemu() -> Path:
    """The emulator; where the cache has no root yet, what builds one is missed in the same breath."""
    needed = [QEMU] if entry("debian", [SUITE, PACKAGES]).exists() else [QEMU, "debootstrap", "dpkg-deb"]
    return find_programs(needed)[QEMU]


def _versions() -> dict[str, str]:
    """The version of each distribution to take along: that of this environment."""
    versions = installed_versions((*MODULES, "onnxruntime-gpu"))
    for_gpu = versions.pop("onnxruntime-gpu", None)
    if for_gpu is not None:
        versions.setdefault("onnxruntime", for_gpu)
    return versions


def _build_debian(path: Path) -> None:
    programs = find_programs(["debootstrap", "dpkg-deb"])
    with building(path) as root, tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as downloads:
        call(
            [
                programs["debootstrap"],
                "--download-only",  # the only way that does not ask for root
                "--force-check-gpg",
                "--arch=arm64",
                "--variant=minbase",
                f"--include={','.join(PACKAGES)}",
                SUITE,
                downloads,
            ],
            purpose=f"download Debian {SUITE} for arm64",
        )
        for package in sorted(Path(downloads).glob("var/cache/apt/archives/*.deb")):
            call([programs["dpkg-deb"], "--extract", package, root], purpose=f"unpack {package.name}")


def _build_wheels(path: Path, versions: dict[str, str]) -> None:
    with building(path) as site, tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as downloads:
        call(
            [
                *(sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", downloads),
                *(f"--platform={platform}" for platform in PLATFORMS),
                *("--only-binary=:all:", f"--python-version={PYTHON}"),
                *(f"{name}=={version}" for name, version in versions.items()),
            ],
            purpose=f"download the aarch64 wheels of {', '.join(versions)} for Python {PYTHON}",
        )
        for wheel in Path(downloads).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)


def _build_board(path: Path, board: Board, qemu: Path, *, debian: Path, wheels: Path, modules: list[str]) -> None:
    with building(path) as root:
        for name in LINKED:
            (root / name).symlink_to(Path("..") / debian.name / name, target_is_directory=True)
        for name, content in {"proc/cpuinfo": board.cpuinfo, **SYSTEM_FILES}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
        machine = EmulatedMachine(board=board, qemu=qemu, root=root, libraries=(wheels,))
        started = run_python(machine, ["-c", f"import {', '.join(modules)}"])
        if started.returncode != 0:
            raise TargetError(
                f"the libraries do not start on the emulated {board.name}: Python"
                f" {describe_end(started.returncode, started.stderr)}"
            )


def _own_code() -> Path:
    """A folder that holds tledge's own packages that run on a device, as they are installed here."""
    sources = {
        f"tledge/{name.removeprefix('tledge.')}/{path.relative_to(folder).as_posix()}": path
        for name in OWN_PACKAGES
        for folder in [Path(str(importlib.import_module(name).__file__)).parent]
        for path in folder.rglob("*.py")
    }
    path = entry("tledge", {name: hashlib.sha256(source.read_bytes()).hexdigest() for name, source in sources.items()})
    if not path.exists():
        with building(path) as folder:
            for name, source in sources.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)
    return path

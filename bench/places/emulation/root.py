"""Setting up a board: its root folder and its Python packages. This takes about 360 MB and a minute, once.

The root folder has Debian's aarch64 packages, unpacked but not configured, which requires neither privileges nor a
chroot. All boards share it: a board's own root folder links to it and adds the files that describe the CPU.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
from pathlib import Path

from tledge.bench.places.emulation.boards import SYSTEM_FILES, Board, find_board
from tledge.bench.places.emulation.cache import entry, has_entry
from tledge.bench.places.emulation.machine import EmulatedMachine, run_python
from tledge.bench.places.emulation.programs import call, find_programs
from tledge.core.environment import installed_versions
from tledge.core.errors import TargetError
from tledge.core.progress import Progress
from tledge.core.regular_file import open_regular
from tledge.core.temporary_files import temporary_folder
from tledge.core.user_cache import building
from tledge.core.worker import describe_end
from tledge.core.zip_limits import check_members, open_zip

QEMU = "qemu-aarch64-static"
BUILDERS = ("debootstrap", "dpkg-deb")
"""Programs that only building the root folder requires."""

SUITE = "bookworm"
PACKAGES = ("python3", "libstdc++6", "libgomp1")
"""Packages that the wheels require, besides Debian's smallest set."""

PYTHON = "3.11"
"""The Python version of SUITE."""

PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
MODULES = {
    "numpy": "numpy",
    "pillow": "PIL.Image",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "onnxruntime": "onnxruntime",
}
"""A module of each distribution to install; their dependencies are not needed to run an artifact."""

LINKED = ("bin", "etc", "lib", "sbin", "usr")
"""The folders of the root that boards share; in all others, emulated programs see the files of this machine."""

OWN_PACKAGES = ("tledge.core", "tledge.edge_runtime")


def prepare_root(board: str | Board, progress: Progress | None = None) -> EmulatedMachine:
    """Sets up a board, one of BOARDS, downloading what is not in the cache yet or was damaged there.

    The wheels have the versions of the libraries installed in this environment, independent of its Python version.

    Raises:
        UnknownNameError: there is no such board.
        TargetError: a required program is missing (all are named), a download failed, or the libraries do not start.
    """
    board = find_board(board) if isinstance(board, str) else board
    progress = progress or Progress()
    versions = library_versions()
    debian = entry("debian", [SUITE, PACKAGES])
    wheels = entry("wheels", [PYTHON, PLATFORMS, versions])
    root = entry(board.name, [debian.name, wheels.name, board.qemu_cpu, board.cpuinfo, SYSTEM_FILES])
    missing = [folder for folder in (debian, wheels, root) if not has_entry(folder, progress)]
    qemu = find_programs([QEMU, *(BUILDERS if debian in missing else ())])[QEMU]
    if missing:
        with progress.step(f"Set up {board.name}", len(missing), "parts") as step:
            if debian in missing:
                step.begin(f"Debian {SUITE}")
                _build_debian(debian)
                step.advance()
            if wheels in missing:
                step.begin("wheels")
                _build_wheels(wheels, versions)
                step.advance()
            if root in missing:
                step.begin(board.model)
                modules = [MODULES[name] for name in versions]
                _build_board(root, board, qemu, debian=debian, wheels=wheels, modules=modules)
                step.advance()
    return EmulatedMachine(board=board, qemu=qemu, root=root, libraries=(wheels, _own_code(progress)))


def library_versions() -> dict[str, str]:
    """Returns the versions of ``MODULES`` in this environment, to install elsewhere: others may give other logits."""
    versions = installed_versions((*MODULES, "onnxruntime-gpu"))
    for_gpu = versions.pop("onnxruntime-gpu", None)
    if for_gpu is not None:
        versions.setdefault("onnxruntime", for_gpu)
    return versions


def _build_debian(path: Path) -> None:
    programs = find_programs(BUILDERS)
    with building(path) as root, temporary_folder(path) as downloads:
        call(
            [
                programs["debootstrap"],
                "--download-only",  # the only mode that does not require root
                "--force-check-gpg",
                "--arch=arm64",
                "--variant=minbase",
                f"--include={','.join(PACKAGES)}",
                SUITE,
                downloads,
            ],
            purpose=f"download Debian {SUITE} for arm64",
        )
        for package in sorted(downloads.glob("var/cache/apt/archives/*.deb")):
            call([programs["dpkg-deb"], "--extract", package, root], purpose=f"unpack {package.name}")


def _build_wheels(path: Path, versions: dict[str, str]) -> None:
    with building(path) as site, temporary_folder(path) as downloads:
        call(
            [
                *(sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", downloads),
                *(f"--platform={platform}" for platform in PLATFORMS),
                *("--only-binary=:all:", f"--python-version={PYTHON}"),
                *(f"{name}=={version}" for name, version in versions.items()),
            ],
            purpose=f"download the aarch64 wheels of {', '.join(versions)} for Python {PYTHON}",
        )
        for wheel in downloads.glob("*.whl"):
            with open_regular(wheel) as file, open_zip(file) as archive:
                check_members(archive, wheel.stat().st_size)
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


def _own_code(progress: Progress) -> Path:
    """Returns a folder with the packages of tledge that run on a device, as they are installed here."""
    sources = {
        f"tledge/{name.removeprefix('tledge.')}/{path.relative_to(folder).as_posix()}": path
        for name in OWN_PACKAGES
        for folder in [Path(str(importlib.import_module(name).__file__)).parent]
        for path in folder.rglob("*.py")
    }
    path = entry("tledge", {name: hashlib.sha256(source.read_bytes()).hexdigest() for name, source in sources.items()})
    if not has_entry(path, progress):
        with building(path) as folder:
            for name, source in sources.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)
    return path

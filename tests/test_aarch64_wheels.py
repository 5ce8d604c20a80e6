"""``pip install tledge`` on 64-bit Raspberry Pi OS compiles nothing: all that it needs has a wheel there."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [extra for extra in ("onnx", "camera") if extra in PROJECT["optional-dependencies"]]
"""What may be installed on a board beside the base."""


@dataclass(frozen=True)
class System:
    """A 64-bit Raspberry Pi OS.

    Attributes:
        python: (major, minor) of its Python.
        glibc: the minor version of its C library 2.x, up to which it takes manylinux wheels.
    """

    name: str
    python: tuple[int, int]
    glibc: int

    @property
    def platforms(self) -> list[str]:
        """Best first; 2.17 is the oldest C library that has aarch64 wheels, manylinux2014 another name of it."""
        return [*(f"manylinux_2_{minor}_aarch64" for minor in range(self.glibc, 16, -1)), "manylinux2014_aarch64"]

    @property
    def tags(self) -> set[Tag]:
        """Every kind of wheel that its pip takes."""
        platforms = [*self.platforms, "linux_aarch64"]
        interpreter = f"cp{self.python[0]}{self.python[1]}"
        return {*cpython_tags(self.python, platforms=platforms), *compatible_tags(self.python, interpreter, platforms)}

    @property
    def markers(self) -> dict[str, str]:
        """What its pip knows when it decides on a dependency. This machine's pip always uses this machine's."""
        version = ".".join(map(str, self.python))
        return {
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": "aarch64",
            "platform_python_implementation": "CPython",
            "implementation_name": "cpython",
            "python_version": version,
            "python_full_version": f"{version}.2",
            "implementation_version": f"{version}.2",
        }


BOOKWORM = System("bookworm", (3, 11), glibc=36)
TRIXIE = System("trixie", (3, 13), glibc=41)
NEXT = System("python3.14", (3, 14), glibc=41)
"""The next Python, which Debian's testing release has."""


@dataclass(frozen=True)
class Resolved:
    """What pip would install: the file of each distribution, and what each asks for."""

    files: dict[str, str]
    requirements: dict[str, list[Requirement]]


def wanted(requirements: Sequence[Requirement], system: System, extra: str = "") -> Iterator[Requirement]:
    """Those whose markers hold on the system, without the markers."""
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({**system.markers, "extra": extra}):
            bare = Requirement(str(requirement))
            bare.marker = None
            yield bare


def on_a_board(system: System) -> list[Requirement]:
    """The base dependencies and those of EXTRAS, as pyproject.toml has them."""
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in EXTRAS)]
    return list(wanted([Requirement(line) for lines in lists for line in lines], system))


def resolve(
    requirements: Sequence[Requirement], system: System, folder: Path, constraints: Path | None = None
) -> Resolved:
    """Asks pip what it would install on the system, of wheels only: it is an error where there is none."""
    report = folder / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
            *("--disable-pip-version-check", f"--target={folder / 'nowhere'}", f"--report={report}"),
            *("--only-binary=:all:", f"--python-version={system.python[0]}.{system.python[1]}"),
            *(f"--platform={platform}" for platform in system.platforms),
            *([f"--constraint={constraints}"] if constraints else []),
            *map(str, requirements),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())["install"]
    return Resolved(
        {
            canonicalize_name(item["metadata"]["name"]): unquote(
                urlsplit(item["download_info"]["url"]).path.rsplit("/", 1)[-1]
            )
            for item in found
        },
        {
            canonicalize_name(item["metadata"]["name"]): list(
                map(Requirement, item["metadata"].get("requires_dist", []))
            )
            for item in found
        },
    )


def check(resolved: Resolved, system: System) -> None:
    """Every file is a wheel that fits the system, and all that is asked for there is among them."""
    for file in resolved.files.values():
        assert file.endswith(".whl"), f"{file} is no wheel"
        assert parse_wheel_filename(file)[3] & system.tags, f"{file} is not for {system.name} on aarch64"
    for name, asked in resolved.requirements.items():
        for requirement in wanted(asked, system):
            file = resolved.files.get(canonicalize_name(requirement.name), "")
            fits = file and requirement.specifier.contains(parse_wheel_filename(file)[1], prereleases=True)
            assert fits, f"on {system.name} {name} asks for {requirement}, and gets {file or 'none'}"


@pytest.mark.parametrize("system", [BOOKWORM, TRIXIE, NEXT], ids=lambda system: system.name)
@pytest.mark.parametrize("pinned", [True, False], ids=["constraints", "newest"])
def test_all_that_a_board_needs_has_a_wheel_for_it(system: System, pinned: bool, tmp_path: Path) -> None:
    constraints = ROOT / "constraints.txt" if pinned else None
    resolved = resolve(on_a_board(system), system, tmp_path, constraints)
    check(resolved, system)
    expected = {"numpy", "pillow", "rich", "typer", "ai-edge-litert", "onnxruntime"}
    assert expected <= set(resolved.files)
    compiled = {name for name, file in resolved.files.items() if not file.endswith("-none-any.whl")}
    assert {"numpy", "pillow", "ai-edge-litert", "onnxruntime"} <= compiled
    assert all("aarch64" in resolved.files[name] for name in compiled), resolved.files
    if pinned:
        versions = dict(line.lower().split("==") for line in constraints.read_text().splitlines() if "==" in line)  # type: ignore[union-attr]
        for name, file in resolved.files.items():
            if name in versions:
                assert str(parse_wheel_filename(file)[1]) == versions[name]


def test_a_dependency_without_an_aarch64_wheel_is_noticed(tmp_path: Path) -> None:
    planted = [*on_a_board(BOOKWORM), Requirement("mlcommons-loadgen>=5")]
    with pytest.raises(AssertionError, match="mlcommons-loadgen"):
        resolve(planted, BOOKWORM, tmp_path)


@pytest.mark.unit
def test_a_wheel_for_a_newer_c_library_or_another_cpu_is_noticed() -> None:
    def fits(file: str, system: System) -> bool:
        return bool(parse_wheel_filename(file)[3] & system.tags)

    newer = "a-1-cp313-cp313-manylinux_2_40_aarch64.whl"
    assert fits(newer, TRIXIE)
    assert not fits(newer.replace("313", "311"), BOOKWORM)
    assert not fits(newer, BOOKWORM)
    assert not fits("a-1-cp311-cp311-manylinux2014_armv7l.whl", BOOKWORM)
    assert not fits("a-1-cp311-cp311-manylinux2014_x86_64.whl", BOOKWORM)
    assert fits("a-1-cp39-abi3-manylinux2014_aarch64.whl", BOOKWORM)
    assert fits("a-1-py3-none-any.whl", TRIXIE)


@pytest.mark.unit
def test_what_only_the_board_asks_for_is_noticed() -> None:
    """This machine's pip would pass over it: it cannot be told another machine's markers."""
    asked = [Requirement("b>=2; platform_machine == 'aarch64' and python_version >= '3.13'")]
    without = Resolved({"a": "a-1-py3-none-any.whl"}, {"a": asked})
    older = Resolved({**without.files, "b": "b-1.9-py3-none-any.whl"}, {"a": asked})
    newer = Resolved({**without.files, "b": "b-2.0-py3-none-any.whl"}, {"a": asked})
    for resolved in (without, older):
        check(resolved, BOOKWORM)
        with pytest.raises(AssertionError, match="on trixie a asks for b>=2, and gets"):
            check(resolved, TRIXIE)
    check(newer, TRIXIE)

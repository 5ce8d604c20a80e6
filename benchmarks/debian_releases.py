"""Does tledge install and run on Debian releases with newer Pythons: 13 (trixie, Python 3.13) and testing (3.14)?

Builds a minimal root folder of each release with debootstrap, installs tledge there from wheels alone, and runs each
command's help, ``doctor``, ``predict``, ``bench`` and ``predict --systemd`` in a chroot. Needs root, debootstrap and
the package registries; takes about ten minutes and 2 GB. Prints a line for each step, and exits with 1 if one fails.

    python benchmarks/debian_releases.py MODEL.tflite PHOTOS [--release trixie] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("train", "export", "bench", "predict", "visualize", "adopt", "demo", "doctor")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True)
class Release:
    """A release of Debian.

    Attributes:
        suite: its name in the archive.
        python: the version of its Python.
        script: debootstrap's script for it.
    """

    suite: str
    python: str
    script: str


RELEASES = {
    release.suite: release for release in (Release("trixie", "3.13", "trixie"), Release("forky", "3.14", "sid"))
}


def main() -> int:
    """Checks the releases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="an exported .tflite file")
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--release", choices=RELEASES, action="append", help="by default all")
    parser.add_argument("--keep", type=Path, help="build the root folders here and keep them")
    options = parser.parse_args()
    passed = True
    with tempfile.TemporaryDirectory() as temporary:
        base = options.keep or Path(temporary)
        base.mkdir(parents=True, exist_ok=True)
        for name in options.release or RELEASES:
            passed &= check(RELEASES[name], base / name, options.model, options.photos)
    return 0 if passed else 1


def check(release: Release, root: Path, model: Path, photos: Path) -> bool:
    """Builds a release's root folder, installs tledge and runs it; returns whether every step succeeded."""
    python = f"python{release.python}"
    if not (root / "usr/bin" / python).exists():
        packages = f"{python},{python}-venv,libstdc++6,libgomp1"
        mirror, scripts = "http://deb.debian.org/debian", Path("/usr/share/debootstrap/scripts")
        options = ["--force-check-gpg", "--arch=amd64", "--variant=minbase", f"--include={packages}"]
        build = ["debootstrap", *options, release.suite, str(root), mirror, str(scripts / release.script)]
        if not step(release, "debootstrap", build):
            return False
    work = root / "work"
    (work / "wheels").mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip"]
    platforms = [f"--platform={platform}" for platform in PLATFORMS]
    target = ["--only-binary=:all:", f"--python-version={release.python}", *platforms]
    wheel = [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(work / "wheels"), str(ROOT)]
    if not step(release, "build the wheel", wheel):
        return False
    built = max((work / "wheels").glob("tledge-*.whl"))
    download = [*pip, "download", "--quiet", *target, "--dest", str(work / "wheels"), f"{built}[onnx,camera,heic]"]
    if not step(release, "download wheels", download):
        return False
    shutil.copytree(photos, work / "photos", dirs_exist_ok=True)
    shutil.copyfile(model, work / f"model{model.suffix}")
    tledge, named = "venv/bin/tledge", f"model{model.suffix}"
    lines = {
        "install": f"{python} -m venv --clear venv && PIP_CONFIG_FILE=/dev/null venv/bin/pip install --quiet --no-index"
        " --find-links wheels 'tledge[onnx,camera,heic]'",
        "help": " && ".join(f"{tledge} {command} --help > /dev/null" for command in COMMANDS),
        "doctor": f"{tledge} doctor",
        "predict": f"{tledge} predict {named} photos",
        "predict --systemd": f"{tledge} predict {named} --watch photos --systemd > a.service && test -s a.service",
        "bench": f"{tledge} bench {named} --rounds 2 --seconds 0.5",
    }
    inside = ["chroot", str(root), "sh", "-c"]
    ended = [step(release, name, [*inside, f"cd /work && {line}"]) for name, line in lines.items()]
    return all(ended)


def step(release: Release, name: str, command: list[str]) -> bool:
    """Runs a command and prints whether it succeeded, with its last line if not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = (done.stdout + done.stderr).strip().splitlines()[-1:] or [""]
    outcome = "ok" if done.returncode == 0 else f"FAILED: {last[0]}"
    print(f"{release.suite} (Python {release.python}): {name}: {outcome}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs on the other machine with its own Python, before anything is installed there: standard library only.

``python3 remote_receiver.py look`` describes the machine. ``python3 remote_receiver.py missing FOLDER < MANIFEST``
prints which files of the manifest (a JSON object of names and SHA-256) are missing in the folder. ``python3
remote_receiver.py receive FOLDER < TAR`` unpacks files; each one is whole or not there.
"""

import hashlib
import json
import os
import platform
import shutil
import sys
import tarfile
from pathlib import Path


def look() -> None:
    """Prints what has to be known before anything is copied."""
    try:
        import ensurepip  # noqa: F401 - a separate package on Debian
        import venv  # noqa: F401
    except ImportError:
        has_venv = False
    else:
        has_venv = True
    named = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if named.startswith("/") else Path.home() / ".cache"
    folder = cache / "tledge" / "bench"
    existing = folder
    while not existing.exists():
        existing = existing.parent
    found = {
        "python": sys.version_info[:3],
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "has_venv": has_venv,
        "folder": str(folder),
        "free": shutil.disk_usage(existing).free,
        "writable": os.access(existing, os.W_OK),
    }
    print(json.dumps(found))


def missing(folder: Path) -> None:
    """Prints the names of the manifest's files that are absent or have other contents."""
    manifest = json.load(sys.stdin)
    print(json.dumps([name for name, digest in manifest.items() if _digest(folder / name) != digest]))


def receive(folder: Path) -> None:
    """Unpacks a tar file from standard input."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.{os.getpid()}.partial")  # another process may write, too
            with partial.open("wb") as file:
                shutil.copyfileobj(content, file)
            partial.replace(path)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


if __name__ == "__main__":
    if sys.argv[1] == "look":
        look()
    else:
        {"missing": missing, "receive": receive}[sys.argv[1]](Path(sys.argv[2]))

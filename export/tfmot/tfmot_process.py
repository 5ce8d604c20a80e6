"""Running the child process and telling a person how far it is."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tledge.core.child import python_module, quiet_environment
from tledge.core.errors import ConversionError
from tledge.core.progress import Progress, Step


def run_child(folder: Path, *, label: str, images: int, progress: Progress) -> None:
    """Runs ``python -m tledge.export.tfmot.tfmot_worker FOLDER`` to its end; it is ended if this is interrupted.

    Args:
        folder: holds the job; the answer comes there.
        label: of the step that a person sees.
        images: how many it will go through, over all epochs.
        progress: is told how many it has.

    Raises:
        ConversionError: it failed; the message is its own or the last thing that it printed.
    """
    environment = {
        **quiet_environment(),
        "TF_USE_LEGACY_KERAS": "1",  # tfmot and tf_keras both go by it when they are imported
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # this process may hold some of the GPU's memory
    }
    log = folder / "child.log"
    command = python_module("tledge.export.tfmot.tfmot_worker", folder)
    failure = ""
    with (
        log.open("w") as errors,
        progress.step(label, images, "images") as step,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child,
    ):
        try:
            for line in child.stdout or ():
                failure = _heed(line, step) or failure
        except BaseException:  # Ctrl-C above all
            child.kill()
            raise
    printed = log.read_text(errors="replace")
    sys.stderr.write(printed)  # for the log
    if failure:
        raise ConversionError(failure)
    if child.returncode != 0:
        raise ConversionError(f"{label} {_describe_end(child.returncode, printed)}")


def _heed(line: str, step: Step) -> str:
    """Passes on what the child says; returns its error, if that is what it says."""
    said = _parse(line)
    if "images" in said:
        step.advance(int(said["images"]), str(said.get("detail", "")))
    if "epoch" in said:
        step.mark(str(said["epoch"]))
    return str(said.get("error", ""))


def _parse(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if isinstance(said, dict):
        return said
    sys.stderr.write(line)  # a library's print, for the log
    return {}


def _describe_end(code: int, printed: str) -> str:
    last = (printed.strip().splitlines() or ["it printed nothing"])[-1]
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}: {last}"
    return f"ended with exit code {code}: {last}"

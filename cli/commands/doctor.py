"""``tledge doctor``."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.execution import executing
from tledge.cli.terminal import Terminal, wrap
from tledge.core.terminal_text import printable_text

EXTRAS = {
    "": ("tledge", "numpy", "pillow", "rich", "typer", "ai-edge-litert"),
    "onnx": ("onnxruntime",),
    "camera": ("opencv-python-headless",),
    "heic": ("pillow-heif",),
    "train": ("tensorflow", "keras", "scipy", "scikit-learn", "matplotlib", "jinja2"),
    "jax": ("jax",),
    "tfds": ("tensorflow-datasets",),
    "tensorboard": ("tensorboardX",),
    "export": ("tf2onnx", "onnx", "tensorflow-model-optimization", "tf_keras"),
    "bench": ("jinja2", "pyarrow"),
}
"""The distributions that the base install and each extra install."""

PURPOSES = {
    "": "predict and bench, TFLite",
    "onnx": "predict and bench, ONNX",
    "camera": "cameras and videos",
    "heic": "HEIC photos, as iPhones take",
    "train": "train and visualize",
    "jax": "train on JAX",
    "tfds": "data sets of TFDS",
    "tensorboard": "TensorBoard logs",
    "export": "export",
    "bench": "HTML report, Parquet",
}
"""What the base install and each extra are for."""

LABEL_WIDTH = 10

COMMAND = re.compile(r" (?=(?:sudo|pip (?:un)?install) )")
"""Where a command begins in a text."""


@dataclass(frozen=True, kw_only=True)
class _BoardState:
    """The health of a board.

    Attributes:
        model: its name; empty if only its firmware could be read.
        temperature: of the hottest sensor, degrees Celsius.
        throttled, throttled_since_boot: the causes of throttling, in words; empty for none, None if unknown.
        firmware_error: why the firmware of a Raspberry Pi could not be read.
    """

    model: str
    temperature: float | None
    throttled: str | None
    throttled_since_boot: str | None
    firmware_error: str

    @property
    def text(self) -> str:
        """The health in one line, without the model; empty if nothing is known."""
        parts = []
        if self.temperature is not None:
            parts.append(f"{self.temperature:.1f} °C")
        if self.throttled is not None:
            parts.append(f"throttled now: {self.throttled or 'no'}")
            parts.append(f"since boot: {self.throttled_since_boot or 'no'}")
        if self.firmware_error:
            no_access = "device file" in self.firmware_error
            hint = "; run this, then log in again: sudo usermod -aG video $USER" if no_access else ""
            parts.append(f"vcgencmd failed: {self.firmware_error}{hint}")
        return " · ".join(parts)


@build_command("doctor")
def run(given: Given, *, json: Json = False) -> None:
    """Show what is installed and which targets this machine has.

    For everything that is missing, shows the command that installs it.
    """
    with executing(given.command, json) as terminal:
        from tledge.core.environment import installed_versions, read_board_model, read_environment

        machine = read_environment()
        board = _read_board(read_board_model())
        packages = {extra: (names, installed_versions(names)) for extra, names in EXTRAS.items()}
        targets = _targets()
        terminal.print_json(
            {
                "environment": machine.to_dict(),
                "board": None if board is None else asdict(board),
                "packages": {
                    extra or "base": {name: versions.get(name) for name in names}
                    for extra, (names, versions) in packages.items()
                },
                "targets": [{"name": name, "missing": missing} for name, missing in targets.items()],
            }
        )
        memory = f" · {machine.memory / 2**30:.1f} GiB" if machine.memory else ""
        about = {
            "Machine": f"{machine.cpu} · {machine.usable_cores} of {machine.cores} cores{memory}",
            "Board": "" if board is None else board.text,
            "System": f"{machine.os} · {machine.machine} · Python {machine.python}",
        }
        for label, text in about.items():
            if text:
                terminal.print_line(*_item(label, text, LABEL_WIDTH, terminal.width))
        _show(terminal, packages, targets)


def _read_board(model: str) -> _BoardState | None:
    """Returns the health of the board; None if this machine is not a board."""
    from pathlib import Path

    from tledge.bench.measure.board import read_temperature, read_throttling, vcgencmd_error, words

    throttling, error = read_throttling(), vcgencmd_error()
    if not model and throttling is None and not error:
        return None
    return _BoardState(
        model=model,
        temperature=read_temperature(Path("/")),
        throttled=None if throttling is None else words(throttling.now),
        throttled_since_boot=None if throttling is None else words(throttling.since_boot),
        firmware_error=error,
    )


def _targets() -> dict[str, str]:
    """Returns why each target cannot be used here, by name; empty for those that can."""
    from tledge.edge_runtime.runtime import RUNTIMES, resolve
    from tledge.edge_runtime.target import Target

    found = {}
    for name in RUNTIMES.names():
        runtime = RUNTIMES.load(name)
        if runtime.missing():
            found[f"{name}:cpu"] = runtime.missing()
            continue
        for device in runtime.devices():
            target = Target(name, device.name)
            found[str(target if device.missing else resolve(target)[1])] = device.missing
    return found


def _show(
    terminal: Terminal, packages: dict[str, tuple[tuple[str, ...], dict[str, str]]], targets: dict[str, str]
) -> None:
    """Prints what this machine can do, then what is missing, with the command that installs it."""
    ready = [name for name, missing in targets.items() if not missing]
    lines = [("targets", ", ".join(ready) or "none")]
    missing_lines = [(f"target {name}", missing) for name, missing in targets.items() if missing]
    for extra, (names, versions) in packages.items():
        found = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
        missing = ", ".join(name for name in names if name not in versions)
        if missing:
            command = f"pip install 'tledge[{extra}]'" if extra else "pip install tledge"
            has = f" (has {found})" if found else ""
            missing_lines.append((PURPOSES[extra], f"needs {missing}{has}: {command}"))
        else:
            lines.append((PURPOSES[extra], found))
    width = max(len(label) for label, _ in (*lines, *missing_lines)) + 2
    for heading, items in (("This machine has", lines), ("Missing", missing_lines)):
        if items:
            terminal.heading(heading)
        for label, text in items:
            terminal.print_line(*_item(label, text, width, terminal.width))


def _item(label: str, text: str, label_width: int, width: int) -> list[str]:
    """Returns a text beside its label; a command stands on a line of its own, in one piece."""
    indent = f"{'':<{label_width}}"
    reason, *command = COMMAND.split(printable_text(text), maxsplit=1)
    return [
        *wrap(f"{label:<{label_width}}{reason}", width, indent).split("\n"),
        *(f"{indent}{part}" for part in command),
    ]

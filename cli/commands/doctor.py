"""``tledge doctor``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.execution import executing
from tledge.cli.tables import plain_table

EXTRAS = {
    "": ("tledge", "numpy", "pillow", "rich", "typer", "ai-edge-litert"),
    "onnx": ("onnxruntime",),
    "camera": ("opencv-python-headless",),
    "train": ("tensorflow", "keras", "scipy", "scikit-learn", "matplotlib", "jinja2"),
    "jax": ("jax",),
    "tfds": ("tensorflow-datasets",),
    "tensorboard": ("tensorboardX",),
    "export": ("tf2onnx", "onnx", "tensorflow-model-optimization", "tf_keras"),
    "bench": ("jinja2", "pyarrow"),
}
"""The distributions that the base install and each extra install."""


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
            hint = " (sudo usermod -aG video $USER, then log in again)" if no_access else ""
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
        terminal.print(f"Machine   {machine.cpu} · {machine.usable_cores} of {machine.cores} cores{memory}")
        if board is not None and board.text:
            terminal.print(f"Board     {board.text}")
        terminal.print(f"System    {machine.os} · {machine.machine} · Python {machine.python}\n")
        terminal.print(_package_table(packages))
        terminal.print()
        terminal.print(_target_lines(targets))


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


def _package_table(packages: dict[str, tuple[tuple[str, ...], dict[str, str]]]) -> Any:
    table = plain_table("install", "package", "version")
    for extra, (names, versions) in packages.items():
        install = f"tledge[{extra}]" if extra else "tledge"
        for name in names:
            table.add_row(install, name, versions.get(name) or f"missing: pip install '{install}'")
    return table


def _target_lines(targets: dict[str, str]) -> str:
    """Returns a line for each target, not a table, which would cut off install commands."""
    width = max(map(len, targets))
    lines = [f"{name:<{width}}  {f'no: {missing}' if missing else 'yes'}" for name, missing in targets.items()]
    return "\n".join([f"{'target':<{width}}  on this machine", *lines])

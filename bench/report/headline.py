"""The top of a report: a title that names what was measured, and the machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tledge.bench.results.stored_results import StoredResults
from tledge.core.environment import Environment
from tledge.core.number_text import counted, cpu_name, listed


@dataclass(frozen=True, kw_only=True)
class MachineBlock:
    """A machine that measured one cell or more.

    Attributes:
        machine: its facts.
        packages: of all processes that measured on it, each with one version.
        records: the ids of its records.
    """

    machine: Environment
    packages: Mapping[str, str]
    records: tuple[str, ...]


def headline(data: StoredResults) -> str:
    """Returns what was measured: "MobileNetV2 on cats_vs_dogs: 9 files on Intel Xeon"."""
    settings = data.known_settings
    machines = machine_names(data)
    where = f" on {machines}" if machines else ""
    if not settings.run:
        return f"{data.title}{where}"
    count = sum(not name.endswith(".keras") for name in settings.artifacts) or len(settings.artifacts)
    measured = f"{counted(count, 'files')}{where}"
    return f"{data.title}: {measured}" if data.title else measured


def machine_names(data: StoredResults) -> str:
    """Returns the processors or boards that measured, without hosts: "Raspberry Pi 5 Model B Rev 1.0"."""
    settings = data.known_settings
    names = list(dict.fromkeys(cpu_name(machine.cpu) for machine in data.environments.values()))
    emulated = " (emulated)" if names and settings.on and not settings.rounds else ""
    return f"{listed(names)}{emulated}"


def machine_blocks(data: StoredResults) -> list[MachineBlock]:
    """Returns each machine once for each set of versions; processes that load other packages have own records."""
    blocks: list[MachineBlock] = []
    for record, machine in data.environments.items():
        for index, block in enumerate(blocks):
            same = replace(machine, packages=block.machine.packages) == block.machine
            if same and all(block.packages.get(name, version) == version for name, version in machine.packages.items()):
                packages = {**block.packages, **machine.packages}
                blocks[index] = replace(block, packages=packages, records=(*block.records, record))
                break
        else:
            blocks.append(MachineBlock(machine=machine, packages=machine.packages, records=(record,)))
    return blocks

"""The differences between two machine records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tledge.core.environment import Environment

NOT_RECORDED = "no record of the machine"


@dataclass(frozen=True, kw_only=True)
class EnvironmentChanges:
    """What differs between the machines of two benchmarks.

    Attributes:
        machine: differences that make it another kind of machine, in words; empty if it is the same kind.
        software: differences in installed versions and settings, in words.
        host: both names if they differ; containers and machines of the same kind may differ in nothing else.
    """

    machine: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    host: str = ""

    @property
    def text(self) -> str:
        """One line for users; empty if nothing differs."""
        if self.machine == (NOT_RECORDED,):
            return "the earlier machine is not known: there is no environments folder beside the earlier results"
        if self.machine:
            return f"measured on another machine: {'; '.join((*self.machine, *self.software))}"
        if self.software:
            return f"measured with other software: {'; '.join(self.software)}"
        return f"measured on another host of the same kind: {self.host}" if self.host else ""


def find_changes(old: Environment | None, new: Environment | None) -> EnvironmentChanges:
    """Lists the differences; a machine without a record counts as another machine."""
    if old is None or new is None:
        return EnvironmentChanges(machine=(NOT_RECORDED,))
    machine = _changed_fields(
        old, new, {"cpu": "CPU", "machine": "architecture", "cores": "cores", "usable_cores": "usable cores"}
    )
    if not machine and old.cpu_features != new.cpu_features:
        changed = sorted({*old.cpu_features} ^ {*new.cpu_features})
        machine.append(f"only one has the CPU features {', '.join(changed[:4])}{' …' * (len(changed) > 4)}")
    software = _changed_fields(old, new, {"os": "system", "governor": "governor", "python": "Python"})
    software += [
        f"{name} {_arrow(old.packages.get(name, ''), new.packages.get(name, ''))}"
        for name in sorted({*old.packages, *new.packages})
        if old.packages.get(name) != new.packages.get(name)
    ]
    host = "" if old.host == new.host else _arrow(old.host, new.host)
    return EnvironmentChanges(machine=tuple(machine), software=tuple(software), host=host)


def _changed_fields(old: Environment, new: Environment, words: Mapping[str, str]) -> list[str]:
    pairs = [(text, getattr(old, name), getattr(new, name)) for name, text in words.items()]
    return [f"{text} {_arrow(before, after)}" for text, before, after in pairs if before != after]


def _arrow(before: object, after: object) -> str:
    return f"{before or 'none'} → {after or 'none'}"

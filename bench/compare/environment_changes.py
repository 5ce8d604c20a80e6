"""In what two records of a machine differ."""

from __future__ import annotations

from dataclasses import dataclass

from tledge.core.environment import Environment

NOT_RECORDED = "no record of the machine"


@dataclass(frozen=True, kw_only=True)
class EnvironmentChanges:
    """What differs between the machines of two benchmarks.

    Attributes:
        machine: what makes it another kind of machine, in words; empty where it is of the same kind.
        software: what was installed or set otherwise, in words.
        host: the two names, where they differ; containers and machines of the same kind do in no more than that.
    """

    machine: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    host: str = ""

    @property
    def text(self) -> str:
        """One line for people; empty where nothing differs."""
        if self.machine == (NOT_RECORDED,):
            return "on which machine it was measured before is not known: no environments stand beside its results"
        if self.machine:
            return f"measured on another machine: {'; '.join((*self.machine, *self.software))}"
        if self.software:
            return f"measured with other software: {'; '.join(self.software)}"
        return f"measured on another host of the same kind: {self.host}" if self.host else ""


def find_changes(old: Environment | None, new: Environment | None) -> EnvironmentChanges:
    """What differs; a machine without a record counts as another one."""
    if old is None or new is None:
        return EnvironmentChanges(machine=(NOT_RECORDED,))
    machine = [
        f"{words} {_arrow(getattr(old, name), getattr(new, name))}"
        for name, words in (
            ("cpu", "CPU"),
            ("machine", "architecture"),
            ("cores", "cores"),
            ("usable_cores", "usable cores"),
        )
        if getattr(old, name) != getattr(new, name)
    ]
    if not machine and old.cpu_features != new.cpu_features:
        changed = sorted({*old.cpu_features} ^ {*new.cpu_features})
        machine.append(f"CPU features {', '.join(changed[:4])}{' …' * (len(changed) > 4)} in one of the two only")
    software = [
        f"{words} {_arrow(getattr(old, name), getattr(new, name))}"
        for name, words in (("os", "system"), ("governor", "governor"), ("python", "Python"))
        if getattr(old, name) != getattr(new, name)
    ]
    software += [
        f"{name} {_arrow(old.packages.get(name, ''), new.packages.get(name, ''))}"
        for name in sorted({*old.packages, *new.packages})
        if old.packages.get(name) != new.packages.get(name)
    ]
    host = "" if old.host == new.host else _arrow(old.host, new.host)
    return EnvironmentChanges(machine=tuple(machine), software=tuple(software), host=host)


def _arrow(before: object, after: object) -> str:
    return f"{before or 'none'} → {after or 'none'}"

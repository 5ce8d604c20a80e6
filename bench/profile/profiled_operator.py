"""The operator times that the runtimes' profilers return."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ProfiledOperator:
    """One operator of a model.

    Attributes:
        name: its name in the file; its index ("#12") if the runtime fused several operators or added one.
        kind: what the runtime ran.
        milliseconds: mean per run.
        calls: per run.
    """

    name: str
    kind: str
    milliseconds: float
    calls: float

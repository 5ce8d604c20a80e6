"""What the runtimes' profilers give."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ProfiledOperator:
    """One operator of a model.

    Attributes:
        name: in the file; its place ("#12") where the runtime made it of several or of none.
        kind: what the runtime ran.
        milliseconds: mean of a run.
        calls: in a run.
    """

    name: str
    kind: str
    milliseconds: float
    calls: float

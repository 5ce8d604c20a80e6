"""Runs on the other machine: which targets it has.

``python -m tledge.bench.places.remote.remote_targets [TARGET]...`` prints those named, in full, or all, one a line.
"""

from __future__ import annotations

import sys

from tledge.core.errors import TledgeError
from tledge.edge_runtime.runtime import resolve, targets_of_this_machine
from tledge.edge_runtime.target import Target


def main() -> int:
    """Prints targets; a user's error is one line and exit code 1."""
    try:
        wanted = [resolve(Target.parse(text))[1] for text in sys.argv[1:]] or targets_of_this_machine()
    except TledgeError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(map(str, wanted)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

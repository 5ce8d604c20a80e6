"""Runs on the other machine: measures one round, or finds it measured, and prints it.

``python -m tledge.bench.places.remote.remote_worker FOLDER KEY NAME < SPECIFICATION`` prints a line with the ms to the
first answer and "measured" or "found", then the bytes of the round. A round that was measured before the connection was
lost stands in FOLDER and is not measured again; one that is still being measured is waited for.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tledge.bench.measure.benchmark_lock import alone_on_this_machine
from tledge.bench.measure.round_launcher import measure_in_own_process
from tledge.bench.results.cell_result import Specification
from tledge.core import atomic
from tledge.core.errors import TledgeError
from tledge.core.progress import Progress


def main() -> int:
    """Measures the round; a user's error is one line and exit code 1."""
    folder, key, name = Path(sys.argv[1]), *sys.argv[2:]
    result, start = folder / f"{key}.npz", folder / f"{key}.start"
    told = sys.stdin.buffer.read()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone_on_this_machine(Progress()):
            found = result.exists()
            if not found:
                measured, milliseconds = measure_in_own_process(Specification.from_json(told, name), name)
                atomic.write_text(start, str(milliseconds))  # first: the round counts once its own file is there
                measured.save(result)
    except TledgeError as error:
        print(error, file=sys.stderr)
        return 1
    head = f"{start.read_text(encoding='ascii')} {'found' if found else 'measured'}\n"
    sys.stdout.buffer.write(head.encode() + result.read_bytes())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

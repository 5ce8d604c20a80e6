"""Runs on the other machine: measures one round, or finds it already measured, and returns it.

``python -m tledge.bench.places.remote.remote_worker`` serves one request (see ``core.worker``) with these fields:

    folder, key      where the round is kept
    name             the cell's name in error messages
    specification    the fields of a ``Specification``

The result has the fields ``start`` (ms to the first output), ``found`` (whether the round was already there) and
``round`` (the bytes of its ``.npz`` file in base64). A round that was measured before the connection was lost is not
measured again; one that is still being measured is waited for.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

from tledge.bench.measure.benchmark_lock import alone_on_this_machine
from tledge.bench.measure.round_launcher import measure_in_own_process
from tledge.bench.results.cell_result import Specification
from tledge.core import atomic
from tledge.core.progress import Progress
from tledge.core.worker_child import serve


def measure_once(request: dict[str, Any], _: Progress) -> dict[str, Any]:
    """Measures the round unless its file exists, and returns it."""
    folder, key, name = Path(request["folder"]), request["key"], request["name"]
    result, start = folder / f"{key}.npz", folder / f"{key}.start"
    folder.mkdir(parents=True, exist_ok=True)
    with alone_on_this_machine(Progress()):  # the reply is read when it is complete: a note would come too late
        found = result.exists()
        if not found:
            specification = Specification.from_dict(request["specification"], name)
            measured, milliseconds = measure_in_own_process(specification, name)
            atomic.write_text(start, str(milliseconds))  # first: the round counts as measured once its own file exists
            measured.save(result)
    content = b64encode(result.read_bytes()).decode()
    return {"start": float(start.read_text(encoding="ascii")), "found": found, "round": content}


if __name__ == "__main__":
    serve(measure_once, outlive_parent=True)  # exits with 0: an error is part of the reply

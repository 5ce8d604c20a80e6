"""Runs on the other machine: lists its targets.

``python -m tledge.bench.places.remote.remote_targets`` serves one request (see ``core.worker``): a list of targets as
text. Its result is those targets in full, or all targets of that machine if the list is empty.
"""

from __future__ import annotations

from tledge.core.progress import Progress
from tledge.core.worker_child import serve
from tledge.edge_runtime.runtime import resolve, targets_of_this_machine
from tledge.edge_runtime.target import Target


def list_targets(wanted: list[str], _: Progress) -> list[str]:
    """Returns the wanted targets in full, or all targets of this machine; raises TledgeError for an unknown one."""
    return [
        str(target) for target in ([resolve(Target.parse(text))[1] for text in wanted] or targets_of_this_machine())
    ]


if __name__ == "__main__":
    serve(list_targets, outlive_parent=True)  # exits with 0: an error is part of the reply

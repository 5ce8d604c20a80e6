"""ONNX Runtime's own profiler, which times every node of the optimized graph.

Source: https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tledge.bench.profile.operator_profile import ProfiledOperator
from tledge.core.temporary_files import temporary_folder
from tledge.edge_runtime.runtimes.onnxruntime import PROVIDERS
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor

_NODE_ENDING = "_kernel_time"
_FUSED_ENDING = re.compile(r"_token_\d+$")  # of a node that replaces a node and its (de)quantizers


def profile_onnxruntime(
    model: Path, target: Target, query: Tensor, *, warm_up: int, runs: int
) -> tuple[float, list[ProfiledOperator]]:
    """Times the nodes of an ONNX file in ``runs`` runs, after ``warm_up`` untimed ones.

    Returns:
        The mean duration of a run in ms, and the nodes in execution order.
    """
    import onnxruntime

    with temporary_folder() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "profile")
        if target.threads is not None:
            options.intra_op_num_threads = target.threads
            options.inter_op_num_threads = 1
        session: Any = onnxruntime.InferenceSession(str(model), options, providers=[PROVIDERS[target.device]])
        name = session.get_inputs()[0].name
        for _ in range(warm_up + runs):
            session.run(None, {name: query})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return read_events(events, runs)


def read_events(events: Sequence[Mapping[str, Any]], runs: int) -> tuple[float, list[ProfiledOperator]]:
    """Summarizes the events of the last runs of a profile.

    Args:
        events: ONNX Runtime's profile in Chrome's trace format, with durations in microseconds.
        runs: number of runs to summarize.

    Returns:
        The mean duration of a run in ms, and the nodes in execution order.
    """
    counted = sorted((event for event in events if event["name"] == "model_run"), key=lambda event: event["ts"])[-runs:]
    durations: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.get("ts", 0)):
        if event["name"].endswith(_NODE_ENDING) and event.get("cat") == "Node" and event["ts"] >= counted[0]["ts"]:
            name = _FUSED_ENDING.sub("", event["name"].removesuffix(_NODE_ENDING))
            durations[name, event["args"]["op_name"]].append(event["dur"])
    operators = [
        ProfiledOperator(name=name, kind=kind, milliseconds=sum(times) / runs / 1000, calls=len(times) / runs)
        for (name, kind), times in durations.items()
    ]
    return sum(event["dur"] for event in counted) / runs / 1000, operators

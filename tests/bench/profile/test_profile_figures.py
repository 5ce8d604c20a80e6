"""What profiles compute, on made events with a known answer."""

from __future__ import annotations

from typing import Any

import pytest

from tledge.bench.profile.onnxruntime_profiler import read_events
from tledge.bench.profile.operator_profile import ProfiledOperator, check_profiler
from tledge.bench.profile.profile_worker import rank_operators
from tledge.core.errors import OptionError
from tledge.edge_runtime.target import Target

pytestmark = pytest.mark.unit


def operator(name: str, milliseconds: float, calls: float = 1.0) -> ProfiledOperator:
    return ProfiledOperator(name=name, kind="Conv", milliseconds=milliseconds, calls=calls)


def test_operators_are_ranked_by_their_share_of_the_time() -> None:
    ranked = rank_operators([operator("a", 1.0), operator("b", 6.0, calls=2.0), operator("c", 3.0)])
    assert [(item.name, item.milliseconds, item.share, item.calls) for item in ranked] == [
        ("b", 6.0, pytest.approx(0.6), 2.0),
        ("c", 3.0, pytest.approx(0.3), 1.0),
        ("a", 1.0, pytest.approx(0.1), 1.0),
    ]
    assert rank_operators([operator("a", 0.0), operator("b", 0.0)]) == ()
    assert rank_operators([]) == ()


def run_event(start: int, duration: int) -> dict[str, Any]:
    return {"name": "model_run", "cat": "Session", "ts": start, "dur": duration}


def node_event(start: int, duration: int, name: str = "conv", kind: str = "Conv", **fields: Any) -> dict[str, Any]:
    event = {"name": f"{name}_kernel_time", "cat": "Node", "ts": start, "dur": duration, "args": {"op_name": kind}}
    return {**event, **fields}


def test_only_the_last_runs_count() -> None:
    events = [
        *(run_event(0, 9000), node_event(1, 8000)),  # the warm-up
        *(run_event(20000, 3000), node_event(20000, 1000), node_event(21000, 500, "dense", "Gemm")),
        *(run_event(10000, 5000), node_event(10000, 2000), node_event(12000, 1500, "dense_token_12", "Gemm")),
        node_event(10001, 7000, cat="Session"),
        {"name": "conv_fence_before", "cat": "Node", "ts": 10002, "dur": 7000, "args": {"op_name": "Conv"}},
        {"name": "model_loading", "dur": 1},
    ]
    milliseconds, operators = read_events(events, 2)
    assert milliseconds == pytest.approx(4.0)
    assert operators == [
        ProfiledOperator(name="conv", kind="Conv", milliseconds=pytest.approx(1.5), calls=1.0),
        ProfiledOperator(name="dense", kind="Gemm", milliseconds=pytest.approx(1.0), calls=1.0),
    ]


def test_calls_are_counted_per_run() -> None:
    events = [run_event(0, 1000), node_event(0, 10), node_event(1, 30), run_event(2000, 1000), node_event(2000, 20)]
    _, (found,) = read_events(events, 2)
    assert (found.calls, found.milliseconds) == (1.5, pytest.approx(0.03))


@pytest.mark.parametrize(
    ("target", "message"),
    [("keras:cpu", "Keras has no profiler"), ("litert:npu", "on the CPU only; use litert:cpu"), ("litert:cpu:2", "")],
)
def test_targets_without_a_profiler_are_rejected(target: str, message: str) -> None:
    if message:
        with pytest.raises(OptionError, match=message):
            check_profiler(Target.parse(target))
    else:
        check_profiler(Target.parse(target))

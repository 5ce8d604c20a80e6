"""The rows that the rule judges, at the boundaries."""

from __future__ import annotations

import numpy as np
import pytest
from stored_sample import measurement, raw_samples

from tledge.bench.results.flags import NOISY, THROTTLED_SINCE_BOOT
from tledge.bench.results.rows import Row
from tledge.bench.results.shipping_criteria import can_ship, most_accurate, p90_bound
from tledge.bench.results.standings import Evidence

pytestmark = pytest.mark.unit


def row(
    artifact: str = "a.tflite", target: str = "litert:cpu:2", *, top1: float = 1.0, flags: tuple[str, ...] = ()
) -> Row:
    p90 = measurement("latency_p90", 2.0, interval=(1.5, 2.5))
    return Row(
        artifact=artifact, target=target, measured={"top1": measurement("top1", top1), "latency_p90": p90}, flags=flags
    )


def test_the_keras_model_cannot_ship() -> None:
    assert [can_ship(row(target=target)) for target in ("litert:cpu:2", "keras:cpu")] == [True, False]


def test_the_bound_of_p90_is_that_of_its_interval_unless_a_flag_forbids_comparing_it() -> None:
    assert [p90_bound(row(flags=flags)) for flags in ((), (THROTTLED_SINCE_BOOT,), (NOISY,))] == [2.5, 2.5, None]
    single = Row(artifact="a", target="t", measured={"latency_p90": measurement("latency_p90", 2.0)})
    assert p90_bound(single) is None


def test_the_most_accurate_row_is_one_whose_result_for_each_photo_is_known() -> None:
    rows = [row("a.tflite", top1=0.5), row("b.tflite", top1=0.9), row("c.tflite", top1=1.0)]
    raw = raw_samples([1.0, 1.0], logits=np.eye(2))
    evidence = Evidence({(name, "litert:cpu:2"): raw for name in ("a.tflite", "b.tflite")}, np.array([0, 1]))
    assert most_accurate(rows, evidence) is rows[1]
    assert most_accurate(rows[2:], evidence) is None
